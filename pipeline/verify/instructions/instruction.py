"""What an instruction is: a kind by name, and arguments;
written in IFEval's form, so its data can be read as they are.

A kind holds two functions of a response: `holds` checks it, `propose` finds arguments with which it
holds or does not.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

Arguments = Mapping[str, Any]
Proposed = dict[str, Any] | None
INFINITY = float("inf")
LESS, LEAST = "less than", "at least"
RELATIONS = (LESS, LEAST)


@dataclass(frozen=True)
class Bound:
    """What an instruction says of a number that every response has: low <= quantity <= high."""

    quantity: str
    low: float = 0
    high: float = INFINITY


def no_bounds(arguments: Arguments) -> tuple[Bound, ...]:
    """Of instructions that say nothing about a number."""
    return ()


def inside(text: str) -> tuple[Bound, ...]:
    """Of a text that stands in the response, whatever its case:
    what any response with it has at least.

    Its letters and marks, and the words that other characters part from the text's two ends.
    """
    plain = text.strip().lower()
    letters = Counter("".join(plain.split()))
    return (
        *(Bound(f"letter {letter}", low=n) for letter, n in letters.items()),
        Bound("counts:question_marks", low=letters["?"]),
        Bound("counts:exclamation_marks", low=letters["!"]),
        *(
            Bound(f"whole word {word}", low=1)
            for word in set(re.findall(r"(?<=\W)\w+(?=\W)", plain))
        ),
    )


def no_fault(arguments: Arguments) -> str | None:
    """Of arguments whose types say all."""
    return None


@dataclass(frozen=True)
class Kind:
    """One type of instruction.

    name: IFEval's, or of the same form for the types that are ours.
    holds: (response, arguments) -> fulfilled. It never raises on any response that has a character.
    propose: (response, want, random) -> arguments with which `holds` is `want`; None where there
    are none.
    arguments: name -> 'text', 'texts', 'number' (an integer of at least 1), 'relation' or 'object'.
    bounds: what it says of the response's numbers: contradictions are found by them.
    fault: what is wrong with arguments of the right types; None: nothing.
    excludes: names of kinds that no response fulfils together with this one.
    """

    name: str
    holds: Callable[[str, Arguments], bool]
    propose: Callable[[str, bool, Random], Proposed]
    arguments: Mapping[str, str] = field(default_factory=dict)
    bounds: Callable[[Arguments], tuple[Bound, ...]] = no_bounds
    fault: Callable[[Arguments], str | None] = no_fault
    excludes: frozenset[str] = frozenset()


def only(verdict: Callable[[str], bool]) -> Callable[[str, bool, Random], Proposed]:
    """The proposals of a kind without arguments: it can say only what is so."""
    return lambda response, want, random: {} if verdict(response) == want else None
