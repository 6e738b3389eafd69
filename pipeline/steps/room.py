"""Whether a model has room for the replies that a profile asks of it."""

from collections.abc import Iterator
from functools import reduce

from pipeline.config import ModelSettings, Settings
from pipeline.errors import OrchardError
from pipeline.steps.declared import Reads, Step
from pipeline.steps.graph import Graph
from pipeline.steps.roles import ROLES

# The settings that limit a reply in tokens, each with the role of who replies.
REPLIES = {
    "sampling.max_tokens": "policy",
    "trees.step_tokens": "policy",
    "trees.rollout_tokens": "policy",
    "thoughts.step_tokens": "policy",
    "thoughts.rollout_tokens": "policy",
    "judge.rationales.max_tokens": "rationale_writer",
    "judge.principles.feedback_tokens": "judges",
    "judge.principles.principle_tokens": "judges",
    "mapl.reword_tokens": "policy",
    "code.draft_tokens": "policy",
    "code.critic_tokens": "critic",
}


def check_room(graph: Graph, settings: Settings) -> None:
    """Refuses a limit of replies that leaves no token for the question.

    Every request would be rejected for it, one by one, after the steps before had been paid for.

    Raises:
        OrchardError: a step that the profile needs has such a limit; the message names it.
    """
    needed = graph.needed(settings)
    for step in graph.steps.values():
        if step.name in needed:
            for setting, role in _asked(step, settings):
                limit: int = reduce(getattr, setting.split("."), settings)  # type: ignore[assignment]
                for model in ROLES[role].models(settings):
                    _check(limit, model, setting, f"the {role} of the step {step.name}")
    for own in settings.policies:
        most = own.sampling_from(settings.sampling).max_tokens
        _check(most, own.model, "sampling.max_tokens", f"the policy {own.name!r}")


def _asked(step: Step, settings: Settings) -> Iterator[tuple[str, str]]:
    reads = step.reads_for(settings)
    for setting, role in REPLIES.items():
        if role in reads.engines and _reads(reads, setting):
            yield setting, role


def _reads(reads: Reads, setting: str) -> bool:
    return any(setting == one or setting.startswith(f"{one}.") for one in reads.settings)


def _check(limit: int, model: ModelSettings, setting: str, who: str) -> None:
    if limit >= model.max_model_len:
        room = f"a context of {model.max_model_len} tokens for question and reply together"
        raise OrchardError(
            f"{setting} is {limit}, and {who} has {room}: "
            f"lower it, or raise the model's max_model_len"
        )
