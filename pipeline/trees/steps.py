"""What counts as one step of a response."""

from dataclasses import dataclass

from pipeline.engine.base import Completion


@dataclass(frozen=True)
class Step:
    """One step's text (its delimiter included) and whether the response ends with it."""

    text: str
    ends: bool


def split_step(completion: Completion, delimiter: str) -> Step | None:
    """The step that a completion sampled up to `delimiter` holds; null where the model said nothing and stopped.

    A step that was cut off by the token limit ends there: the next step goes on in mid-sentence (our choice). A bare
    delimiter is a blank line: it is kept, since the text after it must stay what the model would have read.
    """
    if completion.stopped_by is not None:
        return Step(completion.text + delimiter, ends=False)
    if not completion.text.strip():
        return None
    return Step(completion.text, ends=completion.finish_reason == "stop")
