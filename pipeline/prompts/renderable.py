"""Whether a model's chat template takes the prompts of a pool, before anything is sampled."""

from collections.abc import Iterable

import polars as pl

from pipeline.conversation import Turns
from pipeline.engine.base import RequestFailed
from pipeline.engine.chat_tokenizer import ChatTokenizer
from pipeline.errors import OrchardError


def check_renderable(prompts: pl.DataFrame, chat: ChatTokenizer, model: str) -> None:
    """Refuse pools of which the model's chat template takes no prompt at all.

    A pool is read up to the first prompt that the template takes: what it refuses elsewhere becomes
    a reject of its own where it is sampled.

    Args:
        prompts: rows of `prompts`.
        chat: the model's tokenizer with its template.
        model: its id, for people.

    Raises:
        OrchardError: with what the template says of each such pool.
    """
    faults = []
    for (pool,), own in prompts.group_by("pool", maintain_order=True):
        reasons = _refusals(own["messages"].to_list(), chat)
        if len(reasons) == own.height:
            others = len(set(reasons)) - 1
            more = f" (and {others} other reasons)" if others else ""
            count = f"none of its {own.height} prompts" if own.height > 1 else "not its one prompt"
            faults.append(f"pool {pool!r}: {model} takes {count}: {reasons[0]}{more}")
    if faults:
        raise OrchardError(
            f"{'; '.join(faults)}: mend the rows, or the pool's system and examples, "
            "or set model.name to a model whose template takes them"
        )


def _refusals(conversations: Iterable[Turns], chat: ChatTokenizer) -> list[str]:
    """Why the template refuses each conversation, up to the first that it takes."""
    found: list[str] = []
    for turns in conversations:
        try:
            chat.render(turns)
        except RequestFailed as error:
            found.append(str(error))
        else:
            return found
    return found
