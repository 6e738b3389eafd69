"""The report card recovers what a simulated judge was made of."""

import polars as pl
import pytest
from scipy.stats import binomtest

from pipeline import tables
from pipeline.config import JudgeSettings
from pipeline.ids import unit_for
from pipeline.judge.card import advice, cards, problems
from pipeline.judge.collect import collect
from tests.judge.simulated import SimulatedJudge, prompts, responses, votes

SETTINGS = JudgeSettings(must_answer=False)
N = 200
TEXTS = {f"p{i}": [f"right {i}", f"wrong {i}, and longer"] for i in range(N)}
RESPONSES = responses(TEXTS, lambda text: text.startswith("right"))
ITEMS = RESPONSES.select(
    "response_id", chars=pl.col("text").str.len_chars().cast(pl.Int64), policy_id="policy_id"
)
LABELS = pl.DataFrame(
    {
        "prompt_id": list(TEXTS),
        "a_id": [f"{p}-0" for p in TEXTS],
        "b_id": [f"{p}-1" for p in TEXTS],
        "label": 1.0,
    }
)


def mistaken(text: str) -> bool:
    """Three of ten pairs, by hash of their number: the judge is wrong on these."""
    return unit_for("mistake", text.split(",")[0].split()[1]) < 0.3


def judged(seat: float, settings: JudgeSettings = SETTINGS) -> dict[str, object]:
    """The card of a judge with known mistakes, log-odds of 0.5 in their favour,
    and `seat` for the first seat.
    """

    def odds(first: str, second: str) -> float:
        return (0.5 if first.startswith("right") != mistaken(first) else -0.5) + seat

    rows, _ = collect(
        SimulatedJudge(odds), prompts(*TEXTS), RESPONSES, tables.empty("recorded_pairs"), settings
    )
    return cards(rows, ITEMS, LABELS, settings).to_dicts()[0]


TRUE_ACCURACY = 1 - sum(mistaken(own[0]) for own in TEXTS.values()) / N


def test_a_fair_judge_has_its_known_accuracy_and_no_seat() -> None:
    card = judged(seat=0.0)
    low, high = binomtest(round(TRUE_ACCURACY * N), N).proportion_ci(method="wilson")
    assert (card["n_votes"], card["n_pairs"], card["n_labelled"], card["tokens"]) == (
        2 * N,
        N,
        N,
        2 * N,
    )
    assert card["accuracy"] == pytest.approx(TRUE_ACCURACY) and 0.6 < TRUE_ACCURACY < 0.8
    assert (card["accuracy_low"], card["accuracy_high"]) == pytest.approx((low, high))
    assert (card["flip_rate"], card["first_share"], card["seat_p_value"]) == (0.0, 0.5, 1.0)
    assert card["seat_bias"] == pytest.approx(0) and problems(card, SETTINGS) == []
    # It says 0.622 and is right on about 0.7: ECE is the difference, and the temperature is below
    # 1.
    assert card["ece"] == pytest.approx(abs(TRUE_ACCURACY - 0.6225), abs=1e-3)
    assert card["ece_calibrated"] < card["ece"] + 0.05 and card["temperature"] < 1


def test_a_judge_with_a_favourite_seat_flips_and_its_bias_is_measured_exactly() -> None:
    card = judged(seat=0.8)  # more than the 0.5 of its opinion: every pair goes to the first seat
    assert (card["flip_rate"], card["first_share"], card["accuracy"]) == (1.0, 1.0, 0.5)
    assert card["seat_bias"] == pytest.approx(0.8) and card["seat_p_value"] < 1e-50
    said = problems(card, SETTINGS)
    assert (
        said[0].startswith("100% of its pairs flip with the order")
        and "favours the first seat" in said[1]
    )
    assert "judge.seat_correction: true" in advice(SETTINGS) and "near chance" in card["verdict"]


def test_with_the_seat_correction_the_same_judge_is_as_good_as_without_a_seat() -> None:
    settings = SETTINGS.model_copy(update={"seat_correction": True})
    card = judged(-0.8, settings)
    # raw: the second seat
    assert card["accuracy"] == pytest.approx(TRUE_ACCURACY) and card["first_share"] == 0.0
    assert (card["flip_rate_corrected"], card["first_share_corrected"]) == (0.0, 0.5)
    assert problems(card, settings) == [] and len(problems(card, SETTINGS)) == 2


def test_a_judge_of_length_and_of_itself_is_told_from_one_of_quality() -> None:
    def by_length(first: str, second: str) -> float:
        return 1.0 if len(first) > len(second) else -1.0

    of_the_judge = pl.col("response_id").str.ends_with("-1")
    own = ITEMS.with_columns(
        policy_id=pl.when(of_the_judge).then(pl.lit("judge@0")).otherwise("policy_id")
    )
    rows, _ = collect(
        SimulatedJudge(by_length),
        prompts(*TEXTS),
        RESPONSES,
        tables.empty("recorded_pairs"),
        SETTINGS,
    )
    card = cards(rows, own, LABELS, SETTINGS).to_dicts()[0]
    assert (card["longer_share"], card["longer_accuracy"]) == (1.0, 0.0)
    assert (card["own_share"], card["own_truth"]) == (1.0, 0.0)
    assert card["accuracy"] == 0.0 and card["verdict"].startswith("below chance")
    assert judged(0.0)["own_share"] is None  # one policy only


def test_without_labels_and_with_ties_the_card_says_what_is_unknown() -> None:
    rows = votes([("a", "b", 0.5), ("b", "a", 0.5)])
    empty = pl.DataFrame(
        schema={"prompt_id": pl.String, "a_id": pl.String, "b_id": pl.String, "label": pl.Float64}
    )
    card = cards(rows, ITEMS, empty, SETTINGS).to_dicts()[0]
    assert card["accuracy"] is card["ece"] is card["first_share"] is card["longer_share"] is None
    assert card["flip_rate"] == 0.0 and "accuracy is unknown" in card["verdict"]


def test_a_slight_lean_is_no_bias_until_it_is_significant() -> None:
    base = {
        "flip_rate": 0.2,
        "flip_rate_corrected": 0.2,
        "first_share": 0.6,
        "first_share_corrected": 0.6,
    }
    for p_value, n in ((0.2, 0), (0.001, 1)):
        card = {**base, "seat_p_value": p_value, "seat_p_value_corrected": p_value}
        assert len(problems(card, SETTINGS)) == n
    assert problems({**card, "first_share": 0.54}, SETTINGS) == []


def test_the_card_is_a_row_of_its_table() -> None:
    rows = cards(votes([("a", "b", 0.9), ("b", "a", 0.3)]), ITEMS, LABELS, SETTINGS)
    assert (
        rows.schema == tables.empty("judges").schema and not tables.Judges.filter(rows)[1].counts()
    )
