"""Who is asked: the roles that models have in a run, and which settings name the model of each."""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.config import ModelSettings, Settings, policies


@dataclass(frozen=True)
class Role:
    """A role of models.

    settings: dotted names of the settings that choose the models and how they are loaded.
    models: the models, from the settings.
    """

    settings: tuple[str, ...]
    models: Callable[[Settings], tuple[ModelSettings, ...]]


def _judges(settings: Settings) -> tuple[ModelSettings, ...]:
    return settings.judge.models or (settings.model,)


def _critic(settings: Settings) -> tuple[ModelSettings, ...]:
    return (settings.code.critic or settings.model,)


def _writer(settings: Settings) -> tuple[ModelSettings, ...]:
    return (settings.judge.rationales.model or settings.model,)


ROLES: dict[str, Role] = {
    # The policy: it samples, and training starts from it.
    "policy": Role(("model",), lambda settings: (settings.model,)),
    # Those who judge; the policy itself where the profile names none.
    "judges": Role(("model", "judge.models"), _judges),
    # Who writes rationales; the policy where the profile names nobody else.
    "rationale_writer": Role(("model", "judge.rationales.model"), _writer),
    # CodeFavor's critic; the policy where the profile names none.
    "critic": Role(("model", "code.critic", "code.critic_servers"), _critic),
}


def role_of(name: str) -> Role:
    """The role of that name: one of ROLES, or that of a further policy, each of which has its own.

    Raises:
        KeyError: no such role.
    """
    if not name.startswith(policies.ROLES):
        return ROLES[name]
    return Role(("policies",), lambda settings: _models(name, settings))


def _models(role: str, settings: Settings) -> tuple[ModelSettings, ...]:
    return tuple(own.model for own in settings.policies if own.role == role)


def roles(settings: Settings) -> dict[str, Role]:
    """All roles that models have under a profile, by name."""
    return {**ROLES, **{own.role: role_of(own.role) for own in settings.policies}}


HOW = ("engine.backend",)  # with another back end, the same model and seeds give other texts


def how(settings: Settings) -> list[str]:
    """What else about the policy's servers gives other texts: how they are asked."""
    return ["chat"] if settings.engine.is_chat else []
