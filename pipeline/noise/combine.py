"""Several rewards as one: log-sigmoid of the centred reward, summed over aspects."""

import polars as pl

from pipeline.noise.calibrate import fit

TOGETHER = "external models together"  # the voter that `together` makes


def log_sigmoid_centred(scores: pl.DataFrame, quantile: float = 0.85) -> pl.DataFrame:
    """Adds r_lsc = log sigmoid(raw - centre), Wang et al. 2024 (arXiv 2402.00742).

    The centre is a quantile of the rewards that one model gives to the reference samples of one
    prompt. The 85th percentile is second-hand (an independent re-implementation); the paper's own
    choice was not read. Rewards must be on the Bradley-Terry scale, in nats, or the log-sigmoid
    bends one model's rewards elsewhere than another's: `nats` has them so (see `in_nats`).

    Args:
        scores: prompt_id, model_id, aspect, and nats or else raw; and `sampled`, true of
            reference samples. Without that column, and for a prompt that has none, all its texts
            serve as the samples.

    Returns:
        The rows with r_lsc, at most 0; null where a prompt has a single text, which cannot be
        centred.
    """
    group = ["prompt_id", "model_id", "aspect"]
    sampled = pl.col("sampled") if "sampled" in scores.columns else pl.lit(False)
    reward = pl.col("nats" if "nats" in scores.columns else "raw")
    reference = reward.filter(sampled | ~sampled.any())
    centred = reward - reference.quantile(quantile, "linear").over(group)
    log_sigmoid = centred.clip(upper_bound=0) - (-centred.abs()).exp().log1p()
    return scores.with_columns(r_lsc=pl.when(pl.len().over(group) > 1).then(log_sigmoid))


def in_nats(scores: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """Adds nats: raw times the log-odds that a unit of it is worth on these pairs' labels.

    One slope a model (`pipeline.noise.calibrate.fit`, which knows that labels may be wrong), so
    that a model whose rewards are twenty times smaller says the same. A model that tells nothing
    about the labels has none: 0 everywhere.

    Args:
        scores: text_id, model_id, raw.
        pairs: chosen_text_id, rejected_text_id.
    """
    chosen = scores.select("model_id", chosen_text_id="text_id", better="raw")
    rejected = scores.select("model_id", rejected_text_id="text_id", worse="raw")
    margins = (
        pairs.select("chosen_text_id", "rejected_text_id")
        .join(chosen, on="chosen_text_id")
        .join(rejected, on=["rejected_text_id", "model_id"])
        .sort("model_id", "chosen_text_id", "rejected_text_id")
        .with_columns(margin=pl.col("better") - pl.col("worse"))
    )
    slopes = {
        str(model): fit(rows["margin"].to_numpy()).slope
        for (model,), rows in margins.group_by("model_id")
    }
    slope = pl.col("model_id").replace_strict(slopes, default=0.0, return_dtype=pl.Float64)
    return scores.with_columns(nats=pl.col("raw") * slope)


def combined(scores: pl.DataFrame, over: str = "text_id") -> pl.DataFrame:
    """(text, reward): r_lsc averaged over the models of an aspect and summed over aspects;
    null where one is missing.

    The sum is the log-probability that a response is good in every aspect, the aspects taken as
    independent: a reward that is already high has little left to give, so it cannot make up for a
    failure elsewhere.
    """
    each = scores.group_by(over, "aspect").agg(
        pl.col("r_lsc").sort().mean(), missing=pl.col("r_lsc").is_null().any()
    )
    total = each.sort(over, "aspect").group_by(over, maintain_order=True)
    lacking = pl.col("missing").any() | (pl.len() < scores["aspect"].n_unique())
    summed = total.agg(reward=pl.col("r_lsc").sum(), missing=lacking)
    return summed.select(over, reward=pl.when(~pl.col("missing")).then("reward"))


def together(scores: pl.DataFrame) -> pl.DataFrame:
    """Scores in which the external models are one voter:
    their combined reward, standardised over all texts.

    Args:
        scores: text_id, kind, model_id, aspect, standardised, r_lsc.

    Returns:
        text_id, kind, model_id, standardised. A text without a reward in every aspect has none of
        the voter's.
    """
    columns, external = (
        ["text_id", "kind", "model_id", "standardised"],
        pl.col("kind") == "external",
    )
    known = combined(scores.filter(external)).drop_nulls()
    reward, spread = pl.col("reward"), pl.col("reward").std(ddof=0)
    standard = pl.when(spread > 1e-12).then((reward - reward.mean()) / spread).otherwise(0.0)
    one = known.select(
        "text_id", kind=pl.lit("external"), model_id=pl.lit(TOGETHER), standardised=standard
    )
    return pl.concat([scores.filter(~external).select(columns), one])
