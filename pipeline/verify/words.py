"""Answers in words: a choice's letter, yes or no, an exact text."""

import re
from collections.abc import Callable

from pipeline.verify.markers import REFUSED, denied, distinct, final, sentence, states
from pipeline.verify.registry import Verifier, verifier

_LETTER = re.compile(r"(?<![\w'’])(?:([A-E])(?![\w'’])|([a-e])(?=\)))", re.ASCII)
_ONLY_LETTER = re.compile(r"[\W_]*+(?:(?:option|choice)\s++[\W_]*+)?([a-e])[\W_]*+", re.IGNORECASE | re.ASCII)
_FIRST_LETTER = re.compile(r"\s*[*(\[]*([A-E])(?:[)\].:,*]|\s*$)", re.ASCII)
_YES_NO = re.compile(r"\b(?:(yes|true)|(no|false))\b", re.IGNORECASE | re.ASCII)
_FIRST_WORD = re.compile(r"\W*(?:yes|no|true|false)\b", re.IGNORECASE | re.ASCII)
_BETWEEN = re.compile(r"\W*+(?:or|and|nor)?\W*+", re.IGNORECASE)
_SPACES = re.compile(r"\s+")
_EDGES = " \t\n.,;:!?\"'`*()[]{}$“”‘’"


@verifier("choice")
class ChoiceVerifier(Verifier):
    """The letter of a choice."""

    def extract(self, text: str) -> str | None:
        return choice(text)

    def canonical(self, answer: str) -> str | None:
        return canonical_choice(answer)

    def states(self, text: str) -> bool:
        return states_choice(text)


@verifier("yesno")
class YesNoVerifier(Verifier):
    """Yes or no."""

    def extract(self, text: str) -> str | None:
        return yes_no(text)

    def canonical(self, answer: str) -> str | None:
        return canonical_yes_no(answer)

    def states(self, text: str) -> bool:
        return states_yes_no(text)


@verifier("exact")
class ExactVerifier(Verifier):
    """A text, but for case, spaces and punctuation around it."""

    def extract(self, text: str) -> str | None:
        return exact(text)

    def canonical(self, answer: str) -> str | None:
        return canonical_exact(answer)

    def states(self, text: str) -> bool:
        return states_exact(text)


def choice(text: str) -> str | None:
    """The final letter A to E of a response. Without a marker it must begin or be a line: 'B', '(B)', 'B) six'."""
    return final(text, _letters, _line_letter)


def states_choice(text: str) -> bool:
    """True where an explicit marker names a letter."""
    return states(text, _letters)


def canonical_choice(answer: str) -> str | None:
    """A reference letter, upper case."""
    match = _ONLY_LETTER.fullmatch(answer)
    return match[1].upper() if match else None


def yes_no(text: str) -> str | None:
    """'yes' or 'no' (true counts as yes, false as no). Without a marker it must be the first word of the response."""
    return final(text, _yes_nos, lambda whole: _yes_nos(whole) if _FIRST_WORD.match(whole) else ())


def states_yes_no(text: str) -> bool:
    """True where an explicit marker says yes or no."""
    return states(text, _yes_nos)


def canonical_yes_no(answer: str) -> str | None:
    """A reference yes or no."""
    found = _yes_nos(answer) if _FIRST_WORD.match(answer) else ()
    return found[0] if len(found) == 1 else None


def exact(text: str) -> str | None:
    """The final text of a response, normalised: after its marker, else its last line."""
    return final(text, _line, lambda whole: _line(whole.rstrip().rpartition("\n")[2]))


def states_exact(text: str) -> bool:
    """True where an explicit marker has a text."""
    return states(text, _line)


def canonical_exact(answer: str) -> str | None:
    """Text in lower case, single spaces, no quotes, brackets or punctuation around it; None where nothing is left."""
    return _SPACES.sub(" ", answer).casefold().strip(_EDGES) or None


def _letters(tail: str) -> tuple[str, ...]:
    if only := canonical_choice(sentence(tail)):
        return (only,)
    return _alternatives(_LETTER, sentence(tail), lambda match: (match[1] or match[2]).upper())


def _line_letter(text: str) -> tuple[str, ...]:
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) == 1 and (only := canonical_choice(lines[0])):
        return (only,)
    return distinct(match[1] for line in lines[:1] + lines[-1:] if (match := _FIRST_LETTER.match(line)))


def _yes_nos(tail: str) -> tuple[str, ...]:
    return _alternatives(_YES_NO, sentence(tail), lambda match: "yes" if match[1] else "no")


def _alternatives(pattern: re.Pattern[str], part: str, value: Callable[[re.Match[str]], str]) -> tuple[str, ...]:
    """The first match, and those that stand beside it as alternatives ('B or C'); REFUSED where it is denied."""
    answers: list[str] = []
    end = 0
    for match in pattern.finditer(part):
        if not answers and denied(part, match.start()):
            return (REFUSED,)
        if answers and not _BETWEEN.fullmatch(part, end, match.start()):
            break
        answers.append(value(match))
        end = match.end()
    return distinct(iter(answers))


def _line(tail: str) -> tuple[str, ...]:
    text = canonical_exact(tail.strip().partition("\n")[0])
    return (text,) if text else ()
