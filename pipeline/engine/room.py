"""The one engine that a run has open at a time."""

from pathlib import Path

from pipeline.config import Settings
from pipeline.engine.base import Engine, Usage
from pipeline.engine.model import Model
from pipeline.engine.session import open_engine


class EngineRoom:
    """Hands out the engine of a model, the same one while the model stays the same, and closes it for another."""

    def __init__(self, settings: Settings, home: Path) -> None:
        self._settings = settings
        self._home = home
        self._engine: Engine | None = None

    def engine(self, model: Model) -> Engine:
        """The engine of this model; its weights are loaded when something has to be sampled."""
        if self._engine is None or self._engine.policy_id != model.policy_id:
            self.close()
            self._engine = open_engine(model, self._settings, self._home)
        return self._engine

    def usage(self) -> Usage:
        """A copy of the open engine's counts; zeros where none is open."""
        return Usage(**vars(self._engine.usage)) if self._engine else Usage()

    def close(self) -> None:
        """Gives the memory back, before training or at the end of a run."""
        if self._engine is not None:
            self._engine.close()
