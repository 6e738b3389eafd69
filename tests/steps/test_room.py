"""A limit of replies that leaves no room for the question is refused before anything is sampled."""

from typing import Any

import pytest

from assets.steps import GRAPH
from pipeline import config
from pipeline.config import Settings
from pipeline.errors import OrchardError
from pipeline.steps.narrowed import narrowed
from pipeline.steps.roles import ROLES
from pipeline.steps.room import REPLIES, check_room

# What makes a profile need the step that asks for each reply.
WANTS: dict[str, dict[str, Any]] = {
    "sampling": {},
    "trees": {"validation": {"variants": ("tree_plv",)}},
    "thoughts": {"validation": {"variants": ("tot",)}},
    "judge.rationales": {"validation": {"variants": ("rationale",)}},
    "judge.principles": {"validation": {"variants": ("principles",)}},
    "mapl": {"validation": {"variants": ("mapl_intra",)}, "mapl": {"reword": True}},
    "code": {"validation": {"variants": ("codefavor_evol",)}},
}


def settings(**changes: Any) -> Settings:
    base = {
        "profile": "test",
        "pools": (),
        "model": {"max_model_len": 128},
        "sampling": {"max_tokens": 60},
        "trees": {"rollout_tokens": 60},
        "thoughts": {"rollout_tokens": 60},
        "judge": {
            "rationales": {"max_tokens": 60},
            "principles": {"feedback_tokens": 60, "principle_tokens": 60},
        },
        "code": {"draft_tokens": 60, "critic_tokens": 60},
        "validation": {"variants": ("outcome",)},
    }
    return Settings(**_merged(base, changes))  # type: ignore[arg-type]


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    shared = [name for name in one.keys() & other.keys() if isinstance(one[name], dict)]
    both = {name: _merged(one[name], other[name]) for name in shared}
    return {**one, **other, **both}


def refusal(settings: Settings) -> str | None:
    """Why a profile is refused; null where it is not."""
    try:
        check_room(GRAPH, settings)
    except OrchardError as error:
        return str(error)
    return None


def limited(setting: str, limit: int) -> Settings:
    *section, name = setting.split(".")
    nested: dict[str, Any] = {name: limit}
    for part in reversed(section):
        nested = {part: nested}
    return settings(**_merged(WANTS[".".join(section)], nested))


@pytest.mark.parametrize("setting", REPLIES)
def test_every_limit_of_replies_is_held_to_the_context_of_who_replies(setting: str) -> None:
    assert refusal(limited(setting, 127)) is None
    said = f"{setting} is 128, and the {REPLIES[setting]} of the step "
    assert str(refusal(limited(setting, 128))).startswith(said)


def test_a_limit_that_nobody_asks_for_stops_nothing() -> None:
    unasked = {"code": {"critic_tokens": 4096}, "judge": {"rationales": {"max_tokens": 999}}}
    assert refusal(settings(**unasked)) is None


def test_a_model_of_its_own_has_a_context_of_its_own() -> None:
    longer = {
        "validation": {"variants": ("codefavor_evol",)},
        "code": {"critic": {"name": "m", "max_model_len": 4096}, "critic_tokens": 2048},
    }
    assert refusal(settings(**longer)) is None
    longer["code"]["critic_tokens"] = 4096
    assert "code.critic_tokens is 4096" in str(refusal(settings(**longer)))


def test_all_limits_of_replies_are_known() -> None:
    """Every setting whose name says tokens is a reply's, or is listed here with the reason."""
    others = {
        "max_tokens",  # trees and thoughts: of a whole tree
        "thought_tokens",  # only where a model thinks first
        "micro_tokens",  # of a pass of training
    }
    sections = narrowed(config.load("quick"), tuple(WANTS)).model_dump()
    found = set(_tokens(sections))
    assert {one for one in found if one.rpartition(".")[2] not in others} <= set(REPLIES)
    assert set(REPLIES.values()) <= set(ROLES)


def _tokens(values: dict[str, Any], place: str = "") -> list[str]:
    found = []
    for name, value in values.items():
        if isinstance(value, dict):
            found += _tokens(value, f"{place}{name}.")
        elif name.endswith("_tokens"):
            found.append(place + name)
    return found


@pytest.mark.parametrize("profile", config.profiles())
def test_shipped_profiles_have_room(profile: str) -> None:
    assert refusal(config.load(profile)) is None
