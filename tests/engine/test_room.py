"""Which back end an engine room opens for which model."""

from pathlib import Path
from typing import Any

import pytest

from pipeline import config
from pipeline.config import CodeSettings, ModelSettings, ServerSettings, Settings, section
from pipeline.engine import room as rooms
from pipeline.engine.model import Model
from pipeline.engine.room import EngineRoom
from pipeline.errors import OrchardError


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
