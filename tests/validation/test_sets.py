"""Evaluation sets: what is left out of the training prompts, and the metrics of each set."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from pipeline import tables
from pipeline.config import (
    PoolSettings,
    Settings,
    SourceSettings,
    SplitSettings,
    ValidationSettings,
)
from pipeline.errors import OrchardError
from pipeline.ids import content_id
from pipeline.preferences import sourced
from pipeline.prompts import load_pools
from pipeline.sources.pair_sets import asked_by
from pipeline.sources.prompts import source_prompts
from pipeline.store import Commit, Lake
from pipeline.validation.comparisons import compare_on_sets
from pipeline.validation.evaluate import Candidate, units
from pipeline.validation.leaderboard import rank
from pipeline.validation.metrics import summarise
from pipeline.validation.pair_sets import evaluation_pairs
from pipeline.validation.ranked import Ranked, RankedBy
from pipeline.validation.ranked_by import ranked_by
from pipeline.validation.sets import by_set, on_set, split_name

RUNS = tables.empty("training_runs")
OPTIONS = ValidationSettings(bootstrap=500)


def pool(folder: Path, name: str, *questions: str, **more: Any) -> dict[str, Any]:
    rows = [{"question": question, "answer": "7"} for question in questions]
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {"name": name, "source": "file", "path": str(path), **more}


def profile(*pools: dict[str, Any], **more: Any) -> Settings:
    return Settings(profile="test", pools=tuple(PoolSettings(**one) for one in pools), **more)


def test_an_evaluation_set_is_all_test_and_takes_its_prompts_from_the_training_pool(
    tmp_path: Path,
) -> None:
    """Whatever the order of the pools, and however the question is written."""
    learned = pool(tmp_path, "learned", *(f"What is {n} + 4?" for n in range(30)))
    asked = ("What is 3 \u200b+ 4?", "What is 900 + 4?", "What is 900 + 4?")
    exam = pool(tmp_path, "exam", *asked, role="evaluation")
    for pools in ((learned, exam), (exam, learned)):
        prompts, rejects = load_pools(profile(*pools, splits={"validation": 0.3, "test": 0.3}))
        counts = dict(prompts.group_by("pool").len().iter_rows())
        assert counts == {"exam": 2, "learned": 29}
        assert set(prompts.filter(pool="exam")["split"]) == {"test"}
        assert set(prompts.filter(pool="learned")["split"]) == {"train", "validation", "test"}
        said = rejects["reason"].to_list()
        assert [one for one in said if "'exam' asks the same (exam.jsonl row 1)" in one] == [
            "learned.jsonl row 4: left out of what is learned from: the evaluation set 'exam' "
            "asks the same (exam.jsonl row 1)"
        ]
        assert "exam.jsonl row 3: duplicate of exam.jsonl row 2" in said and len(said) == 2


@pytest.mark.parametrize(
    ("pools", "why"),
    [
        ([{"name": "a", "role": "evaluation"}], "role evaluation: a: nothing is left to learn"),
        ([{"name": "a", "role": "evaluation"}, {"name": "a"}], "'a' shares its name with another"),
        ([{"name": "a", "role": "test"}], "Input should be 'training' or 'evaluation'"),
    ],
)
def test_roles_that_leave_nothing_or_say_nothing_are_refused(
    pools: list[dict[str, str]], why: str
) -> None:
    with pytest.raises(ValidationError, match=why):
        Settings(profile="test", pools=pools)


def test_what_ranks_may_be_of_a_set(tmp_path: Path) -> None:
    learned = {"name": "learned", "verifier": "none", "source": "file", "path": "x.jsonl"}
    exam = {**learned, "name": "exam", "role": "evaluation", "verifier": "number"}
    chat = {**learned, "name": "chat", "role": "evaluation"}
    bar = SourceSettings(name="bar", path="bar.jsonl", role="evaluation")
    sent = (SourceSettings(name="hh", path="hh.jsonl"), bar)

    def by(**said: Any) -> dict[str, float]:
        chosen = ValidationSettings(variants=("hh",), **said)
        return ranked_by(profile(learned, exam, chat, sources=sent, validation=chosen))

    assert by() == {"accuracy@exam": 1.0}  # the pool of its own has no verifier
    assert by(rank_by="ranking_accuracy") == {"ranking_accuracy": 1.0}
    both = {"accuracy@exam": 1, "win_rate@chat": 3}
    assert by(rank_by=both, win_prompts=4) == {"accuracy@exam": 0.25, "win_rate@chat": 0.75}
    assert by(rank_by="ranking_accuracy@bar") == {"ranking_accuracy@bar": 1.0}
    refused = {
        "accuracy@bar": "the set 'bar' holds pairs, and no prompts to answer",
        "win_rate@bar": "the set 'bar' holds pairs",
        "accuracy@gsm": "no evaluation set is named 'gsm': the sets are exam, chat, bar",
        "accuracy@chat": "the set 'chat' has no verifier",
        "win_rate@chat": "validation.win_prompts is 0",
        "ranking_accuracy@exam": "the set 'exam' holds prompts, and no pairs",
        "instructions@exam": "the set 'exam' lacks the verifier 'instructions'",
        "accuracy@learned": "no evaluation set is named 'learned'",
        "accuracy": "no pool has a verifier",
    }
    for metric, why in refused.items():
        with pytest.raises(OrchardError, match=f"there is no {metric}: {why}"):
            by(rank_by=metric)
    with pytest.raises(ValidationError, match="'winrate@exam' ranks nothing"):
        ValidationSettings(rank_by="winrate@exam")


def test_names_of_metrics_on_sets() -> None:
    assert on_set("accuracy", "a@b") == "accuracy@a@b" and on_set("kl", None) == "kl"
    assert split_name("accuracy@a@b") == ("accuracy", "a@b") and split_name("kl") == ("kl", None)


def measured(variant: str, values: dict[str, float], metric: str = "accuracy") -> pl.DataFrame:
    frame = pl.DataFrame({"unit_id": list(values), "value": list(values.values())})
    return units(Candidate(f"{variant}@0", variant, 0), metric, frame)


def world() -> tuple[pl.DataFrame, RankedBy, list[str]]:
    """Two variants on 30 own prompts (o0, ...) and 30 of a set (e0, ...): `good` gains .5 on the
    own ones and .2 on the set, `flat` gains nothing on either.
    """
    own, exam = [f"o{i}" for i in range(30)], [f"e{i}" for i in range(30)]
    base = {unit: 0.25 * (i % 2) for i, unit in enumerate([*own, *exam])}
    good = {
        u: v + (0.5 if u in own else 0.1 + 0.2 * (i % 2)) for i, (u, v) in enumerate(base.items())
    }
    flat = {u: v + (0.1 if i % 2 else -0.1) for i, (u, v) in enumerate(base.items())}
    rows = pl.concat([measured(n, v) for n, v in (("base", base), ("good", good), ("flat", flat))])
    by = RankedBy({"accuracy": 1.0}, {}, dict.fromkeys(exam, "exam"))
    return by_set(rows, by.sets), by, [*own, *exam]


def test_a_metric_without_a_set_is_measured_on_the_own_prompts_alone() -> None:
    rows, by, tests = world()
    board = rank(rows, RUNS, {}, OPTIONS, 0, tests=tests, by=by)
    gains = dict(board.select("variant", "gain").iter_rows())
    assert gains["good"] == pytest.approx(0.5) and gains["flat"] == pytest.approx(0.0)
    assert set(board["n_prompts"]) == {30} and set(board["n_failed"]) == {0}
    assert board.filter(variant="good")["accuracy"].item() == pytest.approx(0.625)
    of_set = RankedBy({"accuracy@exam": 1.0}, {}, by.sets)
    found = rank(rows, RUNS, {}, OPTIONS, 0, tests=tests, by=of_set)
    assert found.filter(variant="good")["gain"].item() == pytest.approx(0.2)
    assert "On exam base answers 12.5% of the draws on 30 test" in " ".join(found["conclusion"])
    half = Ranked.of(rows, RankedBy({"accuracy": 0.5, "accuracy@exam": 0.5}, {}, by.sets), tests)
    assert half.value("good") - half.value("base") == pytest.approx(0.35)


def test_sets_are_a_family_of_tests_of_its_own() -> None:
    """By the metric that ranks already nothing is said twice; p is corrected over all sets."""
    rows, by, tests = world()
    found = compare_on_sets(rows, by, tests, [None, "exam"], OPTIONS, 0)
    assert set(found["metric"]) == {"accuracy@exam"} and set(found["family"]) == {"sets"}
    gains = {row["variant"]: row for row in found.iter_rows(named=True)}
    assert gains["good"]["gain"] == pytest.approx(0.2) and gains["good"]["verdict"] == "better"
    assert gains["flat"]["verdict"] == "not distinguishable"
    assert gains["good"]["p_holm"] == pytest.approx(2 * gains["good"]["p_value"])
    other = RankedBy({"win_rate": 1.0}, {}, by.sets)  # neither of the two alone ranks
    both = compare_on_sets(rows, other, tests, [None, "exam", "absent"], OPTIONS, 0)
    assert both["metric"].unique().sort().to_list() == ["accuracy", "accuracy@exam"]
    assert both.filter(variant="good")["p_holm"].min() == pytest.approx(4 * both["p_value"].min())
    tables.TABLES["comparisons"].validate(both)
    shown = summarise(rows, dict.fromkeys(tests, "one"), OPTIONS, 0)
    assert set(shown["metric"]) == {"accuracy", "accuracy@exam"}
    (meant,) = shown.filter(metric="accuracy@exam")["meaning"].unique()
    assert meant.endswith("; on the evaluation set exam")


def test_without_sets_nothing_changes() -> None:
    rows = measured("base", {"a": 1.0})
    assert by_set(rows, {}) is rows
    by = RankedBy()
    assert compare_on_sets(rows, by, ["a"], [], OPTIONS, 0).is_empty()


def recorded(name: str, *rows: tuple[str, float]) -> pl.DataFrame:
    """Rows of `recorded_pairs`: what is asked, and the label of the first side."""
    asked = [[{"role": "user", "content": question}] for question, _ in rows]
    found = [
        {
            "pair_id": f"{name}{i}", "prompt_id": content_id(messages), "messages": messages,
            "first_id": f"f{i}", "second_id": f"s{i}", "first": "yes", "second": f"no {i}",
            "label": label, "origin": name, "metadata": '{"subset": "hard"}',
        }
        for i, (messages, (_, label)) in enumerate(zip(asked, rows, strict=True))
    ]  # fmt: skip
    schema = tables.empty("recorded_pairs").schema
    return pl.DataFrame(found, schema=schema)


def test_a_set_of_pairs_is_all_test_and_takes_its_prompts_from_all_others(tmp_path: Path) -> None:
    learned = pool(tmp_path, "learned", *(f"What is {n}?" for n in range(5)), template="{question}")
    bar = recorded("bar", ("What is 3?", 1.0), ("Why?", 0.0), ("When?", 0.5))
    asked = asked_by(pl.concat([bar, recorded("hh", ("How?", 1.0))]), ["bar"])
    prompts, rejects = load_pools(profile(learned, splits={"test": 0.0}), None, asked)
    assert prompts.height == 4 and rejects["reason"].to_list() == [
        "learned.jsonl row 4: left out of what is learned from: the evaluation set 'bar' asks the "
        "same"
    ]
    splits = SplitSettings(validation=0.0, test=0.0)
    none = tables.empty("recorded_responses")
    own = source_prompts(bar, none, prompts, splits, asked)
    assert set(own["split"]) == {"test"}
    other = source_prompts(
        recorded("hh", ("Why?", 1.0), ("Who?", 1.0)), none, prompts, splits, asked
    )
    assert sorted(other["split"]) == ["test", "train"]
    settings = Settings(
        profile="test",
        sources=[{"name": "bar", "role": "evaluation"}, {"name": "hh"}],
    )
    names = sourced.variants(settings)
    assert {"hh", "hh_shuffled"} <= names.keys() and not [n for n in names if n.startswith("bar")]
    with Lake(tmp_path / "home") as lake:
        lake.write("recorded_pairs", bar, Commit("test"))
        lake.write("source_prompts", own, Commit("test"))
        pairs = evaluation_pairs(lake, settings)
        units_ = lake.query_file("ranking_units")
        categories = dict(lake.query_file("unit_categories").iter_rows())
    tables.TABLES["preferences"].validate(pairs)
    shown = pairs.sort("pair_id").select("variant", "split", "chosen", "rejected").rows()
    assert shown == [("bar", "test", "yes", "no 0"), ("bar", "test", "no 1", "yes")]
    (unit,) = units_.filter(unit_id="bar1").select("verified", "pool").rows()
    assert unit == (False, "bar")
    assert categories["bar1"] == "pairs of bar / hard"
