"""Settings of further policies: models whose responses stand beside those of the trained one."""

from collections.abc import Sequence

from pydantic import Field

from pipeline.config.engine import ModelSettings
from pipeline.config.judge import AskedModelSettings
from pipeline.config.section import MOST_DRAWS, Section
from pipeline.config.sources import SamplingSettings

ROLES = "policies."  # begins what such a model is called among the roles of models
BASE = "base"  # what the profile's own `model`, the one that is trained, is called


class PolicySampling(Section):
    """What of `sampling` is otherwise for one policy; null: as there."""

    n: int | None = Field(None, ge=1, le=MOST_DRAWS)
    temperature: float | None = Field(None, ge=0)
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1)


class PolicySettings(Section):
    """A model that answers the same prompts as the trained one, and is not trained."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")  # `base` is the profile's own model
    model: AskedModelSettings  # here, or on servers of its own
    sampling: PolicySampling = PolicySampling()

    @property
    def role(self) -> str:
        """What it is called among the roles of models."""
        return f"{ROLES}{self.name}"

    def sampling_from(self, shared: SamplingSettings) -> SamplingSettings:
        """How it is sampled: what all policies share, and what differs for it."""
        return shared.model_copy(update=self.sampling.model_dump(exclude_none=True))


class DeltaSettings(Section):
    """Whose responses are preferred to whose, by the variant `delta`; `base`: the trained one's."""

    better: str | None = None
    worse: str = BASE


def check_policies(
    model: ModelSettings, policies: Sequence[PolicySettings], delta: DeltaSettings
) -> None:
    """Refuses names that stand for two policies or for none, and a model that has two names.

    Raises:
        ValueError: the message says which, and what to do.
    """
    named: set[str] = set()
    models = {_key(model): BASE}
    for own in policies:
        if own.name == BASE:
            raise ValueError(f"policies: {BASE!r} is the name of `model`: choose another")
        if own.name in named:
            raise ValueError(f"policies: {own.name!r} is there twice: rename one")
        named.add(own.name)
        other = models.setdefault(_key(own.model), own.name)
        if other != own.name:
            raise ValueError(f"policies: {own.name!r} is the same model as {other!r}: leave it out")
    for key, name in (("better", delta.better), ("worse", delta.worse)):
        if name not in {None, BASE, *named}:
            known = ", ".join(sorted({BASE, *named}))
            raise ValueError(f"delta.{key}: no policy is named {name!r}: use one of {known}")
    if delta.better == delta.worse:
        raise ValueError(f"delta: {delta.better!r} cannot be better than itself: name two policies")


def _key(model: ModelSettings) -> str:
    return model.model_dump_json(include={"name", "revision", "template"})
