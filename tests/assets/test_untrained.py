"""A variant without a training pair:
nothing fails, and nothing of an earlier training stays behind.
"""

from pathlib import Path

import polars as pl
import pytest
import yaml

from pipeline import tables
from pipeline.store import Commit, Lake
from pipeline.validation import budgets
from pipeline.validation.evaluate import Candidate, rows
from tests.conftest import TINY
from tests.judge.simulated import frame
from tests.runs import materialise
from tests.scripted import ScriptedEngine


def test_a_variant_that_lost_its_pairs_loses_its_policy_and_its_results_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = {
        "run_id": "r", "variant": "principles", "seed": 0, "policy_id": "old", "reference_id": "m",
        "checkpoint": "none", "loss": "sigmoid", "method": "lora", "settings": "{}", "n_pairs": 1,
        "row_ids": ["x"], "n_steps": 1, "n_tokens": 1, "loss_first": 1.0, "loss_last": 1.0,
        "accuracy_last": 1.0, "curve": "[]", "length_ratio": 1.0, "seconds": 1.0,
    }  # fmt: skip
    units = pl.DataFrame({"unit_id": ["p"], "value": [1.0], "n": [1], "tokens": [1]})
    with Lake(tmp_path) as lake:
        own = {"variant": "principles"}
        lake.write(
            "training_runs",
            frame("training_runs", [run]),
            Commit("training_runs principles"),
            partition=own,
        )
        old = rows(Candidate("old", "principles", 0), "accuracy", units)
        lake.write("evaluations", old, Commit("evaluations principles"), partition=own)
    profile = yaml.safe_load(TINY.read_text())
    profile["validation"]["variants"] = ["principles"]
    path = tmp_path / "profile.yaml"
    path.write_text(yaml.safe_dump(profile))
    engine = ScriptedEngine(lambda prefix, sampling, n: "7")
    names = {
        "mark": pl.String,
        "row_id": pl.String,
        "kind": pl.String,
        "numbers": pl.List(pl.Float64),
    }
    missing = [pl.lit(None, kind).alias(name) for name, kind in names.items()]
    empty = tables.empty("preferences").with_columns(missing)
    # Another variant of the profile had pairs, else the run would say that none has.
    monkeypatch.setattr(budgets, "trained_rows", lambda *_: {"principles": empty})
    assert materialise(
        tmp_path, path, ["training_runs"], engine, partition_key="principles"
    ).success
    assert materialise(tmp_path, path, ["evaluations"], engine).success
    with Lake(tmp_path) as lake:
        assert lake.read("training_runs").is_empty() and lake.read("evaluations").is_empty()
