"""Profiles: every shipped one loads, and a wrong one says what is wrong."""

from pathlib import Path

import pytest

from pipeline import config
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
        ("pools: [{name: a}]\ntrees: {children: 0}", "trees.children: .*greater than or equal to 1"),
        ("pools: [{name: a}]\ncode: {pools: [b]}", "Value error, code.pools: no pool is named 'b': use some of a"),
        ("pools: [{name: a}", "not valid YAML"),
        ("seed: 1", "pools: Field required"),
        ("pools: [{name: a}]\ntraining: {loss: dpoo}", "training.loss: Input should be .*'sigmoid'"),
        ("pools: [{name: a}]\nsweep: {losses: [sigmoid, dpoo]}", "sweep.losses.1: Input should be .*'sigmoid'"),
        ("pools: [{name: a}]\nvariants: [{name: a, source: b, loss: dpoo}]", "variants.0.loss: Input should be"),
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
    assert mine.profile == "mine" and mine.training.beta == 0.3 and mine.validation.variants == ("outcome",)
    assert mine.training.learning_rate == quick.training.learning_rate and mine.pools == quick.pools
    path.write_text(f"extends: {path}")
    with pytest.raises(OrchardError, match="extends itself"):
        config.load(str(path))
    path.write_text("extends: nothing")
    with pytest.raises(OrchardError, match="unknown profile 'nothing'"):
        config.load(str(path))


def test_home_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path))
    assert config.home() == tmp_path
    monkeypatch.delenv("ORCHARD_HOME")
    assert config.home() == config.ROOT / "data"
