"""The report's part about noise."""

from pathlib import Path

import polars as pl
import pytest

from pipeline import tables
from pipeline.config import load
from pipeline.noise.figures import histograms, of_strength
from pipeline.store import Commit, Lake
from pipeline.validation.report import noise, page


def noise_section(lake: Lake) -> str:
    section = noise.votes(lake, load())
    return page("t", [section]) if section else ""


def strengths() -> pl.DataFrame:
    """Ten pairs, one a decile; the weakest has the wrong label.

    An eleventh has no margin and no noise score.
    """
    rows = [
        {"chosen_id": f"c{i}", "rejected_id": f"r{i}", "mean": i - 1.5, "spread": 0.5,
         "share_against": (9 - i) / 9,
         "decile": i, "noise_score": 0.9 if i == 0 else 0.1}
        for i in range(10)
    ]  # fmt: skip
    common = {
        "source": "outcome<",
        "pair_id": "x",
        "prompt_id": "p",
        "split": "train",
        "n_votes": 3,
    }
    rows.append({"chosen_id": "c10", "rejected_id": "r10", "share_against": 0.5})
    return pl.DataFrame(
        [{**common, **row} for row in rows], schema=tables.empty("pair_strengths").schema
    )


def test_the_figure_is_the_share_by_decile_and_the_histograms_count_what_is_unknown() -> None:
    truth = pl.DataFrame(
        {"chosen_id": ["c0", "c9"], "rejected_id": ["r0", "r9"], "right": [0.0, 1.0]}
    )
    left, right = of_strength(strengths().drop_nulls("mean"), truth).axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in left.lines}
    assert drawn["voters for the label"] == pytest.approx([i / 9 for i in range(10)])
    assert drawn["label right by its verifier"] == [0.0, 1.0]
    assert list(right.lines[0].get_ydata()) == [0.5] * 10
    one, two = histograms(strengths()).axes
    assert (one.get_title(), two.get_title()) == ("unknown: 1", "unknown: 1")
    assert sum(patch.get_height() for patch in one.patches) == 10


def test_the_part_says_it_in_words_and_is_empty_where_nobody_voted(tmp_path: Path) -> None:
    with Lake(tmp_path) as lake:
        assert noise_section(lake) == ""
        lake.write("pair_strengths", strengths(), Commit("test"))
        html = noise_section(lake)
    assert "11 pairs of outcome&lt; were voted on." in html
    assert "mean is against the label of 20.0%" in html
    assert "18.0% of the labels are wrong (of 10 pairs" in html  # (0.9 + 9 * 0.1) / 10
    assert "can be told from a coin" not in html  # no voters are known
    assert html.count("data:image/svg+xml;base64") == 2 and "P(label is right)" in html


def test_voters_at_chance_are_called_that(tmp_path: Path) -> None:
    def voters(low: float) -> pl.DataFrame:
        common = {"source": "outcome", "kind": "reward head", "n_votes": 9, "high": 0.9}
        rows = [
            {**common, "voter_id": "a", "low": low},
            {**common, "voter_id": "label:x", "kind": "label", "low": 0.6},
        ]
        return pl.DataFrame(rows, schema=tables.empty("voters").schema)

    with Lake(tmp_path) as lake:
        lake.write("pair_strengths", strengths(), Commit("test"))
        for low, said in ((0.4, True), (0.55, False)):
            lake.write("voters", voters(low), Commit("test"))
            assert ("None of the 1 voters can be told from a coin" in noise_section(lake)) == said


def test_a_contradiction_between_reliability_and_agreement_is_the_first_thing_said(
    tmp_path: Path,
) -> None:
    row = {"source": "outcome", "kind": "recorded", "n_votes": 90, "voter_id": "ann"}
    row |= {"agreement": 0.71, "predicted": 0.5, "contradicts": True, "weighed_by": "agreement"}
    with Lake(tmp_path) as lake:
        lake.write("pair_strengths", strengths(), Commit("test"))
        lake.write(
            "voters", pl.DataFrame([row], schema=tables.empty("voters").schema), Commit("test")
        )
        html = noise_section(lake)
    loud = html.index("RELIABILITY AND AGREEMENT CONTRADICT EACH OTHER on the pairs of outcome")
    assert loud < html.index("were voted on")
    assert "ann (agrees with 71% of the labels, 50% expected)" in html
