r"""The verifier `math`: numbers as in `number`, and expressions that are read whole.

An answer is what an explicit marker names (see markers), else the last formula or number of the
text. Two answers are equal where the expressions are (see expression/compare.py): \frac{1}{2} is
0.5, x+1 is 1+x. What the grammar cannot read whole is equal to the same text only, spaces and
sizes of brackets aside. An answer that is one number, with or without units, is stored as `number`
stores it, so that equal answers are one text and 50\% is 50 and never 0.5.
"""

import re
from functools import lru_cache

from pipeline.verify import expression, number, prose
from pipeline.verify.expression import Refused, concluded, literal, normal, parse, written
from pipeline.verify.markers import REFUSED, distinct, final, stated, states
from pipeline.verify.passages import FORMULA, Passage, conclusion, undressed
from pipeline.verify.registry import Verifier, verifier

_LONGEST = 400  # characters of an answer
_NOTHING = " $*:,.;{}\\"  # a text of these only is no answer
_ALONE = re.compile(rf"\s*({FORMULA})[\s.]*")


@verifier("math")
class MathVerifier(Verifier):
    """Numbers and expressions."""

    def extract(self, text: str) -> str | None:
        return final(text, read, last)

    def canonical(self, answer: str) -> str | None:
        """A reference answer as it was written, without its marker and dollars."""
        answers = stated(answer, _as_written) or _as_written(Passage(answer, (), whole=True))
        one = len(answers) == 1 and _value(answers[0]) != REFUSED
        return answers[0] or None if one else None

    def equal(self, answer: str, reference: str) -> bool:
        return equal(answer, reference)

    def states(self, text: str) -> bool:
        return states(text, read)


@lru_cache(maxsize=65536)
def equal(answer: str, reference: str) -> bool:
    """True where the answers are the same text, number or expression."""
    if answer == reference or normal(answer) == normal(reference):
        return True
    try:
        sides = parse(answer), parse(reference)
    except Refused:
        return False
    return sides[0] is not None and sides[1] is not None and expression.equal(sides[0], sides[1])


def read(tail: Passage) -> tuple[str, ...]:
    """The expression that a marker names."""
    if tail.whole:
        inside = stated(tail.restored(), read)  # <answer>The answer is 5</answer>
        return inside or distinct(_value(answer) for answer in _as_written(tail))
    sentence = tail.sentence()
    whole = _value(undressed(sentence.restored()))
    if _is_one(whole):
        return (whole,)
    numbers = number.read(sentence)
    if numbers and REFUSED not in numbers:
        return numbers
    found = prose.named(sentence, _of_formula)
    if found and REFUSED not in found:
        return distinct(_value(answer) for answer in found)
    refused = REFUSED in (*numbers, *found)
    if refused and (whole == REFUSED or _is_words(whole)):
        return (REFUSED,)
    return (whole,) if whole and len(whole) <= _LONGEST else ()


def _is_one(text: str) -> bool:
    """True of what has several numbers and is one answer: an equation, a tuple, an interval."""
    node = None if text == REFUSED else parse(text)
    return node is not None and node.kind in ("rel", "seq", "set", "matrix", "setop")


def _is_words(text: str) -> bool:
    """True of what no rule reads, and of words, such as 'greater than or equal to 5'."""
    node = parse(text)
    return node is None or any(part.kind == "text" for part in (node, *node.parts))


def last(text: Passage) -> tuple[str, ...]:
    """The last formula or number of a response; a letter is a name, unless it is all there is."""
    if alone := _ALONE.fullmatch(text.text):
        value = _of_formula(text.formula(alone[1]))
        return () if value is None else (value,)
    return prose.last(text, lambda formula: _of_formula(formula, names=False))


def _as_written(tail: Passage) -> tuple[str, ...]:
    if not tail.whole:
        return read(tail)
    text = undressed(" ".join(tail.restored().split()))
    return (text,) if text.strip(_NOTHING) and len(text) <= _LONGEST else ()


def _of_formula(text: str, names: bool = True) -> str | None:
    """A formula as an answer; None for a name, where names are no answers."""
    value = _value(" ".join(text.split()))
    if value != REFUSED and parse(value) is None:
        value = _value(" ".join(conclusion(text).split()))
    if value == REFUSED or len(value) > _LONGEST:
        return REFUSED
    node = parse(value)
    return None if node is not None and node.kind in ("sym", "text") and not names else value


@lru_cache(maxsize=65536)
def _value(text: str) -> str:
    """The normalised number where the text is one, REFUSED where it is a denied or scaled one."""
    try:
        node = parse(text)
    except Refused:
        return REFUSED
    value = None if node is None else literal(concluded(node))
    return text if value is None else written(value)
