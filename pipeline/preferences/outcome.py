"""Variants from verified responses: right against wrong ones."""

import polars as pl

from pipeline.config import Settings
from pipeline.preferences.controls import shuffled
from pipeline.preferences.variant import Variant, register
from pipeline.steps.declared import Reads
from pipeline.store.reader import Reader

READS = Reads(queries=("pairs_outcome",), settings=("preferences.max_pairs_per_prompt",))


def outcome(lake: Reader, settings: Settings) -> pl.DataFrame:
    """Right against wrong responses: the plain baseline."""
    limit = settings.preferences.max_pairs_per_prompt
    return lake.query_file("pairs_outcome", per_prompt=limit)


OUTCOME = Variant("outcome", "response", "outcome pairs", READS, outcome)
register(OUTCOME, OUTCOME.control("shuffled", "labels shuffled", shuffled(outcome)))
