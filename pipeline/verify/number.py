r"""The verifier `number`: integers, decimals, fractions, percentages, amounts of money.

The final answer is what an explicit marker names (see markers), else what follows the last '=' of
the last line with a number, else the last number of the text. It is compared exactly, as a
fraction: 12 is not 1, 0.5 is 1/2, 1,200.50 is 1200.5.

Our choices: a percent sign, a currency and a word of measure are units and are dropped, so 50%
equals 50 and never 0.5; an expression that nobody worked out ('the answer is 4 + 3') is no answer,
and neither is a number that is a part of something else ('5 million', '5k', 2\pi, 10^5, [1, 2]) or
is denied ('not 5', 'less than 5'); of 'x = 3, y = 4' in prose the last counts; what stands in
brackets behind a number explains it; a number of more than 1,000 characters is no answer; only the
digits 0 to 9 are digits. Behind a marker of a language with a decimal comma 'Antwort: 3,5' is 3.5;
anywhere else that is no answer, and three digits behind one comma are thousands.
"""

from pipeline.verify import prose
from pipeline.verify.expression import Refused, literal, parse, written
from pipeline.verify.markers import REFUSED, Style, final, stated, states
from pipeline.verify.passages import Passage, conclusion, passage, undressed
from pipeline.verify.registry import Verifier, verifier

COMMAS = Style(commas=True)


@verifier("number")
class NumberVerifier(Verifier):
    """Numbers, compared exactly; both sides are normalised, so equality of text is enough."""

    def extract(self, text: str) -> str | None:
        return extract(text)

    def canonical(self, answer: str) -> str | None:
        return canonical(answer)

    def states(self, text: str) -> bool:
        return states(text, read, COMMAS)


def extract(text: str) -> str | None:
    """The final number of a response, normalised; None if missing or ambiguous."""
    return final(text, read, last, COMMAS)


def canonical(answer: str) -> str | None:
    """A reference answer: the number after its marker (GSM8K's '#### 72'), else the only one."""
    answers = stated(answer, read, COMMAS) or _alone(answer)
    return answers[0] or None if len(answers) == 1 else None


def read(tail: Passage) -> tuple[str, ...]:
    """The number that a marker names."""
    if tail.whole:
        value = _whole(undressed(tail.restored()))
        if value is not None:
            return (value,)
    return prose.named(tail, of_formula)


def last(text: Passage) -> tuple[str, ...]:
    """The number of a response without a marker."""
    return prose.last(text, of_formula)


def of_formula(text: str) -> str | None:
    """A formula's number; None where it is a name or a word, REFUSED where it is anything else."""
    for side in dict.fromkeys((text, conclusion(text))):
        try:
            node = parse(side)
        except Refused:
            return REFUSED
        if node is not None:
            value = literal(node)
            if value is not None:
                return written(value)
            return None if node.kind in ("sym", "text") else REFUSED
    return REFUSED


def _whole(text: str) -> str | None:
    """The number that a delimited text is; None where it is words, with or without a number."""
    try:
        node = parse(text)
    except Refused:
        return REFUSED
    if node is None or node.kind == "text":
        return None
    value = literal(node)
    return REFUSED if value is None else written(value)


def _alone(answer: str) -> tuple[str, ...]:
    value = _whole(undressed(answer))
    return (value,) if value is not None else prose.only(passage(answer), of_formula)
