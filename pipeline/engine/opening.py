"""Where an assistant's text begins in a rendered conversation."""

from dataclasses import dataclass

from pipeline.engine.base import RequestFailed

# The content of turns that are rendered to see what the template puts around them.
PROBE = "Orchard's probe"
TALK = [{"role": role, "content": PROBE} for role in ("user", "assistant", "user")]
CALLED = [
    {"role": "tools", "content": '[{"type": "function", "function": {"name": "probe"}}]'},
    {"role": "user", "content": PROBE},
    {"role": "tool_calls", "content": '[{"name": "probe", "arguments": {}}]'},
    {"role": "tool", "content": PROBE},
]

Pieces = tuple[str, ...]  # a text, cut inside the control tokens that are contents


@dataclass(frozen=True)
class Opening:
    """Where the text of an assistant's turn begins, as a template renders it.

    asked: all before it where a response is asked for.
    answered: all before it where a response stands there, without `lead`.
    lead: the blank at its start, which belongs to its first token (Mistral's older templates).
    """

    asked: Pieces
    answered: Pieces
    lead: str


def opening_of(asked: Pieces, whole: Pieces) -> Opening:
    """Where a response begins, from turns rendered without it and with the probe in its place.

    Raises:
        RequestFailed: the template does not write an assistant's last turn as it is.
    """
    *before, last = whole
    head, probe, _ = last.rpartition(PROBE)
    if not probe:
        raise RequestFailed("the chat template does not write the text of a last assistant's turn")
    lead = head[len(head.rstrip()) :]
    if (*before, head) == asked or not lead or (*before, head.removesuffix(lead)) != asked:
        return Opening(asked, (*before, head), "")
    return Opening(asked, asked, lead)
