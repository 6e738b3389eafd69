"""Profiles: every shipped one loads, and a wrong one says what is wrong."""

import os
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from pipeline import config
from pipeline.config.paths import PATHS
from pipeline.errors import OrchardError


def test_every_shipped_profile_loads() -> None:
    assert {"quick", "every", "gpu", "cluster"} <= set(config.profiles())
    for name in config.profiles():
        assert config.load(name).profile == name


def test_an_unknown_profile_lists_the_known_ones() -> None:
    with pytest.raises(OrchardError, match="unknown profile 'quik': use one of .*quick"):
        config.load("quik")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pools: [{name: a}]\ntrees: {childs: 3}", "trees.childs: Extra inputs are not permitted"),
        (
            "pools: [{name: a}]\ntrees: {children: 0}",
            "trees.children: .*greater than or equal to 1",
        ),
        (
            "pools: [{name: a}]\ncode: {pools: [b]}",
            "Value error, code.pools: no pool of the role training is named 'b': use some of a",
        ),
        (
            "pools: [{name: a}]\nsources: [{name: uf, path: a.csv}, {name: uf, path: b.csv}]",
            "Value error, sources: 'uf' is the name of another source too: rename one",
        ),
        (
            "pools: [{name: a}]\nvariants: [{name: uf, source: osp}]\n"
            "sources: [{name: uf, path: a.csv}]",
            "Value error, sources: 'uf' is the name of a variant too: rename one",
        ),
        ("pools: [{name: a}]\nsources: [{name: u/f, path: a.csv}]", "sources.0.name: .*pattern"),
        ("pools: [{name: a}]\nsources: [{name: uf, path: ''}]", "sources.0.path: .*1 character"),
        ("pools: [{name: a}]\nsources: [{name: uf, path: a, limit: 0}]", "sources.0.limit: "),
        ("pools: [{name: a}", "not valid YAML"),
        ("seed: 1", "no pools and no sources"),
    ],
)
def test_a_wrong_file_names_the_setting(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(OrchardError, match=f"mine.yaml: {says}") as caught:
        config.load(str(path))
    assert "\n" not in str(caught.value)


def test_a_profile_extends_another_section_by_section(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("extends: quick\ntraining: {beta: 0.3}\nvalidation: {variants: [outcome]}\n")
    mine, quick = config.load(str(path)), config.load("quick")
    assert (
        mine.profile == "mine"
        and mine.training.beta == 0.3
        and mine.validation.variants == ("outcome",)
    )
    assert mine.training.learning_rate == quick.training.learning_rate and mine.pools == quick.pools
    path.write_text(f"extends: {path}")
    with pytest.raises(OrchardError, match="extends itself"):
        config.load(str(path))
    path.write_text("extends: nothing")
    with pytest.raises(OrchardError, match="unknown profile 'nothing'"):
        config.load(str(path))


def every_text(model: type[BaseModel], place: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """The places of all settings that are free texts, with * for each item of a list."""
    found: set[tuple[str, ...]] = set()
    for name, field in model.model_fields.items():
        kinds = [field.annotation]
        while kinds:
            kind = kinds.pop()
            inside = (*place, name, *(["*"] if "tuple" in str(field.annotation) else []))
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found |= every_text(kind, inside)
            elif kind is str:
                found.add(inside)
            kinds += get_args(kind)
    return found


# Texts that are no paths. A new setting that is a text has to be put here, or among the paths.
NO_PATHS = {
    "profile", "timezone", "task", "config", "split", "prompt_column", "answer_column", "verifier",
    "system", "licence", "question", "answer", "pools", "params", "licences", "kinds", "variants",
    "source", "control_of", "kind", "loss", "losses", "needs", "revision", "url", "key_env",
    "aspect", "delimiter", "criteria", "words", "model.template", "code.critic.template",
    "judge.models.template", "judge.rationales.model.template",
    "judge.principles.embedding.template", "pools.name", "pools.template",
    "variants.name", "variants.of", "part_of", "rank_by", "groups",
    "noise.external.name", "thoughts.reward.name", "tools_column",
    "selection.sources", "family", "families", "sources.name", "sources.map", "phone_regions",
    "variant_training", "variants.training", "policies.name", "policies.model.template",
    "better", "worse",
}  # fmt: skip


def test_every_setting_that_may_be_a_path_is_relative_to_the_profile() -> None:
    known = {place for place, _ in PATHS} | {("pools", "*", "path")}
    found = set()
    for place in every_text(config.Settings):
        words = [part for part in place if part != "*"]
        # the name that it serves a model under
        of_a_server = words[-1] == "model" and "server" in words[-2]
        if not of_a_server and words[-1] not in NO_PATHS and ".".join(words) not in NO_PATHS:
            found.add(place)
    assert found == known


def test_a_profile_means_the_same_files_from_every_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mine"
    (folder / "labels").mkdir(parents=True)
    (folder / "base.yaml").write_text(
        "extends: quick\nmodel: {name: ./small}\ncode: {critic: {name: ../critic}}\n"
    )
    (folder / "mine.yaml").write_text(
        "extends: base.yaml\n"
        "extensions: [own.py, sub/../b.py, /c.py]\n"
        "pools:\n"
        "  - {name: a, source: file, path: q.jsonl}\n"
        "  - {name: b, source: datasets, path: labels}\n"
        "  - {name: c, source: datasets, path: openai/gsm8k}\n"
        "  - {name: d, source: file, path: /q.jsonl}\n"
        "  - {name: e, source: file, path: ~/q.jsonl}\n"
        "variants: [{name: own, sql: own.sql}]\n"
        "judge: {models: [{name: .}, {name: a/b}], template: own.jinja, "
        "principles: {embedding: {name: ./e}}}\n"
        "noise: {external: [{name: rm, model: ./rm}]}\n"
        "thoughts: {value: reward, reward: {name: rm, model: ../rm}}\n"
        "sources: [{name: a, path: hf:org/set}, {name: b, path: ./b}, {name: c, path: c.jsonl}]\n"
    )
    for where in (tmp_path, folder, Path("/")):
        monkeypatch.chdir(where)
        for path in (folder / "mine.yaml", Path(os.path.relpath(folder / "mine.yaml", where))):
            found: Any = config.load(str(path))
            paths = [Path(pool.path) for pool in found.pools]
            assert paths == [folder / "q.jsonl", folder / "labels", Path("openai/gsm8k"),
                             Path("/q.jsonl"),
                             Path.home() / "q.jsonl"]  # fmt: skip
            assert found.extensions == (f"{folder}/own.py", f"{folder}/sub/../b.py", "/c.py")
            assert Path(
                found.variants[0].sql
            ) == folder / "own.sql" and found.judge.template == str(folder / "own.jinja")
            named = [
                found.model.name,
                found.code.critic.name,
                found.judge.models[0].name,
                found.thoughts.reward.model,
            ]
            assert [Path(name).resolve() for name in named] == [
                folder / "small",
                tmp_path / "critic",
                folder,
                tmp_path / "rm",
            ]
            assert found.judge.principles.embedding.name == str(folder / "e")
            sources = [source.path for source in found.sources]
            assert sources == ["hf:org/set", str(folder / "b"), str(folder / "c.jsonl")]
            assert (
                found.noise.external[0].model == str(folder / "rm")
                and found.judge.models[1].name == "a/b"
            )


@pytest.mark.parametrize(
    "zone", ["Mars/Phobos", "''", "'  '", "Europe", "../etc/passwd", "/etc/localtime", "utc+2", "5"]
)
def test_a_time_zone_that_does_not_exist_is_one_line_of_the_profile(
    zone: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"extends: quick\ntimezone: {zone}\n")
    with pytest.raises(OrchardError, match="mine.yaml: timezone: ") as caught:
        config.load(str(path))
    assert "\n" not in str(caught.value) and ("Europe/Berlin" in str(caught.value) or zone == "5")


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_time_zones_that_exist_are_taken(zone: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"extends: quick\ntimezone: {zone}\n")
    assert config.load(str(path)).timezone == zone


def test_home_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path))
    assert config.home() == tmp_path
    monkeypatch.delenv("ORCHARD_HOME")
    assert config.home() == config.ROOT / "data"
