"""Several rewards as one: log-sigmoid of the centred reward, summed over aspects."""

import polars as pl


def log_sigmoid_centred(scores: pl.DataFrame, quantile: float = 0.85) -> pl.DataFrame:
    """Adds r_lsc = log sigmoid(raw - centre), Wang et al. 2024 (arXiv 2402.00742).

    The centre is a quantile of the rewards that one model gives to the responses to one prompt. The 85th percentile
    is second-hand (an independent re-implementation); the paper's own choice was not read. Rewards must be on the
    Bradley-Terry scale, in nats.

    Args:
        scores: prompt_id, model_id, aspect, raw; all responses to a prompt serve as its reference samples.

    Returns:
        The rows with r_lsc, at most 0; null where a prompt has a single response, which cannot be centred.
    """
    group = ["prompt_id", "model_id", "aspect"]
    centred = pl.col("raw") - pl.col("raw").quantile(quantile, "linear").over(group)
    log_sigmoid = centred.clip(upper_bound=0) - (-centred.abs()).exp().log1p()
    return scores.with_columns(r_lsc=pl.when(pl.len().over(group) > 1).then(log_sigmoid))


def combined(scores: pl.DataFrame, over: str = "text_id") -> pl.DataFrame:
    """(text, reward): r_lsc averaged over the models of an aspect and summed over aspects; null where one is unknown.

    The sum is the log-probability that a response is good in every aspect, the aspects taken as independent: a
    reward that is already high has little left to give, so it cannot make up for a failure elsewhere.
    """
    each = scores.group_by(over, "aspect").agg(pl.col("r_lsc").sort().mean(), missing=pl.col("r_lsc").is_null().any())
    total = each.sort(over, "aspect").group_by(over, maintain_order=True)
    summed = total.agg(reward=pl.col("r_lsc").sum(), missing=pl.col("missing").any())
    return summed.select(over, reward=pl.when(~pl.col("missing")).then("reward"))
