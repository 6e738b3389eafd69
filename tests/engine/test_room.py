"""Which back end an engine room opens for which model."""

from pathlib import Path
from typing import Any

import pytest

from pipeline import config
from pipeline.config import (
    AskedModelSettings,
    CodeSettings,
    EngineSettings,
    JudgeModelSettings,
    JudgeSettings,
    ModelSettings,
    RationaleSettings,
    ServerSettings,
    Settings,
    section,
)
from pipeline.engine import room as rooms
from pipeline.engine.chat import ChatEngine
from pipeline.engine.model import Model
from pipeline.engine.room import EngineRoom
from pipeline.errors import OrchardError
from pipeline.steps.context import RunContext
from pipeline.steps.roles import ROLES


def test_the_critic_is_asked_on_servers_of_its_own_and_the_policy_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: dict[str, Settings] = {}

    def note(model: Model, settings: Settings, *rest: Any) -> str:
        opened[model.policy_id] = settings
        return model.policy_id

    monkeypatch.setattr(rooms, "open_engine", note)
    critic = ModelSettings(name="/models/large")
    code = CodeSettings(critic=critic, critic_servers=(ServerSettings(url="http://large:8000"),))
    settings = config.load("quick").model_copy(update={"code": code})
    room = EngineRoom(settings, tmp_path)
    assert (
        room.engine(Model(tmp_path, "small")),
        room.engine(Model(tmp_path, "large"), "critic"),
    ) == (
        "small",
        "large",
    )
    assert opened["small"].engine.backend == "vllm" and opened["small"].model == settings.model
    assert opened["large"].engine.backend == "server" and opened["large"].model == critic
    assert [server.url for server in opened["large"].engine.servers] == ["http://large:8000"]


def test_a_critic_without_servers_is_loaded_here_and_servers_without_a_critic_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        rooms, "open_engine", lambda model, settings, *rest: settings.engine.backend
    )
    room = EngineRoom(config.load("quick"), tmp_path)
    assert room.engine(Model(tmp_path, "large"), "critic") == "vllm"
    with pytest.raises(OrchardError, match="critic_servers needs critic: the folder or hub id"):
        section(CodeSettings(), critic_servers=({"url": "http://large:8000"},))


def test_every_role_can_be_on_chat_servers(tmp_path: Path) -> None:
    """Policy, judge, writer of rationales and critic, each of another model."""
    folder = tmp_path / "small"
    folder.mkdir()
    for file in ("config.json", "model.safetensors", "tokenizer.json"):
        (folder / file).write_text("weights")
    server = ServerSettings(url="http://host:1", api="chat")
    judge = JudgeModelSettings(name="served:judge", servers=(server,))
    writer = AskedModelSettings(name="served:writer", servers=(server,))
    settings = Settings(
        profile="p",
        pools=(),
        model=ModelSettings(name=str(folder)),
        engine=EngineSettings(backend="server", servers=(server,), cache=False),
        judge=JudgeSettings(models=(judge,), rationales=RationaleSettings(model=writer)),
        code=CodeSettings(critic=ModelSettings(name="served:critic"), critic_servers=(server,)),
    )
    run = RunContext(settings, None, EngineRoom(settings, tmp_path), tmp_path)  # type: ignore[arg-type]
    asked = {role: run.room.engine(run.models(role)[0], role) for role in ROLES}
    assert {type(engine) for engine in asked.values()} == {ChatEngine}
    names = {role: engine._servers[0].model for role, engine in asked.items()}  # type: ignore[attr-defined]
    assert names == {
        "policy": str(folder),
        "judges": "judge",
        "rationale_writer": "writer",
        "critic": "critic",
    }
