"""`orchard cache`: what is in use is kept, whoever made it."""

from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from assets.cli.cache import _known_policies
from assets.cli.main import app
from pipeline import tables
from pipeline.engine import model
from pipeline.engine.cachefile import CacheFile
from pipeline.engine.session import cache_path
from pipeline.errors import OrchardError
from pipeline.store import Commit, Lake

VALUE = ["text", [1, 2], [-0.5, -0.25], "stop", None, 3]
DEFAULTS = {pl.String: "x", pl.Int64: 1, pl.Float64: 0.5, pl.Boolean: True}
# table: what its row says, and the models that it names
NAMED: dict[str, tuple[dict[str, object], set[str]]] = {
    "votes": (
        {"judge_id": "judge@1", "method": "pairwise", "source": "model", "second_id": "y"},
        {"judge@1"},
    ),
    "rationales": ({"judge_id": "reasoner@1", "kind": "general"}, {"reasoner@1"}),
    "principles": ({"judge_id": "annotator@1"}, {"annotator@1"}),
    "code_pairs": (
        {
            "policy_id": "critic@1",
            "draft_id": "drafter@1",
            "method": "evol",
            "split": "train",
            "improved": "y",
        },
        {"critic@1", "drafter@1"},
    ),
}


def write(home: Path, table: str) -> None:
    row = {}
    for name, dtype in tables.empty(table).schema.items():
        nullable = tables.TABLES[table].columns()[name].nullable
        row[name] = (
            None if nullable else DEFAULTS.get(type(dtype), [{"role": "user", "content": "q"}])
        )
    rows = pl.DataFrame([row | NAMED[table][0]], schema=tables.empty(table).schema)
    with Lake(home) as lake:
        assert lake.write(table, rows, Commit("test")).rows == 1


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder, and a profile whose policy, judge and critic are folders of their own."""
    models = {}
    for name in ("policy", "arbiter", "reviewer"):
        models[name] = tmp_path / "of profile" / name
        models[name].mkdir(parents=True)
        for file in ("config.json", "model.safetensors", "tokenizer.json"):
            (models[name] / file).write_text("{}")
    profile = tmp_path / "profile.yaml"
    profile.write_text(
        f"extends: quick\nmodel: {{name: '{models['policy']}'}}\n"
        f"judge: {{models: [{{name: '{models['arbiter']}'}}]}}\n"
        f"code: {{critic: {{name: '{models['reviewer']}'}}}}\n"
    )
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path))
    monkeypatch.setenv("ORCHARD_PROFILE", str(profile))
    return tmp_path


def own(home: Path) -> set[str]:
    return {f"{path.name}@{model.fingerprint(path)}" for path in (home / "of profile").iterdir()}


@pytest.mark.parametrize("table", NAMED)
def test_the_models_of_every_table_and_of_the_profile_are_known(home: Path, table: str) -> None:
    write(home, table)
    assert _known_policies(str(home / "profile.yaml")) == NAMED[table][1] | own(home)


def test_pruning_what_is_unused_keeps_judges_critics_and_what_a_killed_run_has_sampled(
    home: Path,
) -> None:
    write(home, "votes")
    policies = ["judge@1", *sorted(own(home)), "forgotten@1"]
    cache = CacheFile(cache_path(home))
    for number, policy in enumerate(policies):
        cache.put(number.to_bytes(16, "big"), VALUE, policy)
    cache.close()
    found = CliRunner().invoke(app, ["cache", "prune", "--unused"])
    assert found.output == "1 completions pruned\n"
    assert set(CacheFile(cache_path(home)).stats()["policy_id"]) == set(policies) - {"forgotten@1"}


def test_before_the_first_commit_nothing_is_known_and_nothing_is_pruned(home: Path) -> None:
    cache = CacheFile(cache_path(home))
    cache.put(bytes(16), VALUE, "m@1")
    cache.close()
    with pytest.raises(OrchardError, match="names a model yet, so all would go: run first"):
        _known_policies(str(home / "profile.yaml"))
    assert CliRunner().invoke(app, ["cache", "prune", "--unused"]).exit_code == 1
    assert CacheFile(cache_path(home)).get(bytes(16)) == VALUE
