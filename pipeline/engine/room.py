"""The one engine of a run: whichever model is asked for, the same vLLM serves it."""

from pathlib import Path

from pipeline.config import (
    AskedModelSettings,
    JudgeSettings,
    PolicySettings,
    Settings,
    section,
)
from pipeline.engine.base import Engine, Usage
from pipeline.engine.budget import Meter
from pipeline.engine.model import Model, resolve
from pipeline.engine.resident import Resident
from pipeline.engine.session import open_engine


class EngineRoom:
    """Hands out the engines of models.

    They share one loaded vLLM, whose weights are exchanged from one to the next.
    """

    def __init__(self, settings: Settings, home: Path) -> None:
        self._settings = settings
        self._home = home
        self._resident = Resident(settings.engine, settings.model)
        self._meter = Meter(settings.budget)
        self._engines: dict[str, Engine] = {}

    def engine(self, model: Model, role: str = "policy") -> Engine:
        """The engine of a model in a role; its weights are loaded when something has to be sampled.

        CodeFavor's critic is asked on servers of its own, where the settings name some. A further
        policy is loaded as its own settings say, and so has an engine of its own.
        """
        own = next((one for one in self._settings.policies if one.role == role), None)
        key = model.policy_id if own is None else role
        if key not in self._engines:
            settings = self._settings
            if own is not None:
                settings = self._for_policy(own)
            elif role == "critic":
                settings = self._for_critic()
            self._engines[key] = open_engine(
                model, settings, self._home, self._resident, self._meter
            )
        return self._engines[key]

    def engine_on_servers(self, asked: AskedModelSettings) -> Engine:
        """The engine of a model on servers of its own, whatever the profile's engine is."""
        key = resolve(asked, self._home).policy_id
        if key not in self._engines:
            served = section(self._settings.engine, backend="server", servers=asked.servers)
            own = self._settings.model_copy(update={"model": asked, "engine": served})
            model = resolve(asked, self._home)
            self._engines[key] = open_engine(model, own, self._home, self._resident, self._meter)
        return self._engines[key]

    def _for_critic(self) -> Settings:
        code = self._settings.code
        if not code.critic_servers or code.critic is None:
            return self._settings
        served = section(self._settings.engine, backend="server", servers=code.critic_servers)
        return self._settings.model_copy(update={"model": code.critic, "engine": served})

    def _for_policy(self, own: PolicySettings) -> Settings:
        """The settings under which a further policy is `the` policy, and nobody else is asked."""
        backend = "server" if own.model.servers else "vllm"
        engine = section(self._settings.engine, backend=backend, servers=own.model.servers)
        alone = {"model": own.model, "engine": engine, "judge": JudgeSettings()}
        return self._settings.model_copy(update=alone)

    def usage(self) -> Usage:
        """The counts of all engines together."""
        total = Usage()
        for engine in self._engines.values():
            total = total.plus(engine.usage)
        return total

    def rest(self) -> None:
        """Gives the memory back, before training; the next request wakes the engine."""
        for engine in self._engines.values():
            engine.close()

    def close(self) -> None:
        """At the end of a run."""
        self.rest()
        self._resident.drop()
