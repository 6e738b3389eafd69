"""What all steps of a run share: settings, the lake, the engines, and the models they stand for."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.config import ModelSettings, Settings
from pipeline.config.policies import BASE
from pipeline.engine.model import Model, resolve
from pipeline.engine.room import EngineRoom
from pipeline.errors import OrchardError
from pipeline.steps.roles import role_of
from pipeline.store import Lake

if TYPE_CHECKING:
    from pipeline.steps.graph import Graph

T = TypeVar("T")


class RunContext:
    """One per run.

    settings: of the profile, all of them. home: the data folder. run_id: names the run in commits.
    graph: of all steps, for a step that says what others cost.
    """

    def __init__(
        self,
        settings: Settings,
        lake: Lake,
        room: EngineRoom,
        home: Path,
        run_id: str = "",
        graph: "Graph | None" = None,
    ) -> None:
        self.settings = settings
        self.lake = lake
        self.room = room
        self.home = home
        self.run_id = run_id
        self.graph = graph
        self._resolved: dict[str, Model] = {}
        self._made_once: dict[tuple[object, ...], Any] = {}

    def resolve(self, settings: ModelSettings) -> Model:
        """The model that some settings name, looked up once a run.

        Raises:
            OrchardError: there is no such model.
        """
        key = settings.model_dump_json(include={"name", "revision", "template"})
        if key not in self._resolved:
            self._resolved[key] = resolve(settings, self.home)
        return self._resolved[key]

    def models(self, role: str) -> list[Model]:
        """The models of a role, in the order of the settings.

        Raises:
            OrchardError: one is not there, or one is there twice: rows are told apart by its id.
        """
        names: dict[str, str] = {}
        found = []
        own = role_of(role)
        for settings in own.models(self.settings):
            model = self.resolve(settings)
            if model.policy_id in names:
                pair = f"{names[model.policy_id]!r} and {settings.name!r}"
                what = f"{pair} are one model ({model.policy_id})"
                raise OrchardError(f"{own.settings[-1]}: {what}: leave one of them out")
            names[model.policy_id] = settings.name
            found.append(model)
        return found

    def check_policies(self) -> None:
        """Refuses further policies that are one model under two names: they would say the same.

        Raises:
            OrchardError: two are, or one is not there.
        """
        named = {own.name: own.model for own in self.settings.policies}
        known: dict[str, str] = {}
        for name, model in {BASE: self.settings.model, **named}.items() if named else ():
            own = self.resolve(model).policy_id
            other = known.setdefault(own, name)
            if other != name:
                what = f"{name!r} and {other!r} are one model ({own})"
                raise OrchardError(f"policies: {what}: leave one of them out")

    def once(self, key: tuple[object, ...], make: Callable[[], T]) -> T:
        """A value that is made at most once a run."""
        if key not in self._made_once:
            self._made_once[key] = make()
        found: T = self._made_once[key]
        return found
