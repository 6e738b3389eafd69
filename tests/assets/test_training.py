"""The training asset on a tiny model: seeds are trained once each, and stop on validation pairs only."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import polars as pl
import pytest

from assets import training
from pipeline import config
from pipeline.config import Settings
from pipeline.engine.base import Usage
from pipeline.store import Commit, Lake
from pipeline.training import loop
from pipeline.training.reference import reference_logps
from tests.training.toy import frame, pair, save_llama

TRAINING = {
    "method": "full", "learning_rate": 3e-3, "epochs": 6, "batch_pairs": 4, "micro_tokens": 256, "max_length": 128,
    "evaluate_every": 2,
}  # fmt: skip


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path))
    path = save_llama(tmp_path / "tiny", seed=0)
    own = {"variant": "outcome", "chosen_tokens": 3, "rejected_tokens": 2}
    learned = [pair(f"is it {i}?", **own) for i in range(8)]
    held = [pair(f"was it {i}?", "no", "yes", split="validation", **own) for i in range(16)]  # what is learnt is wrong
    pairs = frame([*learned, *held])
    lake = Lake(tmp_path)
    lake.write("preferences", pairs, Commit("test"))
    room = SimpleNamespace(rest=lambda: None, usage=Usage)
    found = SimpleNamespace(lake=lake, room=room, base=SimpleNamespace(policy_id="tiny", path=path))

    def use(**changes: Any) -> None:
        quick = config.load("quick").model_dump()
        sections = {"training": {**TRAINING, **changes}, "validation": {"variants": ["outcome"]}}
        found.settings = Settings(**{**quick, **sections})

    found.use = use
    use()
    known = reference_logps(path, pairs, found.settings.training, policy_id="tiny")
    lake.write("reference_logps", known, Commit("test"))
    return found


def train(shop: Any) -> list[dict[str, Any]]:
    assert dg.materialize([training.training_runs], partition_key="outcome", resources={"shop": shop}).success
    return shop.lake.read("training_runs").sort("seed").to_dicts()


def test_a_new_seed_costs_its_own_training_only(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[int] = []
    real = loop.train

    def counted(*arguments: Any, **values: Any) -> Any:
        trained.append(values["seed"])
        return real(*arguments, **values)

    monkeypatch.setattr(loop, "train", counted)
    shop.use(seeds=[0])
    (one,) = train(shop)
    shop.use(seeds=[0, 1])
    first, second = train(shop)
    assert trained == [0, 1] and first == one and second["policy_id"] != first["policy_id"]
    assert (first["n_steps"], first["kept_step"], first["looks"]) == (12, 12, "[]")
    shop.use(seeds=[0, 1], beta=0.2)
    train(shop)
    assert trained == [0, 1, 0, 1]


def test_a_variant_stops_on_its_validation_pairs_and_is_reported_on_others(shop: Any) -> None:
    shop.use(patience=1)
    (row,) = train(shop)
    assert (row["n_pairs"], row["n_steps"], row["kept_step"]) == (8, 4, 2) and len(row["row_ids"]) == 8
    stopped_on = training.watched(shop)["outcome"]
    assert set(stopped_on["split"]) == {"validation"} and 2 < stopped_on.height < 14
    reported = training.test_pairs(shop)
    assert not set(reported["pair_id"]) & set(stopped_on["pair_id"])
    assert reported.height + stopped_on.height == 16
    shop.use()
    assert training.watched(shop) == {} and training.test_pairs(shop).height == 16
    assert isinstance(reported, pl.DataFrame)
