"""How well responses follow their instructions, strictly and loosely (IFEval's two modes)."""

from collections.abc import Iterable, Sequence

import polars as pl

from pipeline.verify.instructions.catalogue import Instruction

SCHEMA = {"unit_id": pl.String, "strict": pl.Boolean, "loose": pl.Boolean}


def fulfilment(rows: Iterable[tuple[str, str, Sequence[Instruction]]]) -> pl.DataFrame:
    """unit_id; strict and loose: share of its instructions fulfilled, in [0, 1];
    all_strict and all_loose: all of them.

    The means of the last two are IFEval's prompt accuracies. The means of the first two weigh every
    response alike, where IFEval's instruction accuracies weigh every instruction alike.

    Args:
        rows: (id of the unit, response, its instructions). Several draws of one prompt are units of
            their own: give them ids of their own, and average them per prompt afterwards.
    """
    verdicts = [
        (unit, one.check(response), one.check(response, loose=True))
        for unit, response, instructions in rows
        for one in instructions
    ]
    modes = [pl.col("strict", "loose").mean(), pl.col("strict", "loose").all().name.prefix("all_")]
    return (
        pl.DataFrame(verdicts, schema=SCHEMA, orient="row")
        .group_by("unit_id")
        .agg(*modes)
        .sort("unit_id")
    )
