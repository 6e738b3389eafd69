"""How many of something: the three forms of a count, and the counts that any response has.

IFEval's are number_words, number_sentences, number_placeholders and capital_word_frequency; those
named counts:* are ours. `relation` is 'at least' or 'less than', IFEval's two.
"""

import re
from collections.abc import Callable, Mapping
from random import Random

from pipeline.verify.instructions.instruction import (
    LEAST,
    LESS,
    RELATIONS,
    Arguments,
    Bound,
    Kind,
    Proposed,
)
from pipeline.verify.instructions.text import sentences, words

Count = Callable[[str, Arguments], int]
Pick = Callable[[str, Random], Proposed]
_NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?")
_CAPITAL = re.compile(r"[^\W_]+(?:[-.&/+][^\W_]+)*")


def compared(
    name: str,
    count: Count,
    number: str,
    relation: str = "relation",
    pick: Pick = lambda response, random: {},
    more: Mapping[str, str] | None = None,
    quantity: Callable[[Arguments], str] | None = None,
) -> Kind:
    """A count that must be at least, or less than, a number.

    `pick` draws the arguments that say what is counted.
    """

    def holds(response: str, arguments: Arguments) -> bool:
        n = count(response, arguments)
        value = int(arguments[number])
        return n < value if arguments[relation] == LESS else n >= value

    def propose(response: str, want: bool, random: Random) -> Proposed:
        # Drawn before `want` is looked at, so that neither the relation nor the counted thing tells
        # it.
        first, step = random.choice(RELATIONS), random.random()
        picked = pick(response, random)
        if picked is None:
            return None
        n = count(response, picked)
        for chosen in (first, LEAST if first == LESS else LESS):
            value = threshold(n, want == (chosen == LEAST), step)
            if value is not None:
                return {**picked, relation: chosen, number: value}
        return None

    def bounds(arguments: Arguments) -> tuple[Bound, ...]:
        what = quantity(arguments) if quantity else name
        n = arguments[number]
        return (Bound(what, high=n - 1) if arguments[relation] == LESS else Bound(what, low=n),)

    return Kind(
        name, holds, propose, {relation: "relation", number: "number", **(more or {})}, bounds
    )


def threshold(n: int, at_most: bool, step: float) -> int | None:
    """A threshold of at least 1 that n reaches (at_most), or does not;
    at most half of n, or 3, away from it.
    """
    width = max(3, n // 2)
    value = n - int(step * width) if at_most else n + 1 + int(step * width)
    value = max(1, value)
    return None if at_most and value > n else value


def minimum(
    name: str, count: Count, number: str, pick: Pick = lambda response, random: {}, **more: str
) -> Kind:
    """A count that must be at least a number."""

    def holds(response: str, arguments: Arguments) -> bool:
        return count(response, arguments) >= int(arguments[number])

    def propose(response: str, want: bool, random: Random) -> Proposed:
        step, picked = random.random(), pick(response, random)
        if picked is None:
            return None
        value = threshold(count(response, picked), want, step)
        return None if value is None else {**picked, number: value}

    def bounds(arguments: Arguments) -> tuple[Bound, ...]:
        return (Bound(name, low=arguments[number]),)

    return Kind(name, holds, propose, {number: "number", **more}, bounds)


def exactly(name: str, count: Callable[[str], int | None], number: str) -> Kind:
    """A count that must be equal to a number; a count of None equals none."""

    def holds(response: str, arguments: Arguments) -> bool:
        return count(response) == int(arguments[number])

    def propose(response: str, want: bool, random: Random) -> Proposed:
        step, n = random.choice((-2, -1, 1, 2)), count(response)
        if want:
            return {number: n} if n else None
        value = (n or 0) + step
        return {number: value if value >= 1 else (n or 0) + abs(step)}

    def bounds(arguments: Arguments) -> tuple[Bound, ...]:
        return (Bound(name, arguments[number], arguments[number]),)

    return Kind(name, holds, propose, {number: "number"}, bounds)


def capital_words(text: str) -> int:
    """Words without a lower-case letter and with an upper-case one.

    One with a hyphen or a dot inside counts once.
    """
    return sum(word.isupper() for word in _CAPITAL.findall(text))


def longest_sentence(text: str) -> int:
    """Words of the longest sentence."""
    return max((len(words(sentence)) for sentence in sentences(text)), default=0)


def lines(text: str) -> int:
    """Lines that are not empty."""
    return sum(bool(line.strip()) for line in text.splitlines())


KINDS = (
    compared("length_constraints:number_words", lambda r, a: len(words(r)), "num_words"),
    compared(
        "length_constraints:number_sentences", lambda r, a: len(sentences(r)), "num_sentences"
    ),
    compared(
        "change_case:capital_word_frequency",
        lambda r, a: capital_words(r),
        "capital_frequency",
        "capital_relation",
    ),
    minimum(
        "detectable_content:number_placeholders",
        lambda r, a: len(re.findall(r"\[.*?\]", r)),
        "num_placeholders",
    ),
    compared("counts:characters", lambda r, a: len(r.strip()), "number"),
    compared("counts:lines", lambda r, a: lines(r), "number"),
    compared(
        "counts:unique_words", lambda r, a: len({word.casefold() for word in words(r)}), "number"
    ),
    compared("counts:longest_sentence", lambda r, a: longest_sentence(r), "number"),
    compared("counts:question_marks", lambda r, a: r.count("?"), "number"),
    compared("counts:exclamation_marks", lambda r, a: r.count("!"), "number"),
    compared("counts:numbers", lambda r, a: len(_NUMBER.findall(r)), "number"),
)
