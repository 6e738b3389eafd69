r"""Mathematical answers: numbers as in number, LaTeX and expressions by math-verify (SymPy), judged in the worker.

Two answers are equal where their normalised texts or their numbers are, else where math-verify proves it:
\frac{1}{2} is 0.5, x+1 is 1+x. An answer that is one number, with or without units, is stored and compared as number
does it, so that equal answers are one text and a percent sign is a unit here too: 50\% is 50 and never 0.5.
"""

import logging
import re
from functools import lru_cache

from pipeline.verify import number, worker
from pipeline.verify.markers import REFUSED, Reader, distinct, final, sentence, stated
from pipeline.verify.markers import states as _states
from pipeline.verify.registry import Verifier, verifier

_LONGEST = 400  # characters of an answer
_NO_SPACE = re.compile(r",\\!\s*|\{,\}")  # between thousands
_SPACES = re.compile(r"\s+|\\[!,;: ]|\\(?:left|right)(?![a-z])")
_DOLLARS = re.compile(r"\$\$?([^$]+)\$\$?|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)


@verifier("math")
class MathVerifier(Verifier):
    """Numbers and expressions."""

    def extract(self, text: str) -> str | None:
        return extract(text)

    def canonical(self, answer: str) -> str | None:
        return canonical(answer)

    def equal(self, answer: str, reference: str) -> bool:
        return equal(answer, reference)

    def states(self, text: str) -> bool:
        return states(text)


def extract(text: str) -> str | None:
    """The final expression of a response: after its marker, else its last formula, else its last number."""
    return final(text, _valued(_read), _valued(_last))


def states(text: str) -> bool:
    """True where an explicit marker has an expression."""
    return _states(text, _valued(_read))


def canonical(answer: str) -> str | None:
    """A reference answer without its marker, dollars and spare spaces."""
    answers = stated(answer, _read) or _tidy(answer)
    return answers[0] if len(answers) == 1 and _value(answers[0]) != REFUSED else None


@lru_cache(maxsize=65536)
def equal(answer: str, reference: str) -> bool:
    """True where the answers are the same text, number or expression."""
    answer, reference = _value(answer), _value(reference)
    if answer == reference:
        return True
    if _is_plain(answer) and _is_plain(reference):
        return False
    return worker.ask(equivalent, answer, reference)


def equivalent(answer: str, reference: str) -> bool:
    """math-verify's judgement. Runs in the worker; the library's own time limits are off: they need the main thread."""
    from math_verify import parse, verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)
    sides = [parse(f"${side}$", parsing_timeout=None) for side in (reference, answer)]
    return bool(verify(*sides, timeout_seconds=None))


def _valued(read: Reader) -> Reader:
    return lambda text: distinct(_value(answer) for answer in read(text))


def _value(text: str) -> str:
    """The normalised number where the text is one, REFUSED where it is a denied or scaled one, else the text."""
    value = number.amount(text)
    return text if value is None else value


def _read(tail: str) -> tuple[str, ...]:
    found = _DOLLARS.search(tail)
    text = sentence(_spaced(tail) if "\\" in tail else tail)
    if found and not tail[: found.start()].strip(" \n*:"):
        text = next(group for group in found.groups() if group)
    return _tidy(text)


def _last(text: str) -> tuple[str, ...]:
    formulas = _DOLLARS.findall(text)
    if formulas:
        return _tidy(next(group for group in formulas[-1] if group).rpartition("=")[2])
    value = number.extract(text)
    return (value,) if value else ()


def _tidy(text: str) -> tuple[str, ...]:
    bare = _spaced(text.replace("**", " ")).lstrip(" $*:,").rstrip(" .$*:,").removeprefix("\\$")
    return (bare,) if bare and len(bare) <= _LONGEST else ()


def _spaced(text: str) -> str:
    return _SPACES.sub(" ", _NO_SPACE.sub(",", text))


def _is_plain(text: str) -> bool:
    """True where the text is a number and nothing else."""
    return bool(re.fullmatch(r"[-+]?[0-9.,/]+", text, re.ASCII)) and number.canonical(text) is not None
