"""External voters' rewards as rows of `scores`."""

from collections.abc import Sequence

import polars as pl

from pipeline import tables
from pipeline.engine.base import Reject
from pipeline.ids import content_id
from pipeline.noise.combine import in_nats, log_sigmoid_centred
from pipeline.rewards.texts import Said


def external_scores(
    pairs: pl.DataFrame,
    said: Sequence[tuple[Said, str]],
    centre: float,
    samples: pl.DataFrame | None = None,
) -> tuple[pl.DataFrame, list[Reject]]:
    """Rows of `scores`, and one reject for every text that a voter could not read.

    Rewards are standardised by mean and standard deviation over all texts of the voter: it was
    trained on none of them. Constant rewards become 0: no vote either way.

    Args:
        pairs: as `pipeline.noise.features.sides` gives them.
        said: what each voter said, and the aspect that it rewards.
        samples: as `pipeline.rewards.texts.references` gives them; they centre the rewards of their
            prompts.
    """
    sides = [
        pairs.select("prompt_id", text_id=f"{side}_text_id", response_id=f"{side}_id")
        for side in ("chosen", "rejected")
    ]
    if samples is not None:
        sides.append(samples.select("prompt_id", "text_id", "response_id"))
    texts = pl.concat(sides).sort("text_id", "response_id").unique("text_id", keep="first")
    sampled = [] if samples is None else samples["text_id"].to_list()
    texts = texts.with_columns(sampled=pl.col("text_id").is_in(sampled))
    frames = [_rows(texts, one, aspect) for one, aspect in said if one.rewards]
    rejects = [
        Reject("scores", "external voters", key, reason)
        for one, _ in said
        for key, reason in sorted(one.faults.items())
    ]
    if not frames:
        return tables.empty("scores"), rejects
    scores = log_sigmoid_centred(in_nats(pl.concat(frames), pairs), centre)
    ids = [content_id(*row) for row in scores.select("text_id", "model_id").iter_rows()]
    named = scores.with_columns(pl.Series("score_id", ids, pl.String))
    return named.select(tables.empty("scores").columns).sort("text_id", "model_id"), rejects


def _rows(texts: pl.DataFrame, said: Said, aspect: str) -> pl.DataFrame:
    keys = sorted(said.rewards)
    known = pl.DataFrame({"text_id": keys, "raw": [said.rewards[key] for key in keys]})
    spread = pl.col("raw").std(ddof=0)
    standard = (
        pl.when(spread > 1e-12).then((pl.col("raw") - pl.col("raw").mean()) / spread).otherwise(0.0)
    )
    return texts.join(known.with_columns(standardised=standard), on="text_id").with_columns(
        model_id=pl.lit(said.voter_id), kind=pl.lit("external"), aspect=pl.lit(aspect)
    )
