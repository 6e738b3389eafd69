"""Features of the real model, and the noise steps on pairs that it can tell apart."""

from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest
import torch

from assets.definitions import defs
from assets.noise import STEPS
from assets.variants import KEYS, span
from pipeline import tables
from pipeline.engine.model import Model
from pipeline.ids import content_id
from pipeline.noise.features import features, sides
from pipeline.store import Commit, Lake

WORDS = (
    "green river old house slow train white bird cold winter long street small garden bright lamp"
).split()
PROFILE = """
pools: [{name: x, size: 1}]
model: {max_model_len: 256}
noise: {models: 4, folds: 3, min_steps: 150, micro_tokens: 2048, test_shares: [0.2]}
validation: {variants: [outcome, voted_flip, voted_drop_random]}
"""


def pair(i: int) -> dict[str, object]:
    """A sentence against its words in alphabetical order.

    No two are equal, else wrong labels confirm each other.
    """
    a, b = WORDS[i % 16], WORDS[(i * 5 + i // 16 + 1) % 16]
    good = f"I saw the {a} and then the {b} near the station."
    return {
        "good": good,
        "bad": " ".join(sorted(good.split())),
        "question": f"Write a sentence with {a} and {b}, no. {i}.",
    }


@pytest.fixture(scope="module")
def home(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with 48 prompts, each with a right and a wrong response.

    Every eighth verdict is the wrong one.
    """
    path = tmp_path_factory.mktemp("noise-home")
    (path / "models").symlink_to(models)
    (path / "profile.yaml").write_text(PROFILE)
    rows = [pair(i) for i in range(48)]
    ids = [content_id(row["question"]) for row in rows]
    common = {
        "pool": "x",
        "task": "x",
        "answer": "7",
        "verifier": "number",
        "source": "test",
        "licence": "none",
    }
    prompts = [
        {
            **common,
            "prompt_id": key,
            "split": "train",
            "messages": [{"role": "user", "content": row["question"]}],
        }
        for key, row in zip(ids, rows, strict=True)
    ]
    response = {
        "policy_id": "m", "on_policy": True, "draw": 0, "sampling": "{}", "tokens": 1,
        "prompt_tokens": 1, "logprob_mean": -1.0, "finish_reason": "stop", "answer": None,
    }  # fmt: skip
    responses = [
        {
            **response,
            "response_id": content_id(key, side),
            "prompt_id": key,
            "text": row[side],
            "correct": (side == "good") != (i % 8 == 0),
        }
        for i, (key, row) in enumerate(zip(ids, rows, strict=True))
        for side in ("good", "bad")
    ]
    with Lake(path) as lake:
        lake.write(
            "prompts", pl.DataFrame(prompts, schema=tables.empty("prompts").schema), Commit("test")
        )
        lake.write(
            "responses",
            pl.DataFrame(responses, schema=tables.empty("responses").schema),
            Commit("test"),
        )
    return path


def test_features_are_the_models_last_hidden_state_and_are_computed_once(
    model: Model, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    row = {
        "pair_id": "x", "messages": [{"role": "user", "content": "Hi"}], "prefix": "",
        "chosen": "Hello there, friend.",
        "rejected": "No", "chosen_ends": True, "rejected_ends": False, "rejected_messages": None,
        "rejected_prefix": None,
    }  # fmt: skip
    fitting, texts, faults = sides(pl.DataFrame([row]), model, 128)
    assert not faults and fitting["chosen_tokens"].item() > fitting["rejected_tokens"].item()
    found = features(model, texts, tmp_path)
    causal = AutoModelForCausalLM.from_pretrained(str(model.path), dtype=torch.float32)
    for key, ids in texts.items():  # one at a time, without padding
        with torch.no_grad():
            expected = (
                causal(torch.tensor([ids]), output_hidden_states=True)
                .hidden_states[-1][0, -1]
                .numpy()
            )
        mine = found.matrix[found.rows([key])[0]]
        # bf16 where it has it
        assert np.dot(mine, expected) / np.linalg.norm(mine) / np.linalg.norm(expected) > 0.998
    seen: list[int] = []
    again = features(model, texts, tmp_path, progress=lambda done, _: seen.append(done))
    assert not seen and np.array_equal(again.matrix, found.matrix)
    _, _, faults = sides(pl.DataFrame([row]), model, 4)
    assert "does not fit into noise.max_length 4" in faults["x"]


def test_the_assets_find_the_wrong_labels_and_a_second_run_makes_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHARD_HOME", str(home))
    monkeypatch.setenv("ORCHARD_PROFILE", str(home / "profile.yaml"))
    names = [step.name for step in STEPS]
    wanted = {*names, "preferences", "treated_preferences"}
    assets: list[Any] = [a for a in defs.assets or [] if a.key.path[0] in wanted]  # type: ignore[union-attr]
    for expected in ("written", "up to date"):
        done = dg.materialize(assets, resources=defs.resources, tags=span(KEYS))
        assert done.success
        for name in names:
            (event,) = [m for m in done.asset_materializations_for_node(name)]
            assert event.metadata["status"].value == expected, name
        made = {
            m.partition: m.metadata
            for m in done.asset_materializations_for_node("treated_preferences")
        }
        assert made["voted_flip"]["status"].value == expected
    with Lake(home) as lake:
        strength = lake.read("pair_strengths")
        wrong = {content_id(content_id(pair(i)["question"]), "bad") for i in range(0, 48, 8)}
        bad = strength.with_columns(wrong=pl.col("chosen_id").is_in(wrong))
        assert bad.height == 48 and bad["wrong"].sum() == 6
        means = dict(bad.group_by("wrong").agg(pl.col("noise_score").mean()).iter_rows())
        assert means[True] > means[False] + 0.3
        flipped = lake.read("preferences", where="variant = 'voted_flip' AND flipped")
        assert set(flipped["rejected_id"]) <= wrong | set(
            bad.filter(pl.col("mean") < 0)["chosen_id"]
        )
        label = lake.read("voters").row(by_predicate=pl.col("kind") == "label", named=True)
        assert label["consensus"] == pytest.approx(42 / 48, abs=0.1)
        # nothing but the verdicts that made the labels is known
        assert (label["reliability"], label["n_known"]) == (None, 0)
        assert lake.read("noise_tests").height > 0
