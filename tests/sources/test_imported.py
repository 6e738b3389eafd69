"""Imported votes and labelled pairs: known files by hand, and every kind of bad row."""

import json
import math
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from assets.cli.importing import bring
from assets.cli.main import app
from pipeline import tables
from pipeline.config import JudgeSettings
from pipeline.errors import OrchardError
from pipeline.ids import content_id
from pipeline.prompts.files import read
from pipeline.sources import imported
from pipeline.sources.names import Names
from pipeline.store import Commit, Lake
from tests.judge.simulated import prompts, responses

DATA = Path(__file__).parent / "data"
GOOD = {"prompt": "2 + 2?", "first": "4", "second": "5", "judge_id": "j", "p_first": 0.9}
SWAPPED = {**GOOD, "first": "5", "second": "4", "p_first": 0.2}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def take(*rows: dict[str, object], known: dict[str, str] | None = None) -> imported.Imported:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    names = Names(
        (response_id, prompt_id, None) for response_id, prompt_id in (known or {}).items()
    )
    return imported.read(enumerate(rows, start=1), columns, "f.jsonl", names)


def test_a_past_judges_verdicts_are_replayed_into_its_report_card(home: Path) -> None:
    """Six pairs of JudgeBench, by hand:
    one right, one wrong, three flips (two to the first seat), one half tie.
    """
    brought = bring(DATA / "judgebench_votes.jsonl", JudgeSettings())
    assert (brought.votes, brought.pairs, brought.rejected) == (12, 6, 0)
    card = brought.cards.to_dicts()[0]
    assert (card["judge_id"], card["n_pairs"], card["n_labelled"], card["tokens"]) == (
        "claude-3-haiku",
        6,
        6,
        0,
    )
    assert card["accuracy"] == pytest.approx((1 + 0 + 4 * 0.5) / 6)
    assert card["flip_rate"] == 0.5
    # Five decided pairs; consistent ones give 1 of 2.
    assert card["first_share"] == pytest.approx((2 * 2 + 2) / (2 * 5))
    with Lake(home) as lake:
        assert lake.read("votes").height == 12 and lake.read("recorded_pairs").height == 6
        # nothing that would be trained on
        assert lake.read("prompts").is_empty() and lake.read("responses").is_empty()
    again = bring(DATA / "judgebench_votes.jsonl", JudgeSettings())
    with Lake(home) as lake:
        # up to the order in which floats were summed
        assert_frame_equal(again.cards, brought.cards)
        assert lake.read("votes").height == 12


def test_labelled_pairs_of_llmbar_and_pandalm_come_in_by_their_own_columns(home: Path) -> None:
    assert bring(DATA / "llmbar.json", JudgeSettings()).pairs == 5
    # one pair came from two pairs of models
    assert bring(DATA / "pandalm.json", JudgeSettings()).pairs == 3
    with Lake(home) as lake:
        pairs = lake.read("recorded_pairs").to_dicts()
    for raw in json.loads((DATA / "llmbar.json").read_text()):
        better = raw[f"output_{raw['label']}"].strip()
        found = next(
            p for p in pairs if p["origin"] == "llmbar.json" and better in (p["first"], p["second"])
        )
        assert found["label"] == (1.0 if found["first"] == better else 0.0)
    # annotators say tie, tie, second
    split = next(p for p in pairs if "keep a promise" in (p["first"], p["second"]))
    assert split["label"] == pytest.approx(1 / 3 if split["first"] == "keep a promise" else 2 / 3)
    assert {split["first_policy"], split["second_policy"]} == {"bloom-7b", "opt-7b"}


def test_each_of_pandalms_annotators_is_a_voter_of_its_own(home: Path) -> None:
    brought = bring(DATA / "pandalm.json", JudgeSettings())
    assert brought.votes == 3 * 3 * 2  # pairs, annotators, orders: people's votes have no seat
    with Lake(home) as lake:
        pairs = {p["pair_id"]: p for p in lake.read("recorded_pairs").to_dicts()}
        votes = lake.read("votes")
    split = next(p for p in pairs.values() if "keep a promise" in (p["first"], p["second"]))
    seen = votes.filter(first_id=split["first_id"], second_id=split["second_id"])
    last = 0.0 if split["first"] == "keep a promise" else 1.0
    said = {"annotator1": 0.5, "annotator2": 0.5, "annotator3": last}  # tie, tie, the longer answer
    assert dict(seen.select("judge_id", "p_first").iter_rows()) == said
    shared = {"instruction": "q", "response1": "a", "response2": "b", "annotator2": None}
    found = take({**shared, "annotator1": 1}, {**shared, "response2": "c", "annotator1": 7})
    assert sorted(found.votes["p_first"]) == [0.0, 1.0] and set(found.votes["judge_id"]) == {
        "annotator1"
    }
    assert [r.reason for r in found.rejects] == ["verdict 7 is none of 1, 2 and 0"]


def test_verdicts_by_pair_id_find_the_pairs_of_an_earlier_import(home: Path) -> None:
    """JudgeBench's two files:
    pairs with texts, and a judge's verdicts in both orders, the swapped one as printed.
    """
    pairs = [
        {"pair_id": n, "question": f"q{n}", "response_A": f"a{n}", "response_B": f"b{n}",
         "label": "A>B"}
        for n in range(4)
    ]  # fmt: skip
    # Right, wrong, a flip to seat one, half a tie.
    said = [
        ("A>B", "B>A"),
        ("B>A", "A>>B"),
        ("A>B", "A>B"),
        ("A=B", "B>A"),
    ]
    rows = [
        {"pair_id": n, "label": "A>B", "old-judge": {"orig": one, "swapped": other}}
        for n, (one, other) in enumerate(said)
    ]
    for name, content in (("pairs.jsonl", pairs), ("said.jsonl", rows)):
        (home.parent / name).write_text("\n".join(map(json.dumps, content)))
    with pytest.raises(OrchardError, match="unknown id '0-A' in first_id"):
        bring(home.parent / "said.jsonl", JudgeSettings())
    assert bring(home.parent / "pairs.jsonl", JudgeSettings()).pairs == 4
    for _ in range(2):  # a second import replaces the first
        brought = bring(home.parent / "said.jsonl", JudgeSettings())
        card = brought.cards.to_dicts()[0]
        assert (brought.votes, brought.pairs, brought.rejected, card["n_labelled"]) == (8, 4, 0, 4)
        assert (card["judge_id"], card["accuracy"], card["flip_rate"]) == (
            "old-judge",
            (1 + 0 + 0.5 + 0.5) / 4,
            0.25,
        )
        # a0 and b0 are equally long: the texts of the first file are known
        assert card["longer_share"] is None


def test_a_vote_keeps_its_order_and_both_sides_their_ids() -> None:
    votes = take(GOOD, SWAPPED).votes.to_dicts()
    one, other = sorted(votes, key=lambda v: -v["p_first"])
    assert (one["first_id"], one["second_id"]) == (other["second_id"], other["first_id"])
    assert (one["p_first"], other["p_first"]) == (0.9, 0.2)
    assert not tables.Votes.filter(pl.DataFrame(votes, schema=tables.empty("votes").schema))[
        1
    ].counts()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"p_first": 1.2}, "p_first is 1.2, outside [0, 1]"),
        ({"p_first": -0.1}, "p_first is -0.1, outside [0, 1]"),
        ({"p_first": float("nan")}, "verdict None is none of first, second and tie"),
        ({"p_first": "high"}, "p_first is 'high', not a number"),
        ({"p_first": None, "verdict": "C>A"}, "verdict 'C>A' is none of first, second and tie"),
        ({"p_first": None}, "verdict None is none of first, second and tie"),
        ({"first": "5"}, "identical responses"),
        ({"first": "  "}, "first is empty"),
        ({"second": 17}, "second holds a number, not text"),
        ({"prompt": ["x"]}, "prompt is neither a text nor a list of turns with role and content"),
        ({"prompt": None}, "no first response: give prompt and first, or first_id"),
        (
            {"first": None, "first_id": "r9"},
            "unknown id 'r9' in first_id: no such response here, and the row gives no",
        ),
        ({"judge_id": None}, "neither a judge_id nor a label"),
        ({"first_score": 3}, "second_score is None, not a number"),
        (
            {"label": "maybe"},
            "label 'maybe' is none of first, second and tie, nor a share in [0, 1]",
        ),
        ({"label": 2}, "label 2 is none of first, second and tie, nor a share in [0, 1]"),
    ],
)
def test_a_bad_row_is_rejected_with_its_number_and_reason_and_the_others_go_on(
    changes, reason: str
) -> None:
    found = take(GOOD, SWAPPED, {**GOOD, "prompt": "other", **changes})
    assert [(r.row_id, r.reason[: len(reason)]) for r in found.rejects] == [
        ("f.jsonl row 3", reason)
    ]
    assert found.votes.height == 2


def test_a_vote_whose_other_order_is_missing_or_that_comes_twice_is_rejected() -> None:
    alone = {**GOOD, "prompt": "alone"}
    found = take(GOOD, SWAPPED, alone, {**GOOD, "p_first": 0.1})
    assert {(r.row_id, r.reason[:24]) for r in found.rejects} == {
        ("f.jsonl row 3", "one order is missing: th"),
        ("f.jsonl row 4", "the same judge judged th"),
    }
    assert set(found.votes["p_first"]) == {0.9, 0.2}


def test_recorded_scores_have_no_seat_and_one_row_holds_both_orders() -> None:
    pair = {"prompt": "2 + 2?", "first": "4", "second": "5", "judge_id": "j"}
    found = take(
        {**pair, "first_score": [5, 4, 4], "second_score": [4, 3, 4]},
        {**pair, "prompt": "q", "first_score": 2, "second_score": 2.5},
    )
    assert not found.rejects and set(found.votes["method"]) == {"scores"}
    by_text = {row["first_id"]: row["p_first"] for row in found.votes.to_dicts()}
    ids = {
        side: row[f"{side}_id"] for row in found.pairs.to_dicts() for side in ("first", "second")
    }
    assert len(ids) == 2 and found.votes.height == 4
    # of nine pairs of draws (5,4,4) beats (4,3,4) in 3 + 1 + 1, with ties in 2 + 2: (5 + 2) / 9
    assert sorted(by_text.values()) == pytest.approx([0.0, 2 / 9, 7 / 9, 1.0])
    assert sorted(found.votes["score_first"]) == pytest.approx([2, 2.5, 11 / 3, 13 / 3])


def test_single_scores_become_the_pairs_of_each_prompt_and_lonely_or_bad_ones_rejects() -> None:
    def one(response: str, score: object, prompt: str = "2 + 2?") -> dict[str, object]:
        return {"prompt": prompt, "response": response, "judge_id": "j", "score": score}

    rows = [
        one("4", 9),
        one("5", 1),
        one("four", 9),
        one("alone", 3, "other"),
        one("6", "high"),
        one("7", math.inf),
    ]
    found = take(*rows, {**one("8", 1), "judge_id": None})
    assert found.pairs.height == 3 and found.votes.height == 6
    assert sorted(found.votes["p_first"]) == [0.0, 0.0, 0.5, 0.5, 1.0, 1.0]
    assert {(r.row_id[-1], r.reason[:22]) for r in found.rejects} == {
        ("4", "one response only: thi"),
        ("5", "score is 'high', not a"),
        ("6", "score is inf, not fini"),
        ("7", "a score needs prompt, "),
    }


@pytest.mark.parametrize(
    "row", [{"input": "q", "output_1": "a", "label": []}, {"instruction": "q", "annotator1": "x"}]
)
def test_a_row_of_a_known_set_that_lacks_something_is_rejected_and_not_fatal(
    row: dict[str, object],
) -> None:
    whole = {"input": "q", "output_1": "a", "output_2": "b", "label": 1}
    if "instruction" in row:
        whole = {"instruction": "q", "response1": "a", "response2": "b", "annotator1": 0}
    found = take(whole, row)
    assert found.pairs.height == 1 and [reject.row_id for reject in found.rejects] == [
        "f.jsonl row 2"
    ]


def test_two_labels_of_one_pair_may_not_contradict_each_other() -> None:
    found = take(
        {**GOOD, "label": "first"}, {**SWAPPED, "label": "second"}, {**SWAPPED, "label": "first"}
    )
    assert [r.reason for r in found.rejects] == [
        "its label contradicts that of an earlier row of the same pair"
    ]
    pair = found.pairs.to_dicts()[0]
    assert found.pairs.height == 1 and pair["label"] == (1.0 if pair["first"] == "4" else 0.0)


def test_ids_of_this_lakes_responses_need_no_texts_and_must_share_a_prompt() -> None:
    vote = {"first_id": "r1", "second_id": "r2", "judge_id": "j", "verdict": "A"}
    other = {"first_id": "r2", "second_id": "r1", "judge_id": "j", "verdict": "second"}
    stray = {"first_id": "r1", "second_id": "r3", "judge_id": "j", "verdict": "A"}
    found = take(vote, other, stray, known={"r1": "p", "r2": "p", "r3": "q"})
    assert set(found.votes["prompt_id"]) == {"p"} and set(
        found.votes.filter(pl.col("first_id") == "r1")["p_first"]
    ) == {1}
    assert [r.reason for r in found.rejects] == ["the two responses belong to different prompts"]


def judged(prompt: str, names: tuple[str, str], first_is_better: bool) -> list[dict[str, object]]:
    """Both orders of a labelled pair by a judge that is right.

    The file has an id for each response.
    """
    texts = {name: f"{name} says {prompt}" for name in names}
    row = {"prompt": prompt, "judge_id": "j"}
    found = []
    for one, other, sign in ((*names, 1), (*names[::-1], -1)):
        shown = {"first_id": one, "second_id": other, "first": texts[one], "second": texts[other]}
        wins = first_is_better == (sign == 1)
        found.append(
            {
                **row,
                **shown,
                "p_first": 0.9 if wins else 0.1,
                "label": "first" if wins else "second",
            }
        )
    return found


def test_ids_that_are_names_of_models_are_other_responses_under_every_prompt(home: Path) -> None:
    """In 30 prompts the same two names, the better side changing:
    all votes count, and all are right.
    """
    rows = [row for i in range(30) for row in judged(f"q{i}", ("gpt4", "llama"), i % 2 == 0)]
    file = home.parent / "named.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    brought = bring(file, JudgeSettings())
    card = brought.cards.to_dicts()[0]
    assert (brought.votes, brought.pairs, brought.rejected) == (60, 30, 0)
    assert (card["n_labelled"], card["accuracy"]) == (30, 1.0)


def test_two_files_that_use_the_same_ids_for_other_prompts_do_not_touch_each_other(
    home: Path,
) -> None:
    files = {}
    for name, better in (("sums", True), ("capitals", False)):
        rows = [row for i in range(9) for row in judged(f"{name} {i}", (f"a{i}", f"b{i}"), better)]
        files[name] = home.parent / f"{name}.jsonl"
        files[name].write_text("\n".join(map(json.dumps, rows)))
    for name in ("sums", "capitals", "sums"):
        card = bring(files[name], JudgeSettings()).cards.to_dicts()[0]
        assert (card["n_labelled"], card["accuracy"]) == (9, 1.0), name
    by_name = {"first_id": "a0", "second_id": "b0", "judge_id": "k", "verdict": "A"}
    both = [by_name, {**by_name, "first_id": "b0", "second_id": "a0", "verdict": "B"}]
    third = home.parent / "third.jsonl"
    third.write_text("\n".join(map(json.dumps, both)))
    with pytest.raises(
        OrchardError, match="id 'a0' names 2 responses: give prompt, first and second as well"
    ):
        bring(third, JudgeSettings())


def test_an_id_of_this_lake_is_taken_beside_a_prompt_only_if_the_response_answers_it(
    home: Path,
) -> None:
    with Lake(home) as lake:
        lake.write("prompts", prompts("p"), Commit("test"))
        lake.write(
            "responses", responses({"p": ["1", "2"]}, lambda text: text == "1"), Commit("test")
        )
    file = home.parent / "v.jsonl"
    rows = judged("question p", ("p-0", "p-1"), True) + judged(
        "another question", ("p-0", "p-1"), False
    )
    file.write_text("\n".join(map(json.dumps, rows)))
    assert bring(file, JudgeSettings()).rejected == 0
    with Lake(home) as lake:
        votes, pairs = lake.read("votes"), lake.read("recorded_pairs")
    assert set(votes.filter(prompt_id="p")["first_id"]) == {"p-0", "p-1"} and votes.height == 4
    other = content_id([{"role": "user", "content": "another question"}])
    ids = {content_id("v.jsonl", other, name) for name in ("p-0", "p-1")}
    assert set(votes.filter(prompt_id=other)["first_id"]) == ids
    assert {*pairs["first_name"], *pairs["second_name"]} == {"p-0", "p-1"}
    assert not tables.RecordedPairs.filter(pairs)[1].counts()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (
            "v.jsonl",
            '{"prompt": "p", "first": "a", "judge_id": "j", "p_first": 1}',
            "name the pair by prompt, first",
        ),
        (
            "v.jsonl",
            '{"prompt": "p", "first": "a", "second": "b", "p_first": 1}',
            "column judge_id is missing",
        ),
        (
            "v.csv",
            "prompt,first,second,judge_id\np,a,b,j\n",
            "column p_first or verdict is missing: "
            "a vote needs judge_id, and p_first, verdict or two scores",
        ),
        ("v.jsonl", json.dumps(GOOD), "no row could be used: v.jsonl row 1: one order is missing"),
        ("v.json", '{"a": 1}', "is not a JSON array of objects"),
        ("v.jsonl", "not json", "row 1 is not JSON"),
        ("v.txt", "x", "unknown kind of file"),
    ],
)
def test_a_bad_file_is_one_clear_error_and_nothing_is_written(
    home: Path, name: str, content: str, says: str
) -> None:
    file = home.parent / name
    file.write_text(content)
    with pytest.raises(OrchardError, match=says):
        bring(file, JudgeSettings())
    with pytest.raises(OrchardError, match="no file"):
        bring(home.parent / "none.jsonl", JudgeSettings())
    if home.exists():
        with Lake(home) as lake:
            assert lake.read("votes").is_empty() and lake.read("recorded_pairs").is_empty()


def test_csv_and_parquet_say_the_same_as_jsonl(tmp_path: Path) -> None:
    frame = pl.DataFrame([GOOD, SWAPPED])
    frame.write_csv(tmp_path / "v.csv")
    frame.write_parquet(tmp_path / "v.parquet")
    (tmp_path / "v.jsonl").write_text("\n".join(json.dumps(row) for row in (GOOD, SWAPPED)))
    found = [
        imported.read(*read(tmp_path / f"v.{kind}"), "v", Names()).votes
        for kind in ("jsonl", "csv", "parquet")
    ]
    assert found[0].equals(found[1]) and found[0].equals(found[2]) and found[0].height == 2


def test_a_recorded_vote_on_this_lakes_own_responses_is_counted_beside_the_models(
    home: Path,
) -> None:
    with Lake(home) as lake:
        lake.write(
            "responses", responses({"p": ["1", "2"]}, lambda text: text == "1"), Commit("test")
        )
    file = home.parent / "v.jsonl"
    rows = [
        {"first_id": "p-0", "second_id": "p-1", "judge_id": "j", "p_first": 0.8},
        {"first_id": "p-1", "second_id": "p-0", "judge_id": "j", "p_first": 0.3},
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    card = bring(file, JudgeSettings()).cards.to_dicts()[0]
    assert (card["accuracy"], card["n_labelled"], card["source"], card["origin"]) == (
        1.0,
        1,
        "recorded",
        "v.jsonl",
    )


def test_the_command_shows_the_card_and_a_bad_file_is_one_line_and_exit_1(home: Path) -> None:
    shown = CliRunner().invoke(app, ["import", str(DATA / "judgebench_votes.jsonl")])
    assert shown.exit_code == 0 and "12 votes, 6 pairs, 0 rejected rows" in shown.stdout
    assert "claude-3-haiku, overall: near chance: right on 0.50" in shown.stdout
    failed = CliRunner().invoke(app, ["import", "none.jsonl"])
    assert failed.exit_code == 1 and failed.stderr.startswith("orchard: no file none.jsonl")
    assert failed.stderr.count("\n") == 1
