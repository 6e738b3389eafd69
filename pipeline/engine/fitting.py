"""Whether a prompt leaves room for what is to be sampled."""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.engine.base import RequestFailed, Sampling


def check_room(ids: Sequence[int], wanted: int, max_model_len: int) -> None:
    """Raises RequestFailed when prompt and completion together are longer than the model takes."""
    room = max_model_len - len(ids)
    if room < wanted:
        raise RequestFailed(
            f"prompt of {len(ids)} tokens leaves {max(room, 0)} of the {wanted} tokens asked for: "
            f"raise model.max_model_len (now {max_model_len}) or shorten the prompt"
        )


def fitted(ids: Sequence[int], sampling: Sampling, max_model_len: int) -> Sampling:
    """The sampling with its limit lowered to what a prompt leaves of the context, where that is
    enough: half of the limit or more (our choice).

    Raises:
        RequestFailed: it leaves less.
    """
    room = max_model_len - len(ids)
    if 2 * room < sampling.max_tokens:
        check_room(ids, sampling.max_tokens, max_model_len)
    return replace(sampling, max_tokens=min(room, sampling.max_tokens))
