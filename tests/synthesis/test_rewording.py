"""Wording by the model: what passes says the same, what fails keeps its template,
and both sides stay alike.
"""

from typing import Any

import polars as pl
import pytest

from pipeline.config import MaplSettings
from pipeline.engine.base import AGAIN, Unanswered
from pipeline.synthesis.mapl import synthesise
from pipeline.synthesis.rewording import _filled, fault, reword_all
from pipeline.verify.instructions import Instruction, read
from pipeline.verify.instructions.text import words
from tests.scripted import ScriptedEngine
from tests.synthesis.test_mapl import frames

WORDS = Instruction("length_constraints:number_words", {"relation": "at least", "num_words": 5})
UNIQUE = Instruction("counts:unique_words", {"relation": "at least", "number": 5})
COMMA = Instruction("punctuation:no_comma", {})
USE = Instruction("keywords:existence", {"keywords": ["river"]})


@pytest.mark.parametrize(
    ("one", "new", "reason"),
    [
        (WORDS, "Please reply with at least 5 words.", None),
        (COMMA, "Please write without commas.", None),
        (USE, 'Please start with "river" in the reply.', "nothing to check it by"),
        (WORDS, "", "empty"),
        (WORDS, "use  at least 5 words", "the template's own words"),
        (WORDS, "Sure!\nUse at least 5 words.", "more than one line"),
        (WORDS, "Please reply with at least five words.", "other numbers"),
        (WORDS, "Please reply with at least 5 words, or 6.", "other numbers"),
        (WORDS, "Please reply with at most 5 words.", "another comparison"),
        (WORDS, "Please reply with at least 5 sentences.", "what it is about is missing"),
        (WORDS, "Do not reply with at least 5 words.", "negated otherwise"),
        (
            WORDS,
            " ".join(["Please reply with at least 5 words"] * 2),
            "longer or shorter than allowed",
        ),
        (UNIQUE, "Please reply with at least 5 words.", "it may be about something else"),
        (COMMA, "Please use a comma.", "negated otherwise"),
        (COMMA, "Please write without full stops.", "what it is about is missing"),
        (USE, 'Please mention "rivers" in the reply.', "other quoted words"),
        (USE, "Please mention the river in the reply.", "other quoted words"),
    ],
)
def test_a_rewording_passes_or_has_a_reason(one: Instruction, new: str, reason: str | None) -> None:
    assert fault(new, one, one.text(0), 2.0) == reason


class Rewriter(ScriptedEngine):
    """Answers an instruction with a function of it."""

    def __init__(self, rewrite: Any) -> None:
        super().__init__(
            lambda prefix, sampling, n: rewrite(self.calls[-1][0].messages[-1]["content"])
        )


def made() -> tuple[pl.DataFrame, pl.DataFrame]:
    responses, pairs = frames(40)
    return synthesise(responses, pairs, MaplSettings(), 0)[0], responses


def test_both_sides_get_the_same_words_and_the_row_stays_valid() -> None:
    rows, responses = made()
    new, rejects, kept = reword_all(
        Rewriter(lambda text: "Please: " + text), rows, responses, MaplSettings(), 0
    )
    assert new.height == rows.height and not rejects
    n = sum(len(read(each)) for each in rows["instructions"])
    assert new["reworded"].sum() + sum(kept.values()) == n and new["reworded"].sum() > 0.3 * n
    assert set(new.filter(pl.col("reworded") > 0)["synthesis_id"]).isdisjoint(rows["synthesis_id"])
    for row in new.filter((pl.col("kind") == "intra") & (pl.col("reworded") > 0)).to_dicts():
        asked = [row[key][-1]["content"].split("\n") for key in ("messages", "other_messages")]
        assert [line.startswith("- Please: ") for line in asked[0]] == [
            line.startswith("- Please: ") for line in asked[1]
        ]
        assert len(words("\n".join(asked[0]))) == len(words("\n".join(asked[1])))
        for line, one in zip(
            asked[1][-len(read(row["instructions"])) :],
            read(row["other_instructions"]),
            strict=True,
        ):
            # the worse prompt's own arguments
            assert any(one.text(style) in line for style in range(3))
    assert new.equals(
        reword_all(Rewriter(lambda text: "Please: " + text), rows, responses, MaplSettings(), 0)[0]
    )


def test_a_word_of_the_template_is_no_argument_of_it() -> None:
    be, of = (Instruction("order:first_word", {"word": word}) for word in ("be", "of"))
    assert be.text(0) == 'The first word must be "be".'
    # it would become 'let the first word of'
    assert _filled('Please let the first word be "be".', be, of, 0) is None
    ok, so = (Instruction("order:first_word", {"word": word}) for word in ("ok", "so"))
    assert (
        _filled('Please let the first word be "ok".', ok, so, 0)
        == 'Please let the first word be "so".'
    )


def test_a_model_that_answers_instead_of_rewording_changes_nothing_but_the_count() -> None:
    rows, responses = made()
    new, rejects, kept = reword_all(
        Rewriter(lambda text: "Rivers flow."), rows, responses, MaplSettings(), 0
    )
    assert not rejects and new["reworded"].sum() == 0 and new["tokens"].sum() > 0
    assert sum(kept.values()) == sum(len(read(each)) for each in rows["instructions"])
    unchanged = rows.drop("tokens").sort("synthesis_id")
    assert new.drop("tokens").equals(unchanged)


def test_the_side_that_the_model_sees_is_drawn_so_its_words_tell_nothing_of_the_better() -> None:
    rows, responses = made()
    shown = own = 0
    for row in rows.filter(pl.col("kind") == "intra").to_dicts():
        # one row at a time: its worse prompt is another row's better
        engine = Rewriter(lambda text: "Please: " + text)
        reword_all(engine, pl.DataFrame([row], schema=rows.schema), responses, MaplSettings(), 0)
        better = [one.text(style) for one in read(row["instructions"]) for style in range(3)]
        shown += len(engine.calls)
        own += sum(call[0].messages[-1]["content"] in better for call in engine.calls)
    share = own / shown
    assert 0.35 < share < 0.8  # some texts are on both sides


def test_a_row_that_no_server_reworded_is_asked_for_again_and_keeps_no_template_for_good() -> None:
    def away(text: str) -> str:
        raise Unanswered("5 tries failed")

    rows, responses = made()
    new, rejects, _ = reword_all(Rewriter(away), rows.head(3), responses, MaplSettings(), 0)
    assert new.is_empty() and {reject.reason for reject in rejects} == {f"5 tries failed: {AGAIN}"}
    assert {reject.row_id for reject in rejects} == set(rows.head(3)["synthesis_id"])


def test_a_wrong_share_in_the_table_is_found_when_the_checkers_run_again() -> None:
    rows, responses = made()
    wrong = rows.head(3).with_columns(fulfilled=pl.lit(0.123))
    new, rejects, _ = reword_all(
        Rewriter(lambda text: "Please: " + text), wrong, responses, MaplSettings(), 0
    )
    assert new.is_empty() and len(rejects) == 3
    assert all(
        reject.reason.startswith("its own checker disagrees after rewording") for reject in rejects
    )
