"""Every public layout, from a small file of each: rows in = rows that gave something + rejects,
sides and order checked by hand, ties are no pairs to train on.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline.prompts.files import read
from pipeline.sources import imported
from pipeline.sources.imported import Imported
from pipeline.sources.names import Names

FOLDER = Path(__file__).parent / "data" / "layouts"
FRUIT, NUT = ("Name a fruit.", "Apple.", "Chair."), ("Name a nut.", "Walnut.", "Spoon.")


class Told(NamedTuple):
    """What a file gives: its layout; rows that gave something, rejected ones and repeats;
    (last turn of the prompt, better, worse); ties; responses; votes.
    """

    layout: str
    rows: tuple[int, int, int]
    pairs: set[tuple[str, str, str]]
    ties: int = 0
    responses: int = 0
    votes: int = 0


FILES: dict[str, Told] = {
    "trl_prompt": Told("TRL, with a prompt", (2, 1, 0), {FRUIT, NUT}),
    "trl_turns": Told("TRL, the prompt in both sides", (1, 1, 0), {FRUIT}),
    "skywork": Told("TRL, the prompt in both sides", (2, 0, 0), {FRUIT, NUT}),
    "thumbs": Told("single responses with a thumb (TRL)", (3, 2, 1), set(), responses=3),
    "hh": Told("HH-RLHF", (2, 1, 0), {FRUIT, NUT}),
    # Apple and Pear tie; three ratings of helpfulness, two of honesty: 2 and 1 votes in both orders
    "ultrafeedback_raw": Told(
        "UltraFeedback", (1, 1, 0), {FRUIT, ("Name a fruit.", "Pear.", "Chair.")}, 1, 3, 6
    ),
    "ultrafeedback_binarized": Told("UltraFeedback binarized", (2, 1, 0), {FRUIT}, 1),
    "helpsteer": Told("HelpSteer", (5, 1, 0), {FRUIT}, 1, 5, 20),
    "helpsteer3": Told("HelpSteer3 preferences", (2, 1, 0), {FRUIT}, 1, 0, 6),
    "helpsteer2_preferences": Told("HelpSteer2 preferences", (2, 0, 0), {FRUIT}, 1, 0, 4),
    "pku": Told("PKU-SafeRLHF", (2, 1, 0), {FRUIT, NUT}, 0, 0, 8),
    "nectar": Told(
        "Nectar",
        (2, 1, 0),
        {
            FRUIT,
            NUT,
            ("Name a fruit.", "Apple.", "A kind of pear."),
            ("Name a fruit.", "Apple.", "Pear-like."),
            ("Name a fruit.", "A kind of pear.", "Chair."),
            ("Name a fruit.", "Pear-like.", "Chair."),
        },
        1,
        6,
    ),
    "tulu3": Told("rated pairs, with a prompt (Tulu 3, Argilla)", (2, 0, 0), {FRUIT, NUT}),
    "argilla_dpo": Told("rated pairs, the prompt in both sides (Argilla)", (2, 0, 0), {FRUIT}, 1),
    "argilla_cleaned": Told("rated pairs, with a prompt (Tulu 3, Argilla)", (1, 0, 0), {FRUIT}),
    "argilla_records": Told("Argilla records", (2, 1, 0), {FRUIT}, 1, 0, 6),
    "arena_55k": Told("Chatbot Arena, turns as lists (55k)", (2, 3, 0), {FRUIT}, 1, 0, 4),
    "arena_conversations": Told(
        "Chatbot Arena conversations (33k, 140k)", (2, 1, 0), {FRUIT}, 1, 0, 4
    ),
    "arena_140k": Told("Chatbot Arena conversations (33k, 140k)", (2, 0, 0), {FRUIT}, 1, 0, 4),
    "rewardbench2": Told(
        "RewardBench 2",
        (2, 1, 0),
        {
            FRUIT,
            ("Name a fruit.", "Apple.", "Lamp."),
            ("Name a fruit.", "Apple.", "Spoon."),
            *(("Name a nut.", a, b) for a in ("Walnut.", "Pecan.") for b in ("Fork.", "Cup.")),
        },
        # two right nuts, two wrong ones, and three wrong fruits among each other
        5,
        8,
    ),
    "alpaca_eval": Told("alpaca_eval", (2, 1, 0), {FRUIT}, 1, 0, 4),
}
files = pytest.mark.parametrize("name", FILES)


def take(name: str) -> Imported:
    return imported.read(*read(FOLDER / f"{name}.jsonl"), name, Names())


def better(pair: dict[str, Any]) -> tuple[str, str, str]:
    sides = (pair["first"], pair["second"])
    return (pair["messages"][-1]["content"], *(sides if pair["label"] > 0.5 else sides[::-1]))


def pair_of(found: Imported, word: str) -> dict[str, Any]:
    return next(one for one in found.pairs.to_dicts() if word in (one["first"], one["second"]))


def side_of(pair: dict[str, Any], word: str, what: str) -> Any:
    return pair[f"first_{what}" if pair["first"] == word else f"second_{what}"]


def p_of(found: Imported, word: str, other: str) -> dict[tuple[str, str], float]:
    """P(word is better than other) by (judge, criterion), where both orders agree."""
    pair = pair_of(found, word)
    ids = {pair["first"]: pair["first_id"], pair["second"]: pair["second_id"]}
    said: dict[tuple[str, str], list[float]] = {}
    for vote in found.votes.to_dicts():
        if {vote["first_id"], vote["second_id"]} == {ids[word], ids[other]}:
            ahead = vote["p_first"] if vote["first_id"] == ids[word] else 1 - vote["p_first"]
            said.setdefault((vote["judge_id"], vote["criterion"]), []).append(ahead)
    assert all(len(both) == 2 and both[0] == pytest.approx(both[1]) for both in said.values())
    return {key: both[0] for key, both in said.items()}


def reasons(found: Imported) -> list[tuple[str, str]]:
    return [(str(one.row_id).split(" row ")[1], one.reason) for one in found.rejects]


@files
def test_rows_in_are_those_that_gave_something_and_rejects(name: str) -> None:
    found, told = take(name), FILES[name]
    assert found.layout == told.layout
    assert (found.gave, found.rejected, found.repeats) == told.rows
    assert found.rows == sum(told.rows) == len(read(FOLDER / f"{name}.jsonl")[0])
    assert (found.responses.height, found.votes.height) == (told.responses, told.votes)


@files
def test_sides_and_order_are_right_and_ties_are_no_pair_to_train_on(name: str) -> None:
    found, told = take(name), FILES[name]
    decided = [better(pair) for pair in found.pairs.to_dicts() if pair["label"] != 0.5]
    assert set(decided) == told.pairs and len(decided) == len(told.pairs)
    assert found.ties == told.ties
    assert found.pairs.height - len(decided) <= told.ties


@files
def test_both_orders_of_every_vote_are_there_and_say_the_same(name: str) -> None:
    votes = {
        (one["judge_id"], one["criterion"], one["first_id"], one["second_id"]): one["p_first"]
        for one in take(name).votes.to_dicts()
    }
    for (judge, criterion, first, second), p in votes.items():
        assert votes[judge, criterion, second, first] == pytest.approx(1 - p)


def test_a_beginning_that_differs_is_a_reject_and_not_a_pair() -> None:
    why = "differ before their last turn: they answer different prompts"
    assert reasons(take("hh")) == [("3", f"chosen and rejected {why}")]
    assert reasons(take("arena_55k"))[0] == ("3", f"response_a and response_b {why}")
    assert reasons(take("arena_conversations")) == [
        ("3", f"conversation_a and conversation_b {why}")
    ]


def test_what_an_arena_row_lacks_or_says_twice_is_a_reject() -> None:
    assert reasons(take("arena_55k"))[1:] == [
        ("4", "response_b has a turn without content"),
        (
            "5",
            "2 of winner_model_a, winner_model_b, winner_tie are 1: exactly one says who won",
        ),
    ]


def test_several_turns_before_the_answer_are_the_prompt() -> None:
    for name in ("hh", "skywork"):
        assert [turn["role"] for turn in pair_of(take(name), "Walnut.")["messages"]] == [
            "user",
            "assistant",
            "user",
        ]
    roles = {
        row["text"]: [turn["role"] for turn in row["messages"]]
        for name in ("nectar", "helpsteer")
        for row in take(name).responses.to_dicts()
    }
    assert roles["Spoon."] == roles["Wren."] == ["user", "assistant", "user"]
    assert roles["Apple."] == ["user"]


def test_ratings_per_aspect_are_votes_of_the_sets_annotator() -> None:
    found = take("ultrafeedback_raw")
    judge = "UltraFeedback annotator"
    assert p_of(found, "Apple.", "Chair.") == {(judge, "helpfulness"): 1, (judge, "honesty"): 0}
    # its honesty is N/A
    (only,) = p_of(found, "Pear.", "Chair.").items()
    assert only == ((judge, "helpfulness"), 1)
    assert set(found.votes["method"]) == {"scores"}
    apple = next(row for row in found.responses.to_dicts() if row["text"] == "Apple.")
    assert (apple["rank"], apple["score"], apple["policy"]) == (1, 8.0, "m1")
    kept = json.loads(apple["metadata"])
    assert kept["annotations"]["helpfulness"]["Rationale"] == "Apple. is what it is."
    assert kept["source"] == "made here" and kept["fine-grained_score"] == 4.0


def test_helpsteers_rows_meet_by_prompt_and_a_tie_keeps_its_votes() -> None:
    found = take("helpsteer")
    said = p_of(found, "Walnut.", "Pecan.")
    assert {criterion: p for (_, criterion), p in said.items()} == {
        "helpfulness": 0.5, "correctness": 1, "coherence": 0.5, "complexity": 0.5,
        "verbosity": 0.5,
    }  # fmt: skip
    assert pair_of(found, "Walnut.")["label"] == 0.5
    alone = next(row for row in found.responses.to_dicts() if row["text"] == "Wren.")
    assert (alone["list_id"], alone["score"]) == (None, 4.0)
    assert reasons(found) == [("6", "helpfulness is 'high', not a number")]


def test_grades_of_several_people_are_kept_beside_the_label() -> None:
    found = take("helpsteer3")
    assert p_of(found, "Apple.", "Chair.") == {
        ("annotator1", "overall"): pytest.approx(1),
        ("annotator2", "overall"): pytest.approx(4 / 6),
    }
    pair = pair_of(found, "Apple.")
    kept = json.loads(pair["metadata"])
    assert kept["individual_preference"][0]["reasoning"] == "Only one is a fruit."
    assert kept["grade"] == (1.0 if pair["first"] == "Apple." else 0.0)
    chair = pair["first_id"] if pair["first"] == "Chair." else pair["second_id"]
    assert kept["first_of_file"] == chair and kept["domain"] == "general"
    assert p_of(found, "Walnut.", "Pecan.") == {("annotator1", "overall"): 0.5}
    assert reasons(found) == [("3", "overall_preference is -4, outside [-3, 3]")]
    assert p_of(take("helpsteer2_preferences"), "Apple.", "Chair.") == {
        ("annotator1", "overall"): pytest.approx(5 / 6),
        ("annotator2", "overall"): 0.5,
    }


def test_helpful_and_safe_may_disagree() -> None:
    judge = "PKU-SafeRLHF annotators"
    said = p_of(take("pku"), "Apple.", "Chair.")
    assert said == {(judge, "helpful"): 1, (judge, "safe"): 0}
    kept = json.loads(pair_of(take("pku"), "Walnut.")["metadata"])
    assert kept["is_response_1_safe"] is False


def test_a_ranked_list_keeps_its_ranks_and_a_bad_item_is_a_reject_of_its_own() -> None:
    found = take("nectar")
    rows = found.responses.to_dicts()
    fruits = {row["text"]: row["rank"] for row in rows if len(row["messages"]) == 1}
    assert fruits == {"Apple.": 1, "A kind of pear.": 2, "Pear-like.": 2, "Chair.": 4}
    assert len({row["list_id"] for row in rows}) == 2
    assert reasons(found) == [
        ("2", "response 3: rank is 'last', not a number"),
        ("3", "answers is no list of responses"),
    ]
    lists = {json.loads(pair["metadata"])["list_id"] for pair in found.pairs.to_dicts()}
    assert lists == {row["list_id"] for row in rows}


def test_right_answers_of_the_ties_subset_have_no_preference_among_them() -> None:
    found = take("rewardbench2")
    ranks = {row["text"]: row["rank"] for row in found.responses.to_dicts()}
    assert (ranks["Walnut."], ranks["Pecan."], ranks["Fork."], ranks["Apple."]) == (1, 1, 3, 1)
    assert not {("Walnut.", "Pecan."), ("Pecan.", "Walnut.")} & {
        (pair["first"], pair["second"]) for pair in found.pairs.to_dicts()
    }
    assert {json.loads(row["metadata"])["subset"] for row in found.responses.to_dicts()} == {
        "Factuality",
        "Ties",
    }


def test_a_thumb_is_a_response_and_a_contradicting_one_a_reject() -> None:
    found = take("thumbs")
    assert {(row["text"], row["desirable"]) for row in found.responses.to_dicts()} == {
        ("Apple.", True),
        ("Chair.", False),
        ("Walnut.", True),
    }
    assert found.pairs.is_empty()
    assert [where for where, _ in reasons(found)] == ["4", "5", "6"]


@pytest.mark.parametrize(
    ("name", "models", "scores"),
    [
        ("ultrafeedback_binarized", (None, None), (8.0, 2.0)),
        ("tulu3", ("big", "small"), (5.0, 1.0)),
        ("argilla_dpo", (None, None), (5.0, 4.0)),
        ("argilla_cleaned", ("big", "small"), (4.5, 3.0)),
        ("ultrafeedback_raw", ("m1", "m2"), (8.0, 2.0)),
        ("arena_conversations", ("m1", "m2"), (None, None)),
        ("alpaca_eval", ("m2", "m1"), (None, None)),
    ],
)
def test_models_and_scores_stay_with_their_sides(
    name: str, models: tuple[str, str], scores: tuple[float, float]
) -> None:
    pair = next(one for one in take(name).pairs.to_dicts() if better(one) == FRUIT)
    assert (side_of(pair, "Apple.", "policy"), side_of(pair, "Chair.", "policy")) == models
    assert (side_of(pair, "Apple.", "score"), side_of(pair, "Chair.", "score")) == scores


def test_each_annotator_of_a_record_is_a_voter_and_discarded_ones_are_none() -> None:
    found = take("argilla_records")
    assert p_of(found, "Apple.", "Chair.") == {("ann", "preference"): 1, ("bob", "preference"): 0.5}
    pair = pair_of(found, "Apple.")
    assert side_of(pair, "Apple.", "policy") is None
    assert (pair["label"] if pair["first"] == "Apple." else 1 - pair["label"]) == 0.75
    assert reasons(found) == [("3", "no annotator names one of response-1, response-2, or a tie")]


def test_arena_keeps_who_voted_and_that_both_are_bad() -> None:
    found = take("arena_conversations")
    assert p_of(found, "Apple.", "Chair.") == {("user_1", "overall"): 1}
    assert json.loads(pair_of(found, "Spoon.")["metadata"])["both_bad"] is True
    assert set(take("arena_55k").votes["judge_id"]) == {"arena voters"}


def test_an_input_is_a_part_of_alpaca_evals_prompt() -> None:
    pair = pair_of(take("alpaca_eval"), "Noix.")
    assert pair["messages"][0]["content"] == "Translate to French.\n\nwalnut"
    assert pair["label"] == 0.5
