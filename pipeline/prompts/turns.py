"""From a pool's text to chat turns: the system turn, the examples, the template."""

from pipeline.config import PoolSettings
from pipeline.errors import OrchardError
from pipeline.prompts.record import one_line

Messages = list[dict[str, str]]


class Flaw(Exception):
    """Why a row cannot be used."""


def messages_of(pool: PoolSettings, question: str) -> Messages:
    """The turns of one prompt: system, each example as a user's and an assistant's turn, and the question.

    Raises:
        Flaw: the question is one of the examples, so its answer would be shown.
        OrchardError: the template does not work.
    """
    examples = [(example.question.strip(), example.answer.strip()) for example in pool.examples]
    if question in [shown for shown, _ in examples]:
        raise Flaw("the prompt is one of the pool's examples, so its answer would be shown")
    turns = [_turn("system", pool.system.strip())] if pool.system and pool.system.strip() else []
    for shown, answer in examples:
        turns += [_turn("user", _filled(pool, shown)), _turn("assistant", answer)]
    return [*turns, _turn("user", _filled(pool, question))]


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _filled(pool: PoolSettings, question: str) -> str:
    try:
        content = pool.template.format(question=question).strip()
    except (LookupError, ValueError, AttributeError, TypeError) as error:
        what = f"unknown field {error}" if isinstance(error, LookupError) else one_line(error)
        raise OrchardError(f"pool {pool.name!r}: template: {what}: only {{question}} is filled in") from error
    if question not in content:
        raise OrchardError(f"pool {pool.name!r}: template has no {{question}}, so all prompts would be the same")
    return content
