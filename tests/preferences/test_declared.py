"""Every variant declares what it reads: built from nothing else, it has the same pairs."""

from pathlib import Path

import polars as pl
import pytest

from assets.preferences import PREFERENCES, TREATED_PREFERENCES
from pipeline import config
from pipeline.config import AskedModelSettings, DeltaSettings, PolicySettings
from pipeline.preferences.build import build
from pipeline.preferences.lists import LISTS
from pipeline.preferences.registry import registry, treats
from pipeline.steps import Inputs
from pipeline.store import Commit, Lake
from tests.judge.simulated import responses, votes
from tests.preferences.forest import GROWN, PROMPTS, build_lists, frame
from tests.runs import ScriptedRun, write_pairs

SETTINGS = config.load("quick").model_copy(
    update={
        "noise": config.NoiseSettings(flip_share=0.5),
        "policies": (PolicySettings(name="big", model=AskedModelSettings(name="/models/big")),),
        "delta": DeltaSettings(better="big"),
    }
)
VARIANTS = registry(SETTINGS)


def judged() -> pl.DataFrame:
    return pl.concat(
        votes([(f"{p}-0", f"{p}-1", 0.8), (f"{p}-1", f"{p}-0", 0.3)], prompt_id=p)
        for p in ("p1", "p2")
    )


def other(texts: dict[str, list[str]]) -> pl.DataFrame:
    """Responses of another policy: the same prompts, other texts and ids."""
    said = {prompt: [f"so {text}" for text in own] for prompt, own in texts.items()}
    rows = responses(said, lambda text: text.endswith("7"))
    return rows.with_columns(
        response_id=pl.col("response_id") + "-big", policy=pl.lit("big"), on_policy=False
    )


def explained(permuted: bool) -> pl.DataFrame:
    common = {
        "kind": "general", "messages": PROMPTS["messages"][0].to_list(), "text": "so",
        "chosen_first": True, "judge_id": "j", "tokens": 1, "permuted": permuted,
    }  # fmt: skip
    rows: list[dict[str, object]] = [
        {
            "rationale_id": f"{p} {permuted}",
            "prompt_id": p,
            "chosen_id": f"{p}-0",
            "rejected_id": f"{p}-1",
        }
        for p in ("p1", "p2")
    ]
    return frame("rationales", rows, **common)


def named() -> pl.DataFrame:
    common = {
        "judge_id": "j", "span": "s", "likeness": 100.0, "feedback": "s", "tokens": 3,
        "annotator": 0, "log_odds": 1.0,
    }  # fmt: skip
    rows: list[dict[str, object]] = [
        {
            "principle_id": f"{p}{n}", "prompt_id": p, "response_id": f"{p}-{n}", "name": f"of {p}",
            "satisfied": n == 0, "group_id": p, "group_name": f"of {p}",
        }
        for p in ("p1", "p2")
        for n in (0, 1)
    ]  # fmt: skip
    return frame("principles", rows, **common)


def voted() -> pl.DataFrame:
    common = {
        "source": "outcome", "split": "train", "n_votes": 3, "spread": 1.0, "share_against": 0.5,
        "decile": 0, "flip_rate": 0.25,
    }  # fmt: skip
    rows: list[dict[str, object]] = [
        {
            "pair_id": p,
            "prompt_id": p,
            "chosen_id": f"{p}-0",
            "rejected_id": f"{p}-1",
            "mean": m,
            "noise_score": s,
        }
        for p, m, s in (("p1", -1.0, 0.8), ("p2", 1.0, 0.2))
    ]
    return frame("pair_strengths", rows, **common)


def changed_code() -> pl.DataFrame:
    common = {
        "split": "train", "messages": PROMPTS["messages"][0].to_list(), "instruction": "task",
        "criteria": "fast", "feedback": "ATTEMPT_2",
        "source": "s", "licence": "MIT", "policy_id": "m", "draft_id": "m", "tokens": 1,
        "naive_findings": 0, "improved_findings": 0, "security_margin": 0.0,
    }  # fmt: skip
    tested = {
        "naive_passed": False, "improved_passed": True, "improved_is_better": True,
        "decided_by": "correctness", "correctness_margin": 0.5,
    }  # fmt: skip
    rows: list[dict[str, object]] = [
        {
            "code_pair_id": m,
            "prompt_id": "p1",
            "method": m,
            "naive": f"{m} = 1",
            "improved": f"{m} = 10",
            **tested,
        }
        for m in ("evol", "commit", "recorded")
    ]
    return frame("code_pairs", rows, **common)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Something to make pairs of for every family but MAPL's."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    texts = {"p1": ["7", "8"], "p2": ["it is 7", "it is 8"]}
    thoughts = GROWN.with_columns(
        pl.lit("tot").alias("method"), pl.col("node_id", "parent_id", "tree_id") + "t"
    )
    nodes = pl.concat([GROWN, thoughts])
    lists, _ = build_lists(nodes, PROMPTS, ["best_first", "tot"], 5, None)
    for table, rows in {
        "prompts": PROMPTS,
        "responses": responses(texts, lambda text: text.endswith("7")),
        "policy_responses": other(texts),
        "votes": judged(),
        "policy_votes": judged(),
        "rationales": pl.concat([explained(False), explained(True)]),
        "principles": named(),
        "pair_strengths": voted(),
        "code_pairs": changed_code(),
        "preference_lists": lists,
        "tree_nodes": nodes,
    }.items():
        written = lake.write(table, rows, Commit("test"))
        assert (written.rejected, written.rows) == (0, rows.height), table
    write_pairs(lake, SETTINGS, "outcome", "osp")
    return lake


def test_a_variant_is_built_from_what_it_declares(lake: Lake) -> None:
    run = ScriptedRun(lake, SETTINGS)
    without = set()
    for name in VARIANTS:
        step = TREATED_PREFERENCES if treats(name, SETTINGS) else PREFERENCES
        inputs = Inputs(run, step, name)
        pairs = build(name, inputs.lake, inputs.settings)
        assert pairs.equals(build(name, lake, SETTINGS)), name
        without |= {name} if pairs.is_empty() else set()
    assert {name.partition("_")[0] for name in without} == {"mapl"}
    assert set(LISTS) <= set(VARIANTS)


def test_without_any_rows_a_variant_reads_no_more_than_it_declares(tmp_path: Path) -> None:
    run = ScriptedRun(Lake(tmp_path), SETTINGS)
    for name in VARIANTS:
        step = TREATED_PREFERENCES if treats(name, SETTINGS) else PREFERENCES
        inputs = Inputs(run, step, name)
        assert build(name, inputs.lake, inputs.settings).is_empty(), name
