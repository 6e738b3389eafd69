"""Sampled responses over a scripted engine: every draw is a row or a reject."""

import json
from collections.abc import Sequence
from dataclasses import replace

import polars as pl
import pytest

from pipeline import responses, tables
from pipeline.config import SamplingSettings
from pipeline.engine.base import (
    Completion,
    DrawFailed,
    Prompt,
    RequestFailed,
    Sampling,
    Unanswered,
)
from pipeline.ids import seed_for
from pipeline.validation import evaluate
from pipeline.validation.evaluate import Candidate
from tests.scripted import ScriptedEngine

SETTINGS = SamplingSettings(n=3, max_tokens=8)


def prompts(*contents: str, verifier: str | None = "number") -> pl.DataFrame:
    common = {
        "pool": "p",
        "task": "t",
        "split": "train",
        "answer": "7",
        "source": "test",
        "licence": "none",
    }
    rows = [
        {
            **common,
            "prompt_id": c,
            "messages": [{"role": "user", "content": c}],
            "verifier": verifier,
        }
        for c in contents
    ]
    return pl.DataFrame(rows, schema=tables.empty("prompts").schema)


def test_right_wrong_and_empty_draws_are_told_apart() -> None:
    engine = ScriptedEngine(
        lambda prefix, sampling, n: [" The answer is 7. ", "The answer is 17.", "  "][n]
    )
    rows, rejects = responses.draw(engine, prompts("3 + 4"), SETTINGS, run_seed=1)
    assert rows.select("text", "answer", "correct").rows() == [
        ("The answer is 7.", "7", True),
        ("The answer is 17.", "17", False),
    ]
    assert [reject.reason for reject in rejects] == ["empty generation"]
    assert not tables.Responses.filter(rows)[1].counts()
    assert json.loads(rows["sampling"][0])["temperature"] == 0.8


def test_a_prompt_that_is_too_long_is_one_reject_and_the_others_go_on() -> None:
    rows, rejects = responses.draw(
        ScriptedEngine(lambda prefix, sampling, n: "7"),
        prompts("too long", "3 + 4"),
        SETTINGS,
        run_seed=1,
    )
    assert set(rows["prompt_id"]) == {"3 + 4"} and rows.height == 3
    assert [(reject.row_id, reject.reason[:13]) for reject in rejects] == [
        ("too long", "prompt of 999")
    ]


class LosesADraw(ScriptedEngine):
    """A server that breaks on one seed."""

    bad = seed_for(1, "a", "response", 1)
    error: RequestFailed = Unanswered("2 tries failed")

    async def sample(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        if self.bad in seeds:
            raise self.error
        return await super().sample(prompt, sampling, seeds)


def test_a_draw_that_fails_does_not_cost_its_prompt_the_others() -> None:
    engine = LosesADraw(lambda prefix, sampling, n: "7")
    rows, rejects = responses.draw(engine, prompts("a", "b"), SETTINGS, run_seed=1)
    drawn = rows.select("prompt_id", "draw").sort("prompt_id", "draw").rows()
    assert drawn == [("a", 0), ("a", 2), ("b", 0), ("b", 1), ("b", 2)]
    assert [(reject.row_id, reject.reason) for reject in rejects] == [
        ("a", "2 tries failed: the next run asks again")
    ]


def test_a_draw_that_a_filter_stopped_does_not_cost_its_prompt_the_others() -> None:
    class IsFiltered(LosesADraw):
        error = DrawFailed("the server's content filter stopped the reply")

    engine = IsFiltered(lambda prefix, sampling, n: "7")
    rows, rejects = responses.draw(engine, prompts("a"), SETTINGS, run_seed=1)
    assert rows["draw"].to_list() == [0, 2]
    (reject,) = rejects
    assert "content filter" in reject.reason and not reject.passing  # for good
    measured = evaluate.answers(engine, prompts("a"), SETTINGS, 1)
    accurate = evaluate.accuracy(Candidate("p", "base", 0), measured)
    assert accurate["value"].to_list() == [pytest.approx(2 / 3)]  # to refuse is no right answer


def test_a_prompt_that_lost_a_draw_is_not_measured() -> None:
    """Two right answers of three draws asked for would count as 2/3."""
    engine = LosesADraw(lambda prefix, sampling, n: "7")
    drawn = evaluate.answers(engine, prompts("a", "b"), SETTINGS, 1)
    assert drawn.prompts["prompt_id"].to_list() == ["b"] and set(drawn.rows["prompt_id"]) == {"b"}


def test_without_a_verifier_the_verdict_is_null() -> None:
    rows, _ = responses.draw(
        ScriptedEngine(lambda prefix, sampling, n: "7"),
        prompts("hi", verifier=None),
        SETTINGS,
        run_seed=1,
    )
    assert rows["correct"].null_count() == 3


def test_seeds_differ_by_run_prompt_and_draw() -> None:
    def seeds(run_seed: int) -> list[int]:
        engine = ScriptedEngine(lambda prefix, sampling, n: "7")
        responses.draw(engine, prompts("a", "b"), SETTINGS, run_seed)
        return [seed for _, _, drawn in engine.calls for seed in drawn]

    assert len(set(seeds(1) + seeds(2))) == 12
    assert seeds(1) == seeds(1)


def test_near_duplicates_are_marked_with_the_first_of_them_and_stay() -> None:
    long = (
        "First add four and three, which makes seven. "
        "Then check it by counting up from four: five, six, seven."
    )
    texts = [
        long,
        "Seven, because three more than four is seven.",
        long.replace("counting up", "counting  UP") + "!",
    ]
    engine = ScriptedEngine(lambda prefix, sampling, n: texts[n])
    rows, _ = responses.draw(engine, prompts("3 + 4", "4 + 3"), SETTINGS, run_seed=1)
    assert rows.height == 6 and set(rows["round"]) == {0}
    for prompt in ("3 + 4", "4 + 3"):
        own = rows.filter(pl.col("prompt_id") == prompt).sort("draw")
        assert own["near_duplicate_of"].to_list() == [None, None, own["response_id"][0]]


def test_the_estimated_likeness_is_close_to_the_exact_one() -> None:
    """Jaccard similarity of character 5-grams, worked out with sets.

    128 permutations err by about 0.04.
    """
    one, other = (
        "the quick brown fox jumps over the lazy dog",
        "the quick brown fox jumps over a lazy cat",
    )

    def grams(text: str) -> set[str]:
        return {text[i : i + 5] for i in range(len(text) - 4)}

    exact = len(grams(one) & grams(other)) / len(grams(one) | grams(other))
    assert abs(responses._minhash(one).jaccard(responses._minhash(other)) - exact) < 0.13


class Thinks(ScriptedEngine):
    """A model whose template opens the thought."""

    async def sample(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        drawn = await super().sample(prompt, sampling, seeds)
        return [replace(one, opened=True) for one in drawn]


def test_a_thought_stands_in_a_column_of_its_own() -> None:
    said = ["The answer is 5? no\n</think>\n\nThe answer is 7. ", "The answer is 7", "hm</think> "]
    rows, rejects = responses.draw(
        Thinks(lambda prefix, sampling, n: said[n]), prompts("3 + 4"), SETTINGS, run_seed=1
    )
    assert rows.select("thought", "text", "answer", "correct").rows() == [
        ("The answer is 5? no\n</think>\n\n", "The answer is 7.", "7", True)
    ]
    assert not tables.Responses.filter(rows)[1].counts()
    assert [reject.reason for reject in rejects] == [
        "unfinished thought: the model ended its turn inside it",
        "no response after the thought",
    ]
    assert rejects[0].row["thought"] == "The answer is 7"


def test_tokens_that_a_text_does_not_give_back_are_kept() -> None:
    class Spells(ScriptedEngine):
        def reads_back(self, completion: Completion) -> bool:
            return completion.text != "7"

    rows, _ = responses.draw(
        Spells(lambda prefix, sampling, n: ["7", "8", "9"][n]),
        prompts("3 + 4"),
        SETTINGS,
        run_seed=1,
    )
    kept = dict(rows.select("text", "token_ids").iter_rows())
    assert kept == {"7": [0], "8": None, "9": None}


def begun(beginning: str) -> pl.DataFrame:
    turns = [{"role": "user", "content": "3 + 4"}, {"role": "assistant", "content": beginning}]
    rows = prompts("3 + 4")
    return rows.with_columns(messages=pl.Series([turns], dtype=rows.schema["messages"]))


def test_a_response_is_what_comes_behind_the_prompts_beginning_and_is_judged_with_it() -> None:
    engine = ScriptedEngine(lambda prefix, sampling, n: [" 7. ", " 8.\n", " "][n])
    rows, rejects = responses.draw(engine, begun("The answer is"), SETTINGS, run_seed=1)
    assert rows.select("text", "answer", "correct").rows() == [
        (" 7.", "7", True),
        (" 8.", "8", False),
    ]
    assert [reject.reason for reject in rejects] == ["empty generation"]
    digit = ScriptedEngine(lambda prefix, sampling, n: "7.")
    rows, _ = responses.draw(digit, begun("The answer is 1"), SETTINGS, run_seed=1)
    assert set(rows["answer"]) == {"17"}
    assert engine.calls[0][0].messages[-1] == {"role": "assistant", "content": "The answer is"}
