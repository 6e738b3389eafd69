"""Settings cut down to what a step declares, and what they say in its fingerprint."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import config
from pipeline.config import JudgeModelSettings, ModelSettings, ServerSettings, VoterSettings
from pipeline.config.section import Section, UndeclaredRead
from pipeline.errors import OrchardError
from pipeline.steps.narrowed import ALWAYS, UNCOUNTED, meaning, narrowed

SETTINGS = config.load("quick")
NAMES = {
    f"{outer}.{inner}"
    for outer in type(SETTINGS).model_fields
    if isinstance(getattr(SETTINGS, outer), Section) and outer not in ALWAYS
    for inner in type(getattr(SETTINGS, outer)).model_fields
}


def weights(model: ModelSettings) -> str:
    """Folders "a" and "b" hold the same weights."""
    return {"b": "a"}.get(model.name, model.name)


def said(value: object) -> object:
    return meaning(value, weights, UNCOUNTED)


@given(st.sets(st.sampled_from(sorted(NAMES)), min_size=1))
def test_what_is_declared_can_be_read_and_all_else_raises(declared: set[str]) -> None:
    found = narrowed(SETTINGS, declared)
    for name in NAMES:
        outer, inner = name.split(".")
        if name in declared:
            assert getattr(getattr(found, outer), inner) == getattr(getattr(SETTINGS, outer), inner)
        else:
            with pytest.raises(UndeclaredRead, match="the step does not declare that setting"):
                getattr(getattr(found, outer), inner)


def test_a_whole_section_and_settings_two_levels_down() -> None:
    found = narrowed(SETTINGS, ["trees", "judge.principles.alike", "judge.clip"])
    assert (
        found.trees == SETTINGS.trees
        and found.judge.principles.alike == SETTINGS.judge.principles.alike
    )
    with pytest.raises(UndeclaredRead, match="PrincipleSettings.annotators is read"):
        _ = found.judge.principles.annotators
    with pytest.raises(UndeclaredRead, match="JudgeSettings.rationales is read"):
        _ = found.judge.rationales
    with pytest.raises(UndeclaredRead, match="Settings.seed is read"):
        _ = found.seed
    assert SETTINGS.judge.rationales and SETTINGS.seed is not None  # the original is whole


@pytest.mark.parametrize("name", ["jugde", "judge.clips", "judge.principles.x"])
def test_a_name_that_is_no_setting_is_a_mistake_of_the_declaration(name: str) -> None:
    with pytest.raises(ValueError, match="has no setting"):
        narrowed(SETTINGS, [name])


def test_a_model_counts_by_its_weights_and_not_by_its_folders_name() -> None:
    for kind in (ModelSettings, JudgeModelSettings):
        assert said(kind(name="a")) == said(kind(name="b", revision="main")) != said(kind(name="c"))
        assert said(kind(name="a")) != said(kind(name="a", max_model_len=99))
    voters = [VoterSettings(name="v", model=model, max_length=9) for model in "abc"]
    assert said(voters[0]) == said(voters[1]) != said(voters[2])


def test_a_server_counts_by_what_it_serves() -> None:
    here = ServerSettings(url="http://here:1", model="m")
    assert said(here) == said(ServerSettings(url="http://there:2", model="m", max_in_flight=3))
    assert said(here) != said(ServerSettings(url="http://here:1", model="other"))
    judges = [JudgeModelSettings(name="a", servers=servers) for servers in ((), (here,))]
    assert said(judges[0]) != said(judges[1])  # that there is a server counts


def test_a_text_file_counts_by_its_text_and_not_by_its_name(tmp_path: Path) -> None:
    def judge(file: str, text: str | None) -> object:
        path = tmp_path / file
        if text is not None:
            path.write_text(text)
        own = SETTINGS.judge.model_copy(update={"template": str(path)})
        return said(narrowed(SETTINGS.model_copy(update={"judge": own}), ["judge.template"]))

    assert judge("one.jinja", "[user]\nWhich?") == judge("two.jinja", "[user]\nWhich?")
    assert judge("one.jinja", "[user]\nWhich?") != judge("one.jinja", "[user]\nWhat?")
    with pytest.raises(
        OrchardError, match=r"template .*gone.jinja: No such file or directory: name a text file"
    ):
        judge("gone.jinja", None)
    shipped = [SETTINGS.judge.model_copy(update={"template": name}) for name in ("pair", "score")]
    assert said(shipped[0]) != said(shipped[1])


def test_what_changes_no_row_is_not_said() -> None:
    noise = SETTINGS.noise.model_copy(update={"micro_tokens": SETTINGS.noise.micro_tokens + 1})
    assert said(SETTINGS.model_copy(update={"noise": noise}))["noise"] == said(SETTINGS)["noise"]  # type: ignore[index]
    assert "engine" not in said(SETTINGS)  # type: ignore[operator]
    other = SETTINGS.noise.model_copy(update={"flip_share": 0.123})
    assert said(SETTINGS.model_copy(update={"noise": other}))["noise"] != said(SETTINGS)["noise"]  # type: ignore[index]
