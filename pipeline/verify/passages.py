r"""Texts whose formulas are set aside, so that nothing cuts into them before they are read whole.

A formula is what dollars, \(...\) or \[...\] delimit, or a run of LaTeX between words. In a passage
one character stands for each; `5 and then` between the dollars of two prices is no formula.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from pipeline.verify.characters import DASHES
from pipeline.verify.expression import Refused, parse

_FIRST = 0xF0000  # formulas are characters of a private plane, in order
_MOST = 60_000
_LONGEST = 4000  # characters of a formula
FORMULA = f"[{chr(_FIRST)}-{chr(_FIRST + _MOST)}]"
_PRIVATE = re.compile(FORMULA)
_ENVIRONMENT = r"\{(?:align|gather|equation|multline)\*?\}"
_OPENING = re.compile(rf"\\begin{_ENVIRONMENT}|\\[(\[]|\\.|\$\$?", re.DOTALL)
_CLOSING = {"\\(": "\\)", "\\[": "\\]", "$$": "$$", "$": "$"}
_CALCULATED = re.compile(r"<<[^<>\n]{0,200}>>")  # GSM8K's marks: 3*4=<<3*4=12>>12
_FRACTION = re.compile(r"([0-9])?([½⅓⅔¼¾⅕⅛])")
_AREA = re.compile(r"\b([ckm]m|ft|in|yd)\^\{?([23])\}?(?!\w)")  # cm^2
_FENCED = re.compile(r"[\s*]*```[^\n`]{0,20}\n([^`]*+)```")
_EMPHASIS = re.compile(  # <b>5</b>, _5_
    r"</?(?:b|i|u|em|strong|code|mark)>|(?<!\w)(_{1,2})(?=[^\s_])([^_\n]{1,60})(?<!\s)\1(?!\w)",
    re.I,
)
_PIECE = re.compile(r"[^\s\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]+")
_COMMAND = re.compile(r"\\[A-Za-z!,;]")
_MATHS = re.compile(r"[-+*/=^_(){}\[\]|<>!&0-9.,]+|[B-HJ-Zb-z][-+*/=^_(){}0-9.,]*")
_WORDS = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{4,}")
_SIGNS = str.maketrans(dict.fromkeys(DASHES, "-") | {"\u00a0": "\u202f", "\u2009": "\u202f"})
_SENTENCE_END = re.compile(
    r"[.!?](?=\s|$)|[\n。！？]"
    # '5; 6' and 'x = 5; y = 6' are two values
    r"|[;；](?![^\S\n]*(?:[A-Za-z]\s?=\s?)?"
    rf"(?:[-+$€£]{{0,2}}[0-9][0-9.,]*|{FORMULA})[.;]?\s*(?:\n|$))"
)
_OTHER_RELATION = re.compile(
    r"[<>≤≥≠≈∈!]|\\(?:leq?|geq?|neq?|lt|gt|approx|in|sim|equiv|not|leqslant|geqslant)(?![a-zA-Z])"
)
_ROWS = re.compile(r"\\(?:begin|end)\s*\{(?:align|aligned|gather|gathered|equation|split)\*?\}")


@dataclass(frozen=True)
class Passage:
    """A text with its formulas set aside.

    whole: something delimits the text, such as a box, so that all of it is the answer.
    """

    text: str
    formulas: tuple[str, ...]
    whole: bool = False

    def part(self, start: int, end: int | None = None) -> "Passage":
        """A piece of it."""
        return replace(self, text=self.text[start:end])

    def sentence(self) -> "Passage":
        """Its first sentence or line; all of a delimited text."""
        if self.whole:
            return self
        text = self.text.lstrip()
        end = _SENTENCE_END.search(text)
        return replace(self, text=text[: end.start()] if end else text)

    def unfenced(self) -> "Passage":
        """What a fence delimits, where the text begins with one."""
        fenced = _FENCED.match(self.text)
        return replace(self, text=fenced[1].strip(), whole=True) if fenced else self

    def formula(self, character: str) -> str:
        """The formula that a character of the text stands for; blank where there is none."""
        place = ord(character) - _FIRST
        return self.formulas[place] if place < len(self.formulas) else " "

    def restored(self) -> str:
        """The text with its formulas, without what delimited them."""
        return _PRIVATE.sub(lambda match: self.formula(match[0]), self.text)


@lru_cache(maxsize=64)
def passage(text: str, whole: bool = False) -> Passage:
    """The text as a passage."""
    text = _PRIVATE.sub(" ", text)
    text = _CALCULATED.sub(" ", text) if "<<" in text else text
    pieces: list[str] = []
    formulas: list[str] = []
    position = 0
    for start, end, formula in _delimited(text):
        pieces += [_bare(text[position:start], formulas), _kept(formula, formulas)]
        position = end
    pieces.append(_bare(text[position:], formulas))
    joined = "".join(pieces).translate(_SIGNS).replace("**", " ")
    if "<" in joined or "_" in joined:
        joined = _EMPHASIS.sub(r"\2", joined)
    joined = _FRACTION.sub(_in_digits, joined)
    joined = _AREA.sub(lambda unit: f"{unit[1]}{'²' if unit[2] == '2' else '³'}", joined)
    return Passage(joined.replace("\\$", "$").replace("\\%", "%"), tuple(formulas), whole)


def _in_digits(found: re.Match[str]) -> str:
    """2 1/2 for 2½."""
    over, under = unicodedata.normalize("NFKC", found[2]).split("\u2044")
    return f"{found[1]} {over}/{under}" if found[1] else f"{over}/{under}"


def conclusion(formula: str) -> str:
    """What a derivation ends with: the last side of the last row of its equations.

    The formula as it is, where it has other relations than =, or rows of anything but equations.
    """
    rows = _ROWS.sub(" ", formula)
    if "\\begin" in rows or _OTHER_RELATION.search(rows):
        return formula
    last = next((row for row in reversed(rows.split("\\\\")) if row.strip()), "")
    last = last.replace("&", " ")
    depth, cut = 0, 0
    for index, letter in enumerate(last):
        depth += (letter == "{") - (letter == "}")
        if letter == "=" and depth == 0:
            cut = index + 1
    return last[cut:].strip().rstrip(".,")


def undressed(text: str) -> str:
    """A delimited text without dollars, stars and a full stop around it."""
    text = text.strip().strip("*").strip()
    for opening, closing in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
        inner = text.removesuffix(".").rstrip()
        if len(inner) > 2 and inner.startswith(opening) and inner.endswith(closing):
            inner = inner[len(opening) : -len(closing)]
            if closing not in inner:
                return inner.strip()
    return text.removesuffix(".").rstrip() if not text.endswith("..") else text


def _kept(formula: str, formulas: list[str]) -> str:
    formulas.append(formula.strip())
    return chr(_FIRST + len(formulas) - 1)


def _delimited(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and content of every formula that something delimits."""
    position, absent, found = 0, set(), 0
    while found < _MOST // 2 and (opening := _OPENING.search(text, position)):
        position = opening.end()
        closing = _closing_of(opening[0])
        if closing is None or closing in absent:
            continue
        end = _closed(text, position, closing)
        if end < 0:
            absent.add(closing)
            continue
        content = text[position:end]
        if len(content) <= _LONGEST and _is_formula(opening[0], content, text[end + 1 : end + 2]):
            found += 1
            yield opening.start(), end + len(closing), content
            position = end + len(closing)


def _closing_of(opening: str) -> str | None:
    if opening.startswith("\\begin"):
        return opening.replace("\\begin", "\\end")
    return _CLOSING.get(opening)


def _closed(text: str, position: int, closing: str) -> int:
    end = text.find(closing, position)
    while closing == "$" and end > 0 and text[end - 1] == "\\":
        end = text.find(closing, end + 1)
    return end


def _is_formula(opening: str, content: str, after: str) -> bool:
    """False for what stands between the signs of two prices."""
    if not content.strip() or "\n\n" in content:
        return False
    if opening != "$":
        return True
    if content[0] in "0123456789.":
        return not content[-1].isspace() and not after.isdigit() and _is_read(content)
    if _is_read(content):
        return True
    return any(sign in content for sign in "\\^_=<>") and len(_WORDS.findall(content)) < 3


def _is_read(content: str) -> bool:
    try:
        return parse(content.strip()) is not None or "\\" in content
    except Refused:
        return True


def _bare(prose: str, formulas: list[str]) -> str:
    """Prose whose runs of LaTeX, which nothing delimits, are set aside too."""
    if not _COMMAND.search(prose):
        return prose
    pieces: list[str] = []
    position = 0
    for start, end in _runs(prose):
        if len(formulas) >= _MOST:
            break
        pieces += [prose[position:start], _kept(prose[start:end], formulas)]
        position = end
    return "".join(pieces) + prose[position:]


def _runs(prose: str) -> Iterator[tuple[int, int]]:
    """Start and end of each run of words that are LaTeX, numbers, signs and single letters."""
    run: list[re.Match[str]] = []
    depth, latex = 0, False
    for word in _PIECE.finditer(prose):
        a_command = bool(_COMMAND.search(word[0]))
        apart = bool(run) and "\n" in prose[run[-1].end() : word.start()]
        joins = depth > 0 or a_command or bool(_MATHS.fullmatch(word[0].rstrip(".,;:!?")))
        if run and (apart or not joins or run[-1][0][-1] in ",;:" and depth <= 0):
            if latex:
                yield _trimmed(prose, run)
            run, depth, latex = [], 0, False
        if joins and word[0].strip(".,;:!?"):
            run.append(word)
            depth += sum(map(word[0].count, "([{")) - sum(map(word[0].count, ")]}"))
            latex = latex or a_command
    if run and latex:
        yield _trimmed(prose, run)


def _trimmed(prose: str, run: list[re.Match[str]]) -> tuple[int, int]:
    start, end = run[0].start(), run[-1].end()
    while start < end and prose[start] in "*:":
        start += 1
    while end > start and prose[end - 1] in ".,;:?*":
        end -= 1
    if (
        end > start
        and prose[end - 1] == ")"
        and prose[start:end].count("(") < prose[start:end].count(")")
    ):
        end -= 1
    return start, end
