"""How different the answers to one prompt are."""

from collections.abc import Sequence


def distinct(texts: Sequence[str], n: int) -> float | None:
    """Share of different n-grams of words among all those of several texts;
    null where there is none.

    Distinct-n, Li et al. 2016 (arXiv 1510.03055), per prompt over its draws; words are what white
    space separates.
    """
    grams = [
        tuple(words[i : i + n])
        for text in texts
        for words in [text.split()]
        for i in range(len(words) - n + 1)
    ]
    return len(set(grams)) / len(grams) if grams else None
