"""The run that all assets share: opened once, closed at the end, whatever happened."""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any

import dagster as dg
from pydantic import PrivateAttr

from assets import records
from assets.steps import GRAPH
from pipeline import config, extensions
from pipeline.claim import Holder
from pipeline.ending import ends_when_told
from pipeline.engine.room import EngineRoom
from pipeline.live import live_run
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
        """Claims the home and opens the lake; at the run's end copies the lake's catalog, and
        closes lake and engines.

        A run that came through the web UI's queue waits for another live one; any other is refused.

        Raises:
            OrchardError: another run of this home is live.
        """
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        home, settings = config.home(), config.load(self.profile or None)
        extensions.load(settings.extensions)
        code.use(settings.sandbox)
        run_id = context.run_id or ""
        what = f"run {run_id[:8]} of profile {settings.profile}"
        record_end = partial(records.end_cancelled, context.instance, run_id)
        with (
            ends_when_told(record_end, ends_process=_is_queued(context)) as ending,
            live_run(home, what, run_id, _waiting(context), ending),
            Lake(home) as lake,
        ):
            records.begin(context.instance, run_id)
            keep_policies(lake, home, code_version(TRAINER))
            room = EngineRoom(settings, home)
            self._context = RunContext(settings, lake, room, home, run_id, GRAPH)
            try:
                self._context.check_policies()
                yield self
            finally:
                room.close()
                lake.keep_copy()

    @property
    def context(self) -> RunContext:
        """The run itself."""
        assert self._context is not None, "only inside a run"
        return self._context


def _is_queued(context: dg.InitResourceContext) -> bool:
    """Whether the run came through a queue, and has a process of its own."""
    return context.run is not None and context.run.remote_job_origin is not None


def _waiting(context: dg.InitResourceContext) -> Callable[[Holder], object] | None:
    """How a run waits for the live one; None where whoever started it is there to be told."""
    if not _is_queued(context):
        return None

    def say(other: Holder) -> None:
        if context.log is not None:
            context.log.info(f"waits for the live run of this home: {other}")

    return say
