"""The files of examples/: each runs where ours run, and its code counts in what it makes alone."""

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import torch

from assets.steps import GRAPH
from pipeline import config, extensions
from pipeline.config import Settings, TrainingSettings
from pipeline.engine.model import Model
from pipeline.engine.room import EngineRoom
from pipeline.errors import OrchardError
from pipeline.named import check_names
from pipeline.preferences.build import build
from pipeline.prompts import load_pools
from pipeline.shipped import ROOT
from pipeline.steps import RunContext, run_step
from pipeline.steps.recipe import code_of
from pipeline.store import Commit, Lake
from pipeline.training import losses, worker
from pipeline.training.reference import reference_logps
from pipeline.verify import verify
from tests.judge.simulated import prompts, responses
from tests.training import toy

EXAMPLES = ROOT / "examples"
TEXTS = {"p": ["right", "long and wrong", "wrong", "right, at length"], "q": ["wrong"]}


@pytest.fixture(autouse=True)
def loaded_for_this_test_only() -> Iterator[None]:
    yield
    extensions.unload()


@pytest.fixture
def settings() -> Settings:
    found = config.load(str(EXAMPLES / "extensions.yaml"))
    check_names(found)
    return found


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    drawn = responses(TEXTS, lambda text: text.startswith("right"))
    with Lake(tmp_path) as opened:
        opened.write("prompts", prompts(*TEXTS), Commit("test", fingerprint="p"))
        opened.write("responses", drawn, Commit("test", fingerprint="r"))
        yield opened


def test_the_verifier_judges_by_the_last_line(settings: Settings) -> None:
    said = {
        "A word:\nNever odd or even.": True,
        "Otto\nis a name": False,
        "ab ba!": True,
        "aa": False,
    }
    assert {text: verify(text, "3", "palindrome").correct for text in said} == said


def test_the_pool_source_makes_prompts_and_a_pool_uses_the_verifier(settings: Settings) -> None:
    rows, rejects = load_pools(settings)
    assert rejects.is_empty() and rows.height == 63
    first = rows.filter(pl.col("source") == "countdown: countdown row 1").row(0, named=True)
    assert "from 11 by 3, twice" in first["messages"][-1]["content"]
    assert (first["answer"], first["verifier"]) == ("5", "number")
    assert rows.filter(verifier="palindrome")["answer"].sort().to_list() == ["3", "4", "5"]


def test_the_judge_kind_votes_without_an_engine(
    settings: Settings, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunContext, "models", lambda self, role: [Model(tmp_path, "m@0")])
    monkeypatch.setattr(RunContext, "resolve", lambda self, model: Model(tmp_path, "m@0"))
    run = RunContext(settings, lake, EngineRoom(settings, tmp_path), tmp_path, "run", GRAPH)
    report = run_step(GRAPH.steps["votes"], run)
    votes = lake.read("votes")
    assert report.rows == votes.height == 4 * 3
    shorter = votes.filter(first_id="p-0", second_id="p-1")["p_first"].item()
    assert shorter == pytest.approx(15 / 21)  # lengths 5 and 14, each counted one more
    assert run_step(GRAPH.steps["votes"], run).status == "up to date"


def test_the_variant_pairs_the_shortest_right_with_the_longest_wrong(
    settings: Settings, lake: Lake
) -> None:
    pairs = build("shortest", lake, settings)
    assert pairs.select("chosen", "rejected").rows() == [("right", "long and wrong")]
    shuffled = build("shortest_shuffled", lake, settings)
    assert set(shuffled.select("chosen", "rejected").row(0)) == {"right", "long and wrong"}


def test_the_loss_is_the_exponential_and_a_process_of_a_training_learns_with_it(
    settings: Settings, tmp_path: Path
) -> None:
    ratios = torch.tensor([[3.0, 1.0], [0.0, 0.0]])
    values = losses.get("exponential")(ratios, toy.columns(2, beta=0.5)).tolist()
    assert values == pytest.approx([math.exp(-1.0), 1.0])
    files = dict(extensions.files_of(losses.LOSSES.modules()))
    extensions.unload()  # a process that torchrun starts knows what its task names
    model = toy.save_llama(tmp_path / "model", 0)
    training = TrainingSettings(loss="exponential", method="full", epochs=1, batch_pairs=2)
    pairs = toy.frame([toy.pair("a"), toy.pair("b")])
    pairs.write_parquet(tmp_path / "pairs.parquet")
    reference = reference_logps(model, pairs, training, policy_id="toy", known=None)
    reference.write_parquet(tmp_path / "reference.parquet")
    task = {"model": str(model), "out": str(tmp_path / "out"), "seed": 0, "precision": "fp32"}
    task |= {"settings": training.model_dump(mode="json"), "extensions": files}
    (tmp_path / "task.json").write_text(json.dumps(task))
    worker.work(tmp_path)
    found = json.loads((tmp_path / "result.json").read_text())
    assert found["loss_first"] == pytest.approx(1.0, abs=1e-2)  # h is near 0


MAKES = {  # what an extension's code counts in, of the steps that the profile needs
    "palindrome": {
        "prompts",
        "responses",
        "evaluations base",
        "evaluations *",
        "brought_evaluations",
    },
    "countdown": {"prompts"},
    "brevity": {"votes"},
    "exponential": {"training_runs shortest", "training_runs shortest_shuffled"},
    "shortest": {"preferences shortest", "preferences shortest_shuffled"},
}


def test_an_edit_counts_in_what_the_file_makes_and_in_nothing_else(tmp_path: Path) -> None:
    before = codes(tmp_path / "before")
    commented = codes(tmp_path / "comments", {name: "# a comment\n" for name in MAKES})
    assert commented == before  # also: the folder of a file does not count
    for name, steps in MAKES.items():
        after = codes(tmp_path / name, {name: "EDITED = 1\n"})
        changed = {step for step in before if before[step] != after[step]}
        wanted = {step for step in before if step in steps or f"{step.split()[0]} *" in steps}
        assert changed == wanted, name


def codes(folder: Path, added: dict[str, str] | None = None) -> dict[str, str]:
    """Code versions of all steps and parts of the example profile, lines added to its files."""
    extensions.unload()
    shutil.copytree(EXAMPLES, folder)
    for name, lines in (added or {}).items():
        with (folder / "extensions" / f"{name}.py").open("a") as file:
            file.write(lines)
    settings = config.load(str(folder / "extensions.yaml"))
    check_names(settings)
    found = {}
    for name in sorted(GRAPH.needed(settings)):
        step = GRAPH.steps[name]
        for part in step.parts(settings) if step.parts else [None]:
            found[f"{name} {part}" if part else name] = code_of(step, settings, part)
    return found


def test_names_are_checked_after_the_files_are_loaded(tmp_path: Path) -> None:
    profile = tmp_path / "mine.yaml"
    profile.write_text("extends: quick\nextensions: [none.py]\n")
    with pytest.raises(OrchardError, match=r"^extensions: no Python file .*none\.py"):
        check_names(config.load(str(profile)))
    profile.write_text("extends: quick\ntraining: {loss: exponential}\n")
    with pytest.raises(
        OrchardError, match="^training.loss: unknown loss 'exponential': use one of"
    ):
        check_names(config.load(str(profile)))
    shutil.copy(EXAMPLES / "extensions" / "exponential.py", tmp_path)
    profile.write_text(
        "extends: quick\nextensions: [exponential.py]\ntraining: {loss: exponential}\n"
    )
    check_names(config.load(str(profile)))
