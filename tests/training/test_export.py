"""A trained policy leaves as a folder that loads, with a card of versions and results."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from pipeline import tables
from pipeline.config import TrainingSettings
from pipeline.errors import OrchardError
from pipeline.export.card import export_policy
from pipeline.store import Commit, Lake
from tests.training.test_train import change, run


def write(
    lake: Lake, table: str, row: dict[str, Any], parents: dict[str, int] | None = None
) -> int:
    """A table of this row alone, what it does not say zero or empty; the version."""
    zero = {pl.String: "", pl.Int64: 0, pl.Float64: 0.0}
    schema = tables.empty(table).schema
    whole = {name: row.get(name, zero.get(kind.base_type(), [])) for name, kind in schema.items()}
    rows = pl.DataFrame([whole], schema=schema)
    written = lake.write(
        table, rows, Commit("test", parents=parents or {}), partition={"variant": row["variant"]}
    )
    assert (written.rows, written.rejected) == (1, 0)
    return written.version


def test_an_exported_policy_loads_and_its_card_names_versions_and_results(
    tiny: Path, toy: pl.DataFrame, settings: TrainingSettings, tmp_path: Path
) -> None:
    settings = change(settings, method="lora")
    done = run(tiny, toy, settings, tmp_path / "home/policies/toy-s3")
    row: dict[str, Any] = {
        "run_id": "first", "curve": "[]",
        "variant": "toy", "seed": 3, "policy_id": "toy-s3@abc", "reference_id": "tiny@0",
        "loss": "sigmoid",
        "checkpoint": "policies/toy-s3", "method": "lora", "settings": settings.model_dump_json(),
        "n_pairs": 12,
        "n_steps": done.n_steps, "n_tokens": done.n_tokens, "loss_first": 0.69, "loss_last": 0.5,
    }  # fmt: skip
    board = {"variant": "toy", "accuracy": 0.4, "gain": 0.1, "gain_low": -0.05, "gain_high": 0.2,
             "n_seeds": 1,
             "verdict": "not distinguishable", "policy_ids": ["toy-s3@abc"]}  # fmt: skip
    lake = Lake(tmp_path / "lake")
    learned = lake.write("preferences", toy, Commit("test")).version
    trained = write(lake, "training_runs", row, {"preferences": learned, "preference_lists": 0})
    write(lake, "training_runs", {**row, "variant": "another"}, {"preferences": learned})
    write(lake, "leaderboard", board)
    later = lake.write("preferences", toy.head(3), Commit("test")).version
    out = export_policy(lake, tmp_path / "home", "toy", tmp_path / "out")
    text = (out / "README.md").read_text()
    assert yaml.safe_load(text.split("---")[1])["library_name"] == "transformers"
    versions = f"| preferences | {learned} |\n| training_runs | {trained} |\n\n"
    for fact in ("toy-s3@abc", versions, "gain over the base model +0.100 (-0.050 to +0.200)"):
        assert fact in text
    assert later not in (learned, trained)
    assert "preference_lists" not in text  # empty when this was trained
    AutoModelForCausalLM.from_pretrained(out)
    assert AutoTokenizer.from_pretrained(out).chat_template
    PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny), out / "adapter")
    with pytest.raises(OrchardError, match="is not empty"):
        export_policy(lake, tmp_path / "home", "toy", out)
    with pytest.raises(
        OrchardError, match="no trained policy of 'other'.*trained are: another seed 3, toy seed 3"
    ):
        export_policy(lake, tmp_path / "home", "other", tmp_path / "x")
    with pytest.raises(OrchardError, match="is gone"):
        export_policy(lake, tmp_path / "elsewhere", "toy", tmp_path / "x")
    (tmp_path / "file").write_text("taken")
    for taken in (tmp_path / "file", tmp_path / "file/inside"):
        with pytest.raises(OrchardError, match=rf"folder {taken}: Not a directory: give a new one"):
            export_policy(lake, tmp_path / "home", "toy", taken)
    # trained again since
    write(lake, "training_runs", {**row, "run_id": "later", "policy_id": "toy-s3@def"})
    again = export_policy(lake, tmp_path / "home", "toy", tmp_path / "again")
    assert "This policy was not evaluated." in (again / "README.md").read_text()


def test_the_card_tells_an_older_leaderboard_from_a_policy_that_was_not_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = tmp_path / "policy"
    policy.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (policy / name).write_text("{}")
    run = {
        "checkpoint": "policy",
        "method": "full",
        "curve": "[]",
        "settings": TrainingSettings().model_dump_json(),
    }
    with Lake(tmp_path / "lake") as lake:
        for name in ("measured", "new"):
            write(
                lake, "training_runs", {**run, "run_id": name, "variant": name, "policy_id": name}
            )
        write(
            lake,
            "leaderboard",
            {"variant": "measured", "verdict": "better", "policy_ids": ["measured"]},
        )
        older = lake.read("leaderboard").with_columns(policy_ids=pl.lit(None, pl.List(pl.String)))
        tables_ = {"leaderboard": older, "training_runs": lake.read("training_runs")}
        monkeypatch.setattr(lake, "read", tables_.__getitem__)
        said = {
            name: export_policy(lake, tmp_path, name, tmp_path / name) / "README.md"
            for name in ("measured", "new")
        }
    assert "Not known: the leaderboard is of an older version" in said["measured"].read_text()
    assert "This policy was not evaluated." in said["new"].read_text()
