"""What counts as one step of a response."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.engine.base import Completion


@dataclass(frozen=True)
class Step:
    """One step's text (its delimiter included), whether the response ends with it,
    and whether it was cut off.
    """

    text: str
    ends: bool
    cut: bool = False


def split_step(completion: Completion, delimiter: str) -> Step | None:
    """The step that a completion sampled up to `delimiter` holds;
    null where the model said nothing and stopped.

    A step that was cut off by the token limit ends there: the next step goes on in mid-sentence
    (our choice). A bare
    delimiter is a blank line: it is kept, since the text after it must stay what the model would
    have read.
    """
    if completion.stopped_by is not None:
        return Step(completion.text + delimiter, ends=False)
    if not completion.text.strip():
        return None
    ends = completion.finish_reason == "stop"
    return Step(completion.text, ends, cut=not ends)


def split_path(text: str, delimiter: str) -> list[str]:
    """The steps of a whole response, each with its delimiter; together they are the text.

    None of nothing.
    """
    pieces = text.split(delimiter)
    steps = [piece + delimiter for piece in pieces[:-1]] + [pieces[-1]]
    return [step for step in steps if step]


def share_tokens(tokens: int, texts: Sequence[str]) -> list[int]:
    """A completion's tokens spread over its parts by length; the shares add up to `tokens`.

    Our choice.
    """
    whole = sum(map(len, texts)) or 1
    ends = [
        round(tokens * sum(map(len, texts[: number + 1])) / whole) for number in range(len(texts))
    ]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]
