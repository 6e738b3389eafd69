"""Runs steps over a lake with engines that a test scripts:
without Dagster (`make`), or with it (`materialise`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.factory import asset_of
from assets.run import Run
from assets.steps import GRAPH
from assets.variants import VARIANTS
from pipeline import config
from pipeline.config import ModelSettings, Settings
from pipeline.engine.base import Usage
from pipeline.engine.model import Model
from pipeline.engine.rendering import Renderer
from pipeline.engine.room import EngineRoom
from pipeline.preferences.build import build
from pipeline.preferences.registry import reads_of
from pipeline.steps import RunContext, Step, StepReport, run_step
from pipeline.steps.run import empty_other_parts, step_name
from pipeline.store import Commit, Lake


class Characters:
    """Stands for a tokenizer: a token is a character, and so is the end of a turn."""

    def said_ids(self, text: str, *, ends: bool, sampled: Any = None) -> list[int]:
        return [*map(ord, text), *([0] if ends else [])]


CHARACTERS = Characters()


class ScriptedRoom:
    """Stands for an EngineRoom: hands out the given engines by the ids of their models."""

    def __init__(self, engines: Sequence[Any]) -> None:
        self.engines = {engine.policy_id: engine for engine in engines}

    def engine(self, model: Model, role: str = "policy") -> Any:
        return self.engines[model.policy_id]

    def usage(self) -> Usage:
        total = Usage()
        for engine in self.engines.values():
            total = total.plus(engine.usage)
        return total

    def rest(self) -> None:
        """No memory to give back."""

    def close(self) -> None:
        """Nothing to close."""


class ScriptedRun(RunContext):
    """A run whose models are those of the engines; see `model_named`."""

    def __init__(
        self,
        lake: Lake,
        settings: Settings,
        *engines: Any,
        folder: Path | None = None,
        policy: str = "m@0",
    ) -> None:
        """`folder` holds the models; `policy` is the only one's id where there is no engine."""
        room: Any = ScriptedRoom(engines)
        super().__init__(settings, lake, room, lake.home, "r", GRAPH)
        self.names = list(room.engines) or [policy]
        self.folder = folder or lake.home

    def resolve(self, settings: ModelSettings) -> Model:
        return model_named(settings, self.names, self.folder)


def model_named(settings: ModelSettings, names: Sequence[str], folder: Path) -> Model:
    """The model that settings name by its id; the first one where they name none of them."""
    return Model(folder, settings.name if settings.name in names else names[0])


def make(run: RunContext, *steps: Step) -> dict[str, StepReport]:
    """Makes all parts of some steps, one after the other;
    the reports by step, or by step and part.
    """
    done: dict[str, StepReport] = {}
    for step in steps:
        empty_other_parts(step, run)
        for part in [None] if step.parts is None else step.parts(run.settings):
            done[step_name(step, part)] = run_step(step, run, part)
    return done


def materialise(
    home: Path,
    profile: Path,
    names: Sequence[str],
    *engines: Any,
    checks: Sequence[dg.AssetChecksDefinition] = (),
    variants: dg.StaticPartitionsDefinition = VARIANTS,
    **more: Any,
) -> dg.ExecuteInProcessResult:
    """A Dagster run of the assets of some steps. There is no tokenizer: a token is a character."""
    settings = config.load(str(profile))
    steps = [GRAPH.steps[name] for name in names]
    assets = [asset_of(step, GRAPH.before(step, settings), settings, variants) for step in steps]
    room = ScriptedRoom(engines)
    ids = list(room.engines) or ["m@0"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORCHARD_HOME", str(home))
        patch.setattr(RunContext, "resolve", lambda _, named: model_named(named, ids, home))
        patch.setattr(EngineRoom, "engine", lambda _, *asked: room.engine(*asked))
        patch.setattr(Renderer, "chat", CHARACTERS)
        resources = {"run": Run(profile=str(profile))}
        return dg.materialize([*assets, *checks], resources=resources, **more)


def write_pairs(lake: Lake, settings: Settings, *variants: str) -> None:
    """Writes the pairs of variants, in this order:
    those that treat another's read them from the table.
    """
    for name in variants:
        own = {"variant": name}
        lake.write("preferences", build(name, lake, settings), Commit("test"), partition=own)


def cost_of(variant: str, lake: Lake, settings: Settings) -> int:
    """Sampled tokens that a variant's data would cost alone."""
    return GRAPH.tokens(reads_of(variant, settings), settings, lake)


def made_from(variant: str, settings: Settings) -> list[str]:
    """The tables that a variant's pairs are made from, and these from, the nearest first."""
    return GRAPH.tables_behind(reads_of(variant, settings), settings)
