"""The run that all assets share: opened once, closed at the end, whatever happened."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import dagster as dg
from pydantic import PrivateAttr

from assets.steps import GRAPH
from pipeline import config, extensions
from pipeline.engine.room import EngineRoom
from pipeline.steps import RunContext
from pipeline.steps.code import code_version
from pipeline.store import Lake
from pipeline.training.older import keep_policies
from pipeline.training.once import TRAINER
from pipeline.verify import code


class Run(dg.ConfigurableResource[Any]):
    """One per run.

    profile: a shipped profile's name or a YAML file; empty: ORCHARD_PROFILE, then quick.
    """

    profile: str = ""

    _context: RunContext | None = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator["Run", None, None]:
        """Opens the lake; at the run's end copies its catalog, and closes it and the engines."""
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        home, settings = config.home(), config.load(self.profile or None)
        extensions.load(settings.extensions)
        code.use(settings.sandbox)
        with Lake(home) as lake:
            keep_policies(lake, home, code_version(TRAINER))
            room = EngineRoom(settings, home)
            run_id = context.run_id or ""
            self._context = RunContext(settings, lake, room, home, run_id, GRAPH)
            try:
                yield self
            finally:
                room.close()
                lake.keep_copy()

    @property
    def context(self) -> RunContext:
        """The run itself."""
        assert self._context is not None, "only inside a run"
        return self._context
