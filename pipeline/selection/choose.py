"""Which of a prompt's n answers each rule takes, as the share of the choice that each one gets.

Ties share a choice equally, so that the expected accuracy of a rule needs no draw of lots.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from pipeline.noise.coding import Floats

Answers = Sequence[str | None]


def of_highest(values: Floats) -> Floats:
    """(n,) shares of the answers whose value is the highest."""
    highest = values == values.max()
    found: Floats = highest / highest.sum()
    return found


def by_vote(answers: Answers) -> Floats:
    """(n,) shares of a majority vote (self-consistency): of the commonest final answer.

    A response without a final answer votes for none; where none has one, all share the choice.
    """
    counts = Counter(answer for answer in answers if answer is not None)
    if not counts:
        return np.full(len(answers), 1 / len(answers))
    most = max(counts.values())
    winners = {answer for answer, n in counts.items() if n == most}
    return np.array([1 / (len(winners) * most) if a in winners else 0.0 for a in answers])


def by_tournament(answers: Answers, scores: Floats) -> Floats:
    """(n,) shares of a round-robin (CHASE-SQL, arXiv 2410.01943, Algorithm 3).

    Of every ordered two answers the first wins where both say the same, else the one with the
    higher score (half a win each where they are equal); who wins most is taken. The paper's
    judge reads both answers at once; ours compares their scores (our choice).
    """
    wins = np.zeros(len(answers))
    for i, own in enumerate(answers):
        for j, other in enumerate(answers):
            if i == j:
                continue
            if own is not None and own == other:
                wins[i] += 1
            elif scores[i] != scores[j]:
                wins[i if scores[i] > scores[j] else j] += 1
            else:
                wins[[i, j]] += 0.5
    return of_highest(wins)


def pooled(scores: Sequence[float], how: str) -> float:
    """The score of a response from those of its steps: `last`, `mean` or `min`."""
    if how == "last":
        return scores[-1]
    return float(np.mean(scores)) if how == "mean" else min(scores)
