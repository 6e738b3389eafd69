"""All settings of a run: one YAML file per profile, and where the data live."""

import os
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

from pydantic import ValidationError, field_validator, model_validator

from pipeline.config.engine import BudgetSettings, EngineSettings, ModelSettings
from pipeline.config.judge import JudgeSettings
from pipeline.config.noise import NoiseSettings
from pipeline.config.paths import beside, beside_profile
from pipeline.config.policies import DeltaSettings, PolicySettings, check_policies
from pipeline.config.search import SearchSettings
from pipeline.config.section import Section, first_problem
from pipeline.config.selection import SelectionSettings
from pipeline.config.sources import (
    PersonalDataSettings,
    PoolSettings,
    SamplingSettings,
    SandboxSettings,
    SourceSettings,
    SplitSettings,
)
from pipeline.config.sweep import SweepSettings
from pipeline.config.synthesis import CodeSettings, MaplSettings, MiningSettings, OverlapSettings
from pipeline.config.training import OwnTraining, PreferenceSettings, TrainingSettings
from pipeline.config.trees import ListSettings, ThoughtSettings, TreeSettings
from pipeline.config.validation import ValidationSettings
from pipeline.config.variants import UserVariant, with_parts
from pipeline.errors import OrchardError, one_line
from pipeline.shipped import IN_WHEEL, ROOT
from pipeline.strict import yaml_value

PROFILES = Path(__file__).resolve().parents[1] / "profiles"
_ENDINGS = (".yaml", ".yml")


class Settings(Section):
    """All settings of a profile."""

    profile: str
    extensions: tuple[str, ...] = ()  # Python files of one's own, relative to the profile's folder
    seed: int = 0  # the run seed: every other seed derives from it and a row's id
    timezone: str = "UTC"  # of the nightly schedule
    model: ModelSettings = ModelSettings()
    engine: EngineSettings = EngineSettings()
    policies: tuple[PolicySettings, ...] = ()  # others that answer the same prompts
    delta: DeltaSettings = DeltaSettings()
    pools: tuple[PoolSettings, ...] = ()  # none: a profile of sources alone
    sources: tuple[SourceSettings, ...] = ()  # preference data that exist
    splits: SplitSettings = SplitSettings()
    personal_data: PersonalDataSettings = PersonalDataSettings()
    sampling: SamplingSettings = SamplingSettings()
    sandbox: SandboxSettings = SandboxSettings()
    code: CodeSettings = CodeSettings()
    mining: MiningSettings = MiningSettings()
    trees: TreeSettings = TreeSettings()
    thoughts: ThoughtSettings = ThoughtSettings()
    lists: ListSettings = ListSettings()
    preferences: PreferenceSettings = PreferenceSettings()
    judge: JudgeSettings = JudgeSettings()
    noise: NoiseSettings = NoiseSettings()
    mapl: MaplSettings = MaplSettings()
    # what counts as an evaluation prompt among the training data
    overlap: OverlapSettings = OverlapSettings()
    # of one's own; compared where validation.variants names them
    variants: tuple[UserVariant, ...] = ()
    training: TrainingSettings = TrainingSettings()
    # what of `training` is otherwise for variants that the profile does not declare, by name, such
    # as {outcome: {learning_rate: 1.0e-5}}; their controls train alike
    variant_training: dict[str, OwnTraining] = {}
    search: SearchSettings = SearchSettings()
    validation: ValidationSettings = ValidationSettings()
    sweep: SweepSettings = SweepSettings()
    selection: SelectionSettings = SelectionSettings()
    budget: BudgetSettings = BudgetSettings()

    @model_validator(mode="before")
    @classmethod
    def _has_the_parts_of_a_curve(cls, values: Any) -> Any:
        """With `validation.budget: curve`, parts of all compared variants are variants too."""
        try:
            compared = ValidationSettings.model_validate(values.get("validation") or {})
            own = [UserVariant.model_validate(one).model_dump() for one in values["variants"] or ()]
        except KeyError:
            own = []
        except (ValidationError, AttributeError, TypeError):
            return values  # refused below, with the setting's name
        if compared.budget != "curve":
            return values
        parts = with_parts(compared.variants, own)
        names = dict.fromkeys([*compared.variants, *(part["name"] for part in parts)])
        more = {"variants": tuple(names)}
        return {
            **values,
            "variants": [*own, *parts],
            "validation": {**compared.model_dump(exclude_unset=True), **more},
        }

    @field_validator("timezone")
    @classmethod
    def _is_a_time_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (
            LookupError,
            ValueError,
            OSError,
        ) as error:  # unknown; no name of a zone; a folder of zones
            raise ValueError(
                f"no time zone is named {name!r}: use one such as Europe/Berlin or UTC"
            ) from error
        return name

    @model_validator(mode="after")
    def _has_the_weights_that_it_reads(self) -> Self:
        read = {"model": self.model, "judge.principles.embedding": self.judge.principles.embedding}
        for setting, model in read.items():
            if model is not None and model.is_only_served:
                raise ValueError(
                    f"{setting}: the weights of {model.name!r} are read, for training say: "
                    "name their folder or hub id"
                )
        return self

    @model_validator(mode="after")
    def _policies_can_be_told_apart(self) -> Self:
        check_policies(self.model, self.policies, self.delta)
        return self

    @model_validator(mode="after")
    def _evaluation_sets_stand_apart(self) -> Self:
        """Something is left to learn from, and the name of a set is the name of nothing else."""
        both = [(one.name, one.role) for one in self.pools]
        both += [(one.name, one.role) for one in self.sources]
        names = [name for name, _ in both]
        sets = [name for name, role in both if role == "evaluation"]
        if twice := [name for name in sets if names.count(name) > 1]:
            raise ValueError(
                f"the evaluation set {twice[0]!r} shares its name with another pool or source: "
                "rename one"
            )
        if sets and len(sets) == len(both):
            raise ValueError(
                f"role evaluation: {', '.join(sets)}: nothing is left to learn from: "
                "add a pool or a source of the role training"
            )
        return self

    @model_validator(mode="after")
    def _code_comes_from_known_pools(self) -> Self:
        known = [pool.name for pool in self.pools if pool.role == "training"]
        if unknown := set(self.code.pools) - set(known):
            raise ValueError(
                f"code.pools: no pool of the role training is named {min(unknown)!r}: "
                f"use some of {', '.join(known)}"
            )
        return self

    @model_validator(mode="after")
    def _a_variant_has_its_training_in_one_place(self) -> Self:
        for own in self.variants:
            if own.name in self.variant_training:
                raise ValueError(
                    f"variant_training: {own.name!r} is declared in `variants`: "
                    "say there what of its training differs (training)"
                )
        return self

    @model_validator(mode="after")
    def _parts_have_a_whole_to_be_drawn_from(self) -> Self:
        """A part is drawn from what its whole learns from, which is known of compared ones."""
        parts = {own.name: own.part_of for own in self.variants if own.part_of is not None}
        for name, whole in parts.items():
            if whole in parts:
                what = "is a part itself: name the whole variant, and a smaller share"
                raise ValueError(f"variant {name!r}: part_of {whole!r} {what}")
            if name in self.validation.variants and whole not in self.validation.variants:
                what = "is not compared: add it to validation.variants"
                raise ValueError(f"variant {name!r}: part_of {whole!r} {what}")
        return self

    @model_validator(mode="after")
    def _sources_have_names_of_their_own(self) -> Self:
        taken = {variant.name: "a variant" for variant in self.variants}
        for source in self.sources:
            if source.name in taken:
                raise ValueError(
                    f"sources: {source.name!r} is the name of {taken[source.name]} too: rename one"
                )
            taken[source.name] = "another source"
        return self


def home() -> Path:
    """The data folder: ORCHARD_HOME;
    else data/ of the checkout, or of the current folder (wheel).
    """
    beside = Path.cwd() if IN_WHEEL else ROOT
    return Path(os.environ.get("ORCHARD_HOME") or beside / "data").expanduser().resolve()


def profiles() -> list[str]:
    """Names of the profiles that the package ships."""
    return sorted(path.stem for path in PROFILES.glob("*.yaml"))


def load(profile: str | None = None) -> Settings:
    """Settings of a profile: a shipped name, or the path of a YAML file;
    default ORCHARD_PROFILE, then quick.

    Raises:
        OrchardError: no such profile, not YAML, or a setting that does not exist or is out of
            range.
    """
    path = path_of(profile or os.environ.get("ORCHARD_PROFILE") or "quick")
    try:
        settings = Settings(**{"profile": path.stem, **_values(path)})
    except ValidationError as error:
        raise OrchardError(f"{path}: {first_problem(error)}") from error
    if not settings.pools and not settings.sources:
        raise OrchardError(
            f"{path}: no pools and no sources: name some prompts, or pairs to start from"
        )
    return settings


def path_of(name: str) -> Path:
    """The file of a profile: of a shipped name, or a YAML file's own path."""
    path = Path(beside(name, Path())) if name.endswith(_ENDINGS) else PROFILES / f"{name}.yaml"
    if not os.path.isfile(path):
        raise OrchardError(
            f"unknown profile {name!r}: "
            f"use one of {', '.join(profiles())}, or the path of a YAML file"
        )
    return path


def _values(path: Path, inside: tuple[Path, ...] = ()) -> dict[str, Any]:
    """What a profile's file says,
    on top of the profile that its `extends` names (a shipped name, or a path).
    """
    if path in inside:
        raise OrchardError(f"{path}: extends itself")
    try:
        own = yaml_value(path) or {}
    except (ValueError, OSError) as error:
        raise OrchardError(f"{path}: not valid YAML in UTF-8: {one_line(error)}") from error
    if not isinstance(own, dict):
        raise OrchardError(f"{path}: not a mapping of settings")
    if other := [name for name in own if not isinstance(name, str)]:
        raise OrchardError(f"{path}: {other[0]!r} is no name of a setting: write one, in quotes")
    base = own.pop("extends", None)
    own = beside_profile(own, path.parent)  # before they are merged: whoever extends this profile
    if base is None:
        return own
    if not isinstance(base, str):
        raise OrchardError(f"{path}: extends {base!r} is no profile: give one name, or one path")
    name = base
    extended = path_of(beside(name, path.parent) if name.endswith(_ENDINGS) else name)
    return _merged(_values(extended, (*inside, path)), own)


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """`own` over `base`: sections are merged key by key, anything else is replaced."""
    merged = dict(base)
    for key, value in own.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merged(base[key], value) if both else value
    return merged
