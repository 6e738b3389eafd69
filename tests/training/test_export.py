"""A trained policy leaves as a folder that loads, with a card of versions and results."""

from pathlib import Path

import polars as pl
import pytest
import yaml
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from pipeline.config import TrainingSettings
from pipeline.errors import OrchardError
from pipeline.export.card import export_policy
from tests.training.test_train import change, run


class Tables:
    """A lake of frames."""

    def __init__(self, frames: dict[str, pl.DataFrame]) -> None:
        self.frames = frames

    def read(self, table: str) -> pl.DataFrame:
        return self.frames.get(table, pl.DataFrame())

    def version(self, table: str) -> int:
        return 7


def test_an_exported_policy_loads_and_its_card_names_versions_and_results(
    tiny: Path, toy: pl.DataFrame, settings: TrainingSettings, tmp_path: Path
) -> None:
    settings = change(settings, method="lora")
    done = run(tiny, toy, settings, tmp_path / "home/policies/toy-s3")
    row = {
        "variant": "toy", "seed": 3, "policy_id": "toy-s3@abc", "reference_id": "tiny@0", "loss": "sigmoid",
        "checkpoint": "policies/toy-s3", "method": "lora", "settings": settings.model_dump_json(), "n_pairs": 12,
        "n_steps": done.n_steps, "n_tokens": done.n_tokens, "loss_first": 0.69, "loss_last": 0.5,
    }  # fmt: skip
    board = {"variant": "toy", "accuracy": 0.4, "gain": 0.1, "gain_low": -0.05, "gain_high": 0.2, "n_seeds": 1,
             "verdict": "not distinguishable"}  # fmt: skip
    frames = {"training_runs": pl.DataFrame([row]), "leaderboard": pl.DataFrame([board]), "preferences": toy}
    lake = Tables(frames)
    out = export_policy(lake, tmp_path / "home", "toy", tmp_path / "out")  # type: ignore[arg-type]
    text = (out / "README.md").read_text()
    assert yaml.safe_load(text.split("---")[1])["library_name"] == "transformers"
    for fact in ("toy-s3@abc", "| preferences | 7 |", "gain over the base model +0.100 (-0.050 to +0.200)"):
        assert fact in text
    assert "reference_logps" not in text  # empty in this lake
    AutoModelForCausalLM.from_pretrained(out)
    assert AutoTokenizer.from_pretrained(out).chat_template
    PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny), out / "adapter")
    with pytest.raises(OrchardError, match="is not empty"):
        export_policy(lake, tmp_path / "home", "toy", out)  # type: ignore[arg-type]
    with pytest.raises(OrchardError, match="no trained policy of 'other'.*trained are: toy seed 3"):
        export_policy(lake, tmp_path / "home", "other", tmp_path / "x")  # type: ignore[arg-type]
    with pytest.raises(OrchardError, match="is gone"):
        export_policy(lake, tmp_path / "elsewhere", "toy", tmp_path / "x")  # type: ignore[arg-type]
