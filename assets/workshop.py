"""What every asset needs in a run: settings, the lake, the engine room, the model."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import dagster as dg
from pydantic import PrivateAttr

from pipeline import config
from pipeline.engine.model import Model, resolve
from pipeline.engine.room import EngineRoom
from pipeline.errors import OrchardError
from pipeline.preferences.build import tables_of
from pipeline.store import Lake
from pipeline.verify import code


class Workshop(dg.ConfigurableResource[Any]):
    """One per run. `profile` is a shipped profile's name or a YAML file; empty: ORCHARD_PROFILE, then quick."""

    profile: str = ""

    _lake: Lake | None = PrivateAttr(default=None)
    _room: EngineRoom | None = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator["Workshop", None, None]:
        """Opens the lake; closes lake and engine at the end of the run, whatever happened."""
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        home = config.home()
        code.use(self.settings.sandbox)
        with Lake(home) as lake:
            self._lake, self._room = lake, EngineRoom(self.settings, home)
            try:
                yield self
            finally:
                self._room.close()

    @cached_property
    def settings(self) -> config.Settings:
        """The profile's settings."""
        return config.load(self.profile or None)

    @property
    def lake(self) -> Lake:
        """The open lake."""
        assert self._lake is not None, "only inside a run"
        return self._lake

    @property
    def room(self) -> EngineRoom:
        """The open engine room."""
        assert self._room is not None, "only inside a run"
        return self._room

    def wants(self, table: str) -> bool:
        """Whether a variant of the profile is made from this table: what nobody asks for is not made."""
        chosen = self.settings
        names = (*chosen.validation.variants, *((chosen.sweep.source,) if chosen.sweep.losses else ()))
        return any(table in tables_of(name, chosen) for name in names)

    @property
    def engine_kind(self) -> tuple[str, str]:
        """Number format and back end: with others, the same model and seeds give other texts."""
        return self.settings.model.dtype, self.settings.engine.backend

    @cached_property
    def judges(self) -> list[Model]:
        """The profile's judges; the policy itself where it names none.

        Raises:
            OrchardError: a model is not there, or one is there twice: votes are told apart by its id alone.
        """
        names: dict[str, str] = {}
        found = [resolve(model, config.home()) for model in self.settings.judge.models]
        for model, settings in zip(found, self.settings.judge.models, strict=True):
            if model.policy_id in names:
                twice = f"{names[model.policy_id]!r} and {settings.name!r} are one model ({model.policy_id})"
                raise OrchardError(f"judge.models: {twice}: leave one of them out")
            names[model.policy_id] = settings.name
        return found or [self.base]

    @cached_property
    def base(self) -> Model:
        """The model that samples, and that training starts from."""
        return resolve(self.settings.model, config.home())
