"""The value that prose names: a number or a formula that is no part of something else.

What may stand beside a value is listed, and nothing else may: words, punctuation, brackets and
quotation marks, an equals sign before it, a unit behind it. All that has a digit and is not such
a value is REFUSED where it would have been the answer.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import islice

from pipeline.verify.expression import written
from pipeline.verify.language import BEHIND_UNITS, either, pattern
from pipeline.verify.markers import REFUSED, denied, distinct, introduced
from pipeline.verify.passages import FORMULA, Passage

FormulaReader = Callable[[str], str | None]  # its value, REFUSED, or None for a name such as $x$

_MAX_DIGITS = 1000
_MOST = 20  # values side by side; more are no answer
_MONEY = "$€£¥₹₩₽"
NUMBER = re.compile(
    rf"(?:(?<![\w)\]])(?P<sign>[-+]))?(?:[{_MONEY}]\s?)?(?P<inner>[-+])?"
    r"(?:(?P<whole>[0-9]++) (?P<over>[0-9]++)/(?P<under>[0-9]++)"  # 1 1/2
    r"|(?P<digits>(?:[0-9]{1,3}(?:,[0-9]{3}|\u202f[0-9]{3})++|[0-9]++)(?:\.[0-9]++)?|\.[0-9]++)"
    r"(?:[eE](?P<exponent>[+-]?[0-9]{1,3})(?![0-9]))?(?:/(?P<divisor>[0-9]++(?:\.[0-9]++)?))?)"
    r"(?:\s*×\s*10\s*(?:\^\s*\{?(?P<ten>-?[0-9]{1,3})\}?))?",
    re.ASCII,
)
_CANDIDATE = re.compile(rf"(?P<number>{NUMBER.pattern})|(?P<formula>{FORMULA})", re.ASCII)
_SIGN_APART = re.compile(rf"(^|[=:(])(\s*)-\s+(?=[{_MONEY}]?[0-9.])")
_SIGN_IN_WORDS = re.compile(  # the 'menos' of 'al menos' is none
    rf"{pattern('bound')}|(?P<minus>{pattern('negative')}\s*)(?=[{_MONEY}]?[0-9.])", re.IGNORECASE
)
_BEFORE = re.compile(  # what may stand before a value, up to where it begins
    r"(?:^\s*(?:-\s+)?"  # nothing, or a list's dash
    r"|[^\W\d_]\s+|[)\]]\s+|[\u4e00-\u9fff]"  # a word or a closed bracket
    # punctuation
    r"|(?<![<>!:~])=\s*|[;!?]\s*|(?<![0-9])[:,.]\s*|[:,.]\s+|[\u3000-\u303f\uff00-\uffef]\s*"
    r"|(?:^|[\s:,.=$])[(]\s*|(?:^|[\s:,.=(])[\"'“”„«‘’`]\s*|(?:^|[\w\s])\s*\*+\s*"  # ( " *
    r"|[A-Za-z)]\s+-\s+|#\s?|\s+[a-zA-Z]+-)$"  # a dash behind a word; #5; pre-5
)
_ATTACHED = (
    "(?:km|cm|mm|kg|mg|ml|ft|in|hr|hrs|min|am|pm|th|st|nd|rd|mph|kph|lbs?|oz|[ckm]?m[²³]"
    "|[A-Za-z]{4,})"
)
_AFTER = re.compile(  # what may stand behind a value
    rf"[ ]?(?:%|°|[{_MONEY}](?![0-9]))?"
    r"(?:\s*$|\n|\s*[.,;:!?…。，；：！？、](?![0-9])"
    r"|[\"'“”’»*)`]+|\s+[\"'“„«(*`]"
    rf"|(?:{_ATTACHED})(?!\w)|-?[^\W\d_]{{2,}}|\s+[^\W\d_]{{2,}}"  # a unit or a word
    r"|\s+[a-wA-W]{1,5}\s?/\s?[a-wA-W]{1,5}(?![\w(])"  # km/h
    r"|\s+[aImgshlLyouàe](?!\w)(?!\s*[-+*/^(])"  # a word or a unit of one letter
    r"|\s+-+\s+[^\W\d_]{2,}"  # a dash and words
    r"|[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef])"
)
_NOT_BEHIND = re.compile(  # of those, the words that make it a part of another value
    rf"[\s-]*{pattern('scale', 'behind')}|(?:\s+[^\W\d_]+){{1,3}}?\s+{either(BEHIND_UNITS)}"
    rf"|[\s-]*(?:{pattern('operation')}|%\s+of\s)\s*(?:[-+(]?[{_MONEY}]?[0-9]|{FORMULA}|[b-z]\b)"
    r"|['’]s\b|[)\]]\s*(?:[\^²³¹⁰⁴-⁹×·÷/]|[*+-]\s*[0-9(])|\s+per\s+[0-9]"
    r"|[\s-]*\*?\s*(?:pi|sqrt|sin|cos|tan|log|ln|exp|mod)(?![a-z])"
    r"|\s+and\s+\w+\s+(?:half|halves|third|thirds|quarters?|tenths?)\b"
    rf"|[kKMB]\b|\s*[a-zA-Z]{{2,3}}\s*[\^_(]|\s*{pattern('states')}\s*{pattern('denial', 'wrong')}",
    re.IGNORECASE,
)
_LETTERS_ATTACHED = re.compile(r"[A-Za-z]+[²³]?")
_ALTERNATIVE = re.compile(  # between two values of which neither is the answer
    rf"[^\w(]*+(?:\(?\s*{pattern('alternative')}?\s*{pattern('perhaps')}"
    rf"|\(?\s*{pattern('alternative', 'conjunction')}|x)?[^\w(]*+",
    re.IGNORECASE,
)
_OR = re.compile(
    rf"[^\w.(]*(?:[a-zA-Z]+\s+)?{pattern('alternative')}\s*(?:[a-zA-Z]\s*=)?[^\w.(]*",
    re.IGNORECASE,
)
_UNIT_BETWEEN = re.compile(
    rf"\s*[a-zA-Z%°]+\s+{pattern('alternative', 'conjunction', 'operation')}\s*", re.IGNORECASE
)
_EXPLAINS = re.compile(  # before a second value, which is then no part of the first one
    rf"[^\w\s%°$€£]|\n|{pattern('reason', 'states')}", re.IGNORECASE
)
_OPENING = re.compile(r"[^\w(]*", re.ASCII)
_CONTINUES = re.compile(r"[\s$%]*(?:[A-Za-z]+\s*)?[-+*/=)×·⋅∙÷]|\s*x\b")
_EQUALS = re.compile(r"(?<![<>!=~:])=(?![=>])")
_IS = re.compile(rf"\s+{pattern('states')}\s")
_ASIDE = re.compile(r"(?<!\w)\([^()]*\)")  # of 5(3) the 5 is a part


@dataclass(frozen=True)
class _Found:
    start: int
    end: int
    value: str


def named(read: Passage, formula: FormulaReader) -> tuple[str, ...]:
    """The value that a marker's sentence begins with, else that after its last '='.

    All values where they are alternatives; REFUSED where one does not stand for itself.
    """
    part = _signed(read.sentence().text)
    sides = _EQUALS.split(part)
    if len(sides) > 1 and not _begins_with_result(part):
        part = _signed(sides[-1])
    answers: list[str] = []
    end = 0
    for found in _values(part, read, formula):
        if not answers and not introduced(part, found.start, amount=True):
            return (REFUSED,)  # under 5, double 5, the cube of 5
        if answers and not _are_alternatives(part, end, found.start):
            if not _EXPLAINS.search(part, end, found.start):
                answers.append(REFUSED)  # 5 out of 6, 5 feet 6 inches
            break
        answers.append(found.value)
        if len(answers) == _MOST:
            return (REFUSED,)
        end = found.end
    return (REFUSED,) if REFUSED in answers else distinct(answers)


def last(read: Passage, formula: FormulaReader) -> tuple[str, ...]:
    """Without a marker: after the last '=' of the last line with a value, else its last value."""
    for line in reversed(read.text.split("\n")):
        if not line.strip():
            continue
        line = _with_signs(line)
        bare = _ASIDE.sub(" ", line)
        value = _last_of(bare, read, formula)
        if value is None:
            bare, value = line, _last_of(line, read, formula)
        if value is not None and _is_one_of_two(bare):
            return (REFUSED,)
        if value is not None and _EQUALS.search(bare.lstrip(" =")):
            return named(Passage(bare, read.formulas, whole=True), formula)
        if value is not None:
            return (value,)
    return ()


def _is_one_of_two(line: str) -> bool:
    """True where the line's last two values are joined by 'or': neither is the answer."""
    found = list(_CANDIDATE.finditer(line))[-2:]
    return len(found) == 2 and bool(_OR.fullmatch(line, found[0].end(), found[1].start()))


def only(read: Passage, formula: FormulaReader) -> tuple[str, ...]:
    """Every distinct value of a text."""
    part = _signed(read.text)
    found = list(islice(_values(part, read, formula), _MOST))
    return (REFUSED,) if len(found) == _MOST else distinct(one.value for one in found)


def _signed(part: str) -> str:
    return _SIGN_APART.sub(r"\1\2-", _with_signs(part))


def _with_signs(part: str) -> str:
    """The text with -5 for 'minus 5'."""
    return _SIGN_IN_WORDS.sub(lambda found: "-" if found["minus"] else found[0], part)


def _begins_with_result(part: str) -> bool:
    """True for '7 (since 4 + 3 = 7)', false for '4 + 3 = 7' and 'x = 7'."""
    match = _CANDIDATE.search(part)
    if not match or not _OPENING.fullmatch(part, 0, match.start()):
        return False
    return not _CONTINUES.match(part, match.end())


def _are_alternatives(part: str, end: int, start: int) -> bool:
    return bool(
        _ALTERNATIVE.fullmatch(part, end, start) or _UNIT_BETWEEN.fullmatch(part, end, start)
    )


def _values(part: str, read: Passage, formula: FormulaReader) -> Iterator[_Found]:
    """Every number and formula of a text; REFUSED where it is a part of another one or denied."""
    for match in _CANDIDATE.finditer(part):
        value = _value_of(match, part, read, formula)
        if value is not None:
            yield _Found(match.start(), match.end(), value)


def _last_of(part: str, read: Passage, formula: FormulaReader) -> str | None:
    """The last of these values."""
    found = reversed(list(_CANDIDATE.finditer(part)))
    values = (_value_of(match, part, read, formula) for match in found)
    return next((value for value in values if value is not None), None)


def _value_of(match: re.Match[str], part: str, read: Passage, formula: FormulaReader) -> str | None:
    if match["formula"]:
        value = formula(read.formula(match["formula"]))
    else:
        value = _number(match["number"])
    a_number = value is not None and value[-1:].isdigit()
    if match["formula"] and not a_number and _IS.match(part, match.end()):
        return None  # 'the domain of $f(x)$ is 19'
    return value if not value or _stands_alone(part, match) else REFUSED


def _stands_alone(part: str, match: re.Match[str]) -> bool:
    start, end = match.start(), match.end()
    if not _BEFORE.search(part[max(0, start - 40) : start]) or denied(part, start):
        return False
    after = part[end : end + 60]
    if _NOT_BEHIND.match(after):
        return False
    attached = _LETTERS_ATTACHED.match(after)
    if attached and not re.fullmatch(_ATTACHED, attached[0]):
        return False
    return bool(_AFTER.match(after)) or (
        bool(after.strip()) and unicodedata.category(after.strip()[0]) == "So"
    )


@lru_cache(maxsize=65536)
def _number(token: str) -> str:
    """A number as it is stored; REFUSED where it has no value (1/0) or is too long."""
    match = NUMBER.fullmatch(token)
    if match is None or len(token) > _MAX_DIGITS:
        return REFUSED
    whole, over, under = match.group("whole", "over", "under")
    digits, exponent, divisor = match.group("digits", "exponent", "divisor")
    try:
        if whole:
            value = int(whole) + Fraction(int(over), int(under))
        else:
            ten = Fraction(10) ** (int(exponent or 0) + int(match["ten"] or 0))
            plain = digits.replace(",", "").replace("\u202f", "")
            value = Fraction(plain) * ten / Fraction(divisor or 1)
    except ZeroDivisionError:
        return REFUSED
    signs = (match["sign"] or "") + (match["inner"] or "")
    return REFUSED if len(signs) > 1 else written(-value if signs == "-" else value)
