"""The noise self-test on the pairs of one variant, with every voter that the profile selects."""

from pathlib import Path

import polars as pl

from pipeline.config import Settings
from pipeline.engine.model import Model
from pipeline.noise.scoring import features_of, readable, score_by_external, selected_voters
from pipeline.noise.selftest import SelfTest, noise_test
from pipeline.noise.voting import from_elsewhere, margins
from pipeline.progress import bar
from pipeline.store.reader import Reader

COLUMNS = ["pair_id", "voter_id", "margin"]


def self_test(
    lake: Reader, source: pl.DataFrame, settings: Settings, model: Model, home: Path
) -> SelfTest:
    """Flips labels of pairs on purpose, and measures who finds them and which treatment helps.

    Args:
        source: rows of `preferences`: the pairs of one variant, with the labels that they have.
        model: whose features the reward heads read.
        home: the data folder, where features are kept.
    """
    pairs, texts, _ = readable(source, model, settings)
    found = features_of(texts, model, settings, home)
    votes, recorded = lake.read("votes"), lake.read("recorded_votes")
    said = from_elsewhere(pairs, votes, recorded, settings.noise.duplicates)[0]
    external = selected_voters(score_by_external(lake, settings, pairs, home)[0], settings)
    others = [
        margins(pairs, external).select(COLUMNS),
        said.with_columns(margin=pl.coalesce("margin", pl.col("p") - 0.5)).select(COLUMNS),
    ]
    with bar("noise test") as advance:
        return noise_test(found, pairs, settings.noise, settings.seed, advance, pl.concat(others))
