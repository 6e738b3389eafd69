"""What is measured on sampled answers, with known answers."""

import json
from collections import Counter
from itertools import combinations

import polars as pl
import pytest

from pipeline import tables
from pipeline.config import SamplingSettings
from pipeline.validation.diversity import distinct
from pipeline.validation.evaluate import (
    Candidate,
    accuracy,
    answers,
    as_rejects,
    checkable,
    instructed,
    of_draws,
    pass_at,
)
from pipeline.validation.metrics import meaning
from tests.scripted import ScriptedEngine

CANDIDATE = Candidate("p@1", "good", 0)


def prompt(
    name: str, question: str, verifier: str | None = "number", answer: str = "7"
) -> dict[str, object]:
    return {
        "prompt_id": name, "pool": "pool", "task": "task", "split": "test", "metadata": None,
        "source": "s",
        "messages": [{"role": "user", "content": question}], "answer": answer, "verifier": verifier,
        "licence": "MIT",
    }  # fmt: skip


def values(rows: pl.DataFrame, metric: str) -> dict[str, float]:
    return dict(rows.filter(pl.col("metric") == metric).select("unit_id", "value").iter_rows())


def test_a_failed_request_has_no_row_an_empty_answer_is_wrong_and_no_verifier_not_asked() -> None:
    tests = pl.DataFrame(
        [prompt("a", "q"), prompt("b", "too long"), prompt("c", "r", None)],
        schema=tables.empty("prompts").schema,
    )
    said = ["7", "", "the answer is 7", "8"]
    engine = ScriptedEngine(lambda prefix, sampling, n: said[n])
    drawn = answers(engine, checkable(tests), SamplingSettings(n=4), 0)
    rows = accuracy(CANDIDATE, drawn)
    assert values(rows, "accuracy") == {"a": 0.5} and rows["n"].to_list() == [4]
    assert [reject.row_id for reject in drawn.failed] == ["b"]
    # greedy and sampled
    (reject,) = as_rejects(CANDIDATE, [*drawn.failed, *drawn.failed], "evaluate good")
    assert reject.table == "evaluations" and "leaves 0 of the 8 tokens" in reject.reason
    other = as_rejects(Candidate("p@2", "good", 1), drawn.failed, "evaluate good")[0]
    assert other.row_id != reject.row_id  # so that two seeds leave two rejects
    assert drawn.first == {"a": ("7", 1)} and len(engine.calls) == 2
    assert not tables.Evaluations.filter(rows)[1].counts()


def test_the_verdict_is_that_of_the_pools_own_verifier() -> None:
    asked = json.dumps({"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]})
    tests = pl.DataFrame(
        [
            prompt("number", "q"),
            prompt("choice", "q", "choice", "B"),
            {**prompt("instructions", "q", "instructions", "all"), "metadata": asked},
        ],
        schema=tables.empty("prompts").schema,
    )
    engine = ScriptedEngine(
        lambda prefix, sampling, n: ["It is, I think, 7", "The answer is (B), surely"][n]
    )
    found = values(
        accuracy(CANDIDATE, answers(engine, tests, SamplingSettings(n=2), 0)), "accuracy"
    )
    assert found == {"number": 0.5, "choice": 0.5, "instructions": 0.0}  # both answers hold a comma


def test_instructions_are_measured_strictly_and_loosely_and_an_empty_draw_fulfils_none() -> None:
    names = ["punctuation:no_comma", "detectable_format:title"]
    asked = json.dumps({"instruction_id_list": names, "kwargs": [{}, {}]})
    told = {**prompt("told", "q", "instructions", "all"), "metadata": asked}
    tests = pl.DataFrame([prompt("number", "q"), told], schema=tables.empty("prompts").schema)
    engine = ScriptedEngine(
        lambda prefix, sampling, n: ["<<T>>", "Sure, so:\n<<T>>", "a, b", ""][n]
    )
    drawn = answers(engine, tests, SamplingSettings(n=4), 0)
    rows = instructed(CANDIDATE, drawn)
    # strictly 2, 1, 0, 0 of two; loosely the second loses its first line, and with it the comma
    assert values(rows, "instructions") == {"told": 3 / 8} and values(
        rows, "instructions_loose"
    ) == {"told": 4 / 8}
    assert values(rows, "accuracy_loose") == {"told": 2 / 4}
    assert values(accuracy(CANDIDATE, drawn), "accuracy")["told"] == 1 / 4
    assert not tables.Evaluations.filter(rows)[1].counts() and {
        meaning(name) for name in rows["metric"]
    }


def test_pass_at_k_is_the_share_of_all_subsets_that_hold_a_right_draw() -> None:
    for n, right in ((4, 0), (4, 1), (5, 2), (6, 6)):
        draws = [i < right for i in range(n)]
        for k in range(1, n + 1):
            subsets = list(combinations(draws, k))
            assert pass_at(k, n, right) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_draws_give_pass_at_k_length_and_diversity() -> None:
    tests = pl.DataFrame(
        [prompt("a", "q"), prompt("b", "q")], schema=tables.empty("prompts").schema
    )
    long = "a long answer about many sums which ends with the number "
    said = ["7", long + "8", long + "8", "x y x y"]
    drawn = answers(
        ScriptedEngine(lambda prefix, sampling, n: said[n]), tests, SamplingSettings(n=4), 0
    )
    rows = of_draws(CANDIDATE, drawn, (1, 2, 4, 8))
    assert sorted(rows["metric"].unique()) == [
        "accuracy",
        "answer_tokens",
        "distinct_2",
        "near_duplicates",
        "pass_at_2",
    ]
    assert values(rows, "pass_at_2") == {"a": 0.5, "b": 0.5}  # 1 - C(3, 2) / C(4, 2)
    # the scripted engine's tokens are letters
    assert values(rows, "answer_tokens")["a"] == sum(map(len, said)) / 4
    # Bigrams: 11 of the long answer twice, x y, y x, x y: 25, of which 13 differ.
    assert values(rows, "distinct_2")["a"] == pytest.approx(13 / 25)
    assert values(rows, "near_duplicates")["a"] == pytest.approx(1 / 3)
    # no token is counted twice
    assert rows.filter(pl.col("metric") != "accuracy")["tokens"].sum() == 0
    assert rows["evaluation_id"].is_unique().all()


def test_distinct_n_counts_grams() -> None:
    texts = ["a b c a b", "b c"]
    grams = Counter(zip("abcab", "bcab", strict=False)) + Counter([("b", "c")])
    assert distinct(texts, 2) == len(grams) / sum(grams.values()) == 3 / 5
    assert distinct(["one"], 2) is None and distinct([], 1) is None
