"""The verifiers `choice`, `yesno` and `exact`: a choice's letter, yes or no, a text.

The letters are A to J. A letter is read behind a marker ('the answer is', 'option', 'Antwort:'),
before one ('B is the correct answer'), and at the start of the first or last line with a bracket,
a point or nothing behind it. Of 'A' and 'I' in prose only what is no word of the sentence counts.
"""

import re
from collections.abc import Callable, Iterable

from pipeline.folding import folded
from pipeline.verify.language import pattern, words
from pipeline.verify.markers import (
    REFUSED,
    Style,
    denied,
    distinct,
    final,
    introduced,
    states,
    supposed,
)
from pipeline.verify.passages import Passage, undressed
from pipeline.verify.registry import Verifier, verifier

_WORD = r"\w'’"
_LETTER = re.compile(
    rf"(?<![{_WORD}])(?:(?P<upper>[A-J])(?![{_WORD}])|(?P<lower>[a-j])(?=\)))", re.ASCII
)
_PROSE = re.compile(r"\s+[a-z]+")  # behind the word A or I
_AFTER_LETTER = re.compile(
    rf"\s+(?:because|since|as|for|with|which|per|only|{pattern('states', 'alternative')}"
    rf"|{pattern('conjunction', 'right')})(?!\w)",
    re.IGNORECASE,
)
_MARK = pattern("option", "answer")
_MARK_BEFORE = re.compile(rf"{_MARK}[\W_]*$", re.IGNORECASE)
_FORMULA = re.compile(  # B', \neg B: a letter that is a part of something else
    r"[¬~^′=<>+]|\\[a-z]|!\s*[A-J]\b|^[^'‘’]*\b[A-Ja-j]['’]"
)
_LIMITED = re.compile(  # Yes? No. Yes, if so; no otherwise
    rf"[^\w\s]\s*(?P<word>{pattern('yes', 'no')})\s*(?=[^\w\s]|$|(?:otherwise|if|when)\b)",
    re.IGNORECASE,
)
_ONLY_LETTER = re.compile(rf"[\W_]*+(?:(?i:{_MARK})[\W_]*+)?([A-Ja-j])[\W_]*+")
_FIRST_LETTER = re.compile(r"\s*[*(\[]*(?:([A-J])(?:[)\].:*]|,(?<!I,)|\s*$)|([a-j])[).:](?=\s|$))")
_OWN_TEXT = re.compile(r"\s*[)\].:]\s*\S")  # (D) B, D and F: the option's own text
_BETWEEN = re.compile(
    rf"[\s)\]*\"'”]*+(?:[,/&|+;，、；]\s*{pattern('alternative', 'conjunction')}?"
    rf"|\(?{pattern('alternative')}|{pattern('conjunction')}|nor|(?={pattern('perhaps')}))"
    rf"\s*{pattern('perhaps')}?[\s(\[*\"'“]*+(?:{_MARK}\s*)?[\s(\[*\"'“]*+",
    re.IGNORECASE,
)
_SIGNS_BETWEEN = re.compile(  # in a box: A \lor B
    rf"{_BETWEEN.pattern}|(?:\\[a-z]+|[^\w(]|{pattern('alternative', 'conjunction')})*+",
    re.IGNORECASE,
)
_BESIDE = re.compile(rf"{_BETWEEN.pattern}[A-J](?![{_WORD}])", re.IGNORECASE)
_BEFORE = re.compile(
    rf"(?<![{_WORD}])[A-J][)\]]?\s*(?:[,/&]|,?\s*{pattern('alternative', 'conjunction')})\s*[(]?$"
)
_RIGHT = rf"(?:{pattern('article')}\s*)*(?:{pattern('right')}|{pattern('answer')})"
_CHOSEN = re.compile(  # Option B is correct; B is the right answer; 选B
    rf"(?<![{_WORD}])(?:(?P<noun>{_MARK}|{pattern('choosing')})[\s.:–-]{{0,3}})?"
    rf"[(\[\"*“]{{0,4}}(?P<letter>(?-i:[A-J]))[)\]\"*”]{{0,4}}"
    rf"(?:\s*{pattern('states')}\s*(?:{pattern('article')}\s*)*"
    rf"(?P<denied>{pattern('denial')}\s*)?(?P<right>{_RIGHT})"
    r"|(?P<end>\s*[.。!]?\s*(?:\n|$)))",
    re.IGNORECASE,
)
_CHOOSING = re.compile(pattern("choosing"), re.IGNORECASE)
_PICKED = re.compile(
    rf"{pattern('option')}\s*[:：]?\s*[(（]?(?P<letter>[A-J])(?![A-Za-z])", re.ASCII
)
_YES = words("yes")
_YES_NO = re.compile(pattern("yes", "no"), re.IGNORECASE)
_FIRST_WORD = re.compile(rf"\W*{pattern('yes', 'no')}", re.IGNORECASE)
_SPACES = re.compile(r"\s+")
_EDGES = " \t\n.,;:!?\"'`*()[]{}$“”‘’«»„。，；：！？（）「」"
_LETTERING = re.compile(r"\\(?:text\w*|math\w+|mbox)\s*\{([^{}]*)\}")
_TEXT_COMMAND = re.compile(r"\\(?:text\w*|mathrm|mbox)\s*\{([^{}]*)\}")
_BETWEEN_WORDS = re.compile(
    rf"\W*+(?:{pattern('alternative', 'conjunction')}|nor)?\W*+", re.IGNORECASE
)
_CHOICE = Style(("answer", "option"), formulas=False)
_TEXT = Style(formulas=False)
_ANY_TEXT = Style(formulas=False, any_text=True, longest=10**9)


@verifier("choice")
class ChoiceVerifier(Verifier):
    """The letter of a choice, A to J."""

    def extract(self, text: str) -> str | None:
        return final(text, _letters, _letter_of_line, _CHOICE)

    def canonical(self, answer: str) -> str | None:
        return _only_letter(answer)

    def states(self, text: str) -> bool:
        return states(text, _letters, _CHOICE)


@verifier("yesno")
class YesNoVerifier(Verifier):
    """Yes or no; true counts as yes, false as no, and a reference 1 and 0 do so too."""

    def extract(self, text: str) -> str | None:
        """Without a marker it must be the first word of the response."""
        return final(text, _yes_nos, _first_yes_no, _TEXT)

    def canonical(self, answer: str) -> str | None:
        flag = {"1": "yes", "1.0": "yes", "0": "no", "0.0": "no"}.get(answer.strip())
        if flag:
            return flag
        found = _first_yes_no(Passage(answer, ()))
        return found[0] or None if len(found) == 1 else None

    def states(self, text: str) -> bool:
        return states(text, _yes_nos, _TEXT)


@verifier("exact")
class ExactVerifier(Verifier):
    """A text, but for case, spaces and punctuation around it."""

    def extract(self, text: str) -> str | None:
        """The text after its marker, else the last line."""
        return final(text, _line, _last_line, _ANY_TEXT)

    def canonical(self, answer: str) -> str | None:
        return _normal(answer)

    def states(self, text: str) -> bool:
        return states(text, _line, _ANY_TEXT)


def _only_letter(text: str) -> str | None:
    plain = _LETTERING.sub(r"\1", text)
    match = None if _FORMULA.search(plain) else _ONLY_LETTER.fullmatch(plain)
    return match[1].upper() if match else None


def _letters(tail: Passage) -> tuple[str, ...]:
    """The letter behind a marker; all where they are alternatives."""
    part = undressed(tail.text) if tail.whole else tail.sentence().text
    part = _LETTERING.sub(r"\1", part)
    line = _LETTERING.sub(r"\1", tail.text.lstrip().partition("\n")[0])
    if only := _only_letter(part) or _only_letter(line):
        return (only,)
    first = _FIRST_LETTER.match(line)
    if first and _OWN_TEXT.match(line, first.end(1) if first[1] else first.end(2)):
        rest = line[first.end() :]
        if not _BETWEEN.match(rest) and not denied(line, first.start()):
            return ((first[1] or first[2]).upper(),)
    found = [match for match in _LETTER.finditer(part) if not _is_a_word(match, part)]
    if tail.whole and _FORMULA.search(part):
        return (REFUSED,)
    before = _MARK_BEFORE.sub("", part[: found[0].start()]) if found else ""
    if not introduced(before, len(before)):
        return (REFUSED,)
    between = _SIGNS_BETWEEN if tail.whole else _BETWEEN
    return _alternatives(found, part, between, lambda m: (m["upper"] or m["lower"]).upper())


def _is_a_word(match: re.Match[str], part: str) -> bool:
    """True for the A of 'A dog barks' and the I of 'I think'."""
    if match["upper"] not in ("A", "I"):
        return False
    return bool(_PROSE.match(part, match.end())) and not _AFTER_LETTER.match(part, match.end())


def _letter_of_line(text: Passage) -> tuple[str, ...]:
    """Without a marker: what a sentence calls right, else the first or last line's letter."""
    if chosen := _chosen(text.text):
        return chosen
    lines = [line for line in text.text.split("\n") if line.strip()]
    if len(lines) == 1 and (only := _only_letter(lines[0])):
        return (only,)
    found = [match for line in lines[:1] + lines[-1:] if (match := _FIRST_LETTER.match(line))]
    if any(_BESIDE.match(match.string, match.end(match.lastindex or 0)) for match in found):
        return (REFUSED,)
    return distinct((match[1] or match[2]).upper() for match in found)


def _chosen(text: str) -> tuple[str, ...]:
    found = []
    for match in _CHOSEN.finditer(text):
        if match["right"] and (match["denied"] or supposed(text, match.start())):
            continue
        if match["right"] and _BEFORE.search(text[max(0, match.start() - 20) : match.start()]):
            return (REFUSED,)  # A and B are correct
        if match["right"] or _is_picked(match, text):
            found.append(match["letter"].upper())
    if found:
        return distinct(found)
    picked = [
        match
        for match in _PICKED.finditer(text)
        if not match[0].isascii() and not denied(text, match.start())
    ]
    if any(_BESIDE.match(text, match.end()) for match in picked):
        return (REFUSED,)  # 选A或B
    return distinct(match["letter"] for match in picked)


def _is_picked(match: re.Match[str], text: str) -> bool:
    """True for 'I choose B' and for 'Option B' on its own, false for 'we eliminate option B'."""
    if not match["noun"] or denied(text, match.start()):
        return False
    before = _MARK_BEFORE.sub("", text[: match.start()])  # Answer choice B
    return bool(_CHOOSING.match(match["noun"])) or introduced(before, len(before))


def _yes_nos(tail: Passage) -> tuple[str, ...]:
    part = tail.sentence().text
    first = _YES_NO.search(part)
    if first is None:
        return ()
    place = tail.text.index(part) + first.end()
    if not introduced(part, first.start()) or _is_limited(first, tail.text[place : place + 200]):
        return (REFUSED,)
    return _alternatives(_YES_NO.finditer(part), part, _BETWEEN_WORDS, _said)


def _is_limited(said: re.Match[str], after: str) -> bool:
    """True where 'yes' is asked, or 'no' stands behind it as well."""
    asked = re.match(r"\s*[?？]", after)
    words = (match["word"] for match in _LIMITED.finditer(after))
    return bool(asked) or any(_of(word) != _of(said[0]) for word in words)


def _said(match: re.Match[str]) -> str:
    return _of(match[0])


def _of(word: str) -> str:
    return "yes" if word.lower() in _YES else "no"


def _first_yes_no(text: Passage) -> tuple[str, ...]:
    return _yes_nos(text) if _FIRST_WORD.match(text.text) else ()


def _alternatives(
    matches: Iterable[re.Match[str]],
    part: str,
    between: re.Pattern[str],
    value: Callable[[re.Match[str]], str],
) -> tuple[str, ...]:
    """The first match, and those beside it as alternatives; REFUSED where it is denied."""
    answers: list[str] = []
    end = 0
    for match in matches:
        if not answers and denied(part, match.start()):
            return (REFUSED,)
        if answers and not between.fullmatch(part, end, match.start()):
            break
        answers.append(value(match))
        end = match.end()
    return distinct(answers)


def _line(tail: Passage) -> tuple[str, ...]:
    text = _normal(tail.text if tail.whole else tail.text.strip().partition("\n")[0])
    return (text,) if text else ()


def _last_line(text: Passage) -> tuple[str, ...]:
    return _line(Passage(text.text.rstrip().rpartition("\n")[2], ()))


def _normal(text: str) -> str | None:
    """In lower case, single spaces, nothing around it; None where nothing is left."""
    plain = folded(_TEXT_COMMAND.sub(r"\1", text), case=False)
    return _SPACES.sub(" ", plain).strip(_EDGES) or None
