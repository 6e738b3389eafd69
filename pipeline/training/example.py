"""One row of training data as token ids:
texts in their contexts, and the columns that a loss may read.
"""

from dataclasses import dataclass

from pipeline.ids import content_id

Ids = tuple[int, ...]
Side = tuple[Ids, Ids]  # a context, and a text that continues it


@dataclass(frozen=True)
class Example:
    """A pair, a ranked list or a single text; None is unknown.

    The first len(values) texts are compared with each other, as log-ratios to the reference. What
    follows is learned by its plain log-probability and has no reference: a rationale.
    """

    row_id: str
    texts: tuple[Side, ...]  # of a pair: chosen, rejected
    values: tuple[float, ...]  # of the compared texts, higher is better; of a pair: 1, 0
    rewards: tuple[float | None, ...] = ()  # of the compared texts: TPO's adaptive step reward
    # of the compared texts: the place of the item that each is a step of; empty: each is an item
    items: tuple[int, ...] = ()
    weight: float = 1.0
    strength: float | None = None  # P(the first text is better)
    margin: float | None = None
    noise_score: float | None = None  # P(the label is wrong)
    stage: int = 0  # of a curriculum
    loss: str | None = None  # that it is learned with, in a mixture

    @property
    def compared(self) -> tuple[Side, ...]:
        return self.texts[: len(self.values)]

    @property
    def length(self) -> int:
        """Tokens of all texts and of every different context."""
        contexts = dict.fromkeys(context for context, _ in self.texts)
        return sum(map(len, contexts)) + sum(len(text) for _, text in self.texts)


def text_id(context: Ids, text: Ids) -> str:
    """The id of a text in its context.

    The end-of-turn token, where there is one, is part of the ids.
    """
    return content_id(context, text)
