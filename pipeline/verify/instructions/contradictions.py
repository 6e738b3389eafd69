"""Sets of instructions that no response can fulfil.

Each instruction bounds numbers of the response (words, the letter e, the word "river", ...). A set
is contradictory where the bounds of one number leave nothing, where a number that is never the
larger must be larger, or where two kinds exclude each other. What the bounds do not see is not
found: the rule is sound, not complete (our choice).
"""

from collections.abc import Iterable, Sequence
from itertools import combinations

from pipeline.verify.instructions.catalogue import KINDS, Instruction
from pipeline.verify.instructions.instruction import INFINITY, Bound

# The first is never larger than the second, whatever the response.
_NEVER_LARGER = (
    ("counts:unique_words", "length_constraints:number_words"),
    ("counts:longest_sentence", "length_constraints:number_words"),
    ("length_constraints:number_words", "counts:characters"),
    ("length_constraints:number_sentences", "counts:characters"),
    ("counts:lines", "counts:characters"),
    ("counts:question_marks", "counts:characters"),
    ("counts:exclamation_marks", "counts:characters"),
    ("counts:numbers", "length_constraints:number_words"),
    ("blank-line paragraphs", "counts:lines"),
    ("format:numbered_list", "counts:lines"),
    ("format:headings", "counts:lines"),
    ("detectable_format:number_bullet_lists", "counts:lines"),
    ("detectable_content:number_placeholders", "counts:characters"),
)


def contradiction(instructions: Sequence[Instruction]) -> str | None:
    """Why no response can fulfil them all, in one line; None where no reason is known."""
    for first, second in combinations(instructions, 2):
        if second.name in KINDS[first.name].excludes or first.name in KINDS[second.name].excludes:
            return f"{first.name} and {second.name} exclude each other"
    bounds = [bound for one in instructions for bound in KINDS[one.name].bounds(one.arguments)]
    ranges = _narrowed([*bounds, *_implied(bounds)])
    for quantity, (low, high) in sorted(ranges.items()):
        if low > high:
            return f"{quantity}: at least {low:g} and at most {high:g}"
    for small, large in [*_NEVER_LARGER, *_parts(ranges)]:
        low, high = ranges.get(small, (0, INFINITY))[0], ranges.get(large, (0, INFINITY))[1]
        if low > high:
            return f"{small} of at least {low:g} with {large} of at most {high:g}"
    return None


def _implied(bounds: Iterable[Bound]) -> list[Bound]:
    """A whole word is also an occurrence of the word: what needs one needs the other."""
    whole = [bound for bound in bounds if bound.quantity.startswith("whole ")]
    return [Bound(bound.quantity.removeprefix("whole "), low=bound.low) for bound in whole]


def _parts(ranges: Iterable[str]) -> list[tuple[str, str]]:
    """Letters and words of the sets at hand are never more than the characters."""
    return [(name, "counts:characters") for name in ranges if name.startswith(("letter ", "word "))]


def _narrowed(bounds: Iterable[Bound]) -> dict[str, tuple[float, float]]:
    ranges: dict[str, tuple[float, float]] = {}
    for bound in bounds:
        low, high = ranges.get(bound.quantity, (0, INFINITY))
        ranges[bound.quantity] = (max(low, bound.low), min(high, bound.high))
    return ranges
