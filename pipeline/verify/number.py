r"""Numbers: integers, decimals, fractions, percentages, amounts of money, thousands separators.

The final answer is what an explicit marker names (see markers), else what follows the last '=' of the last line with a
number, else the last number of the text. It is compared exactly, as a fraction: 12 is not 1, 0.5 is 1/2, 1,200.50 is
1200.5.

Our choices: a percent sign, a currency and a word of measure are units and are dropped, so 50% equals 50 and never
0.5; an expression that nobody worked out ('the answer is 4 + 3') is no answer, and neither is a number that is a part
of another one ('5 million', '5k', 2\pi, \sqrt{2}) or is denied ('not 5', 'less than 5'); of 'x = 3, y = 4' the last
counts; a number of more than 1,000 characters is no answer; only the digits 0 to 9 are digits.
"""

import re
from fractions import Fraction
from functools import lru_cache

from pipeline.verify.markers import REFUSED, denied, distinct, final, sentence, stated
from pipeline.verify.markers import states as _states
from pipeline.verify.registry import Verifier, verifier

_MAX_DIGITS = 1000
_NUMBER = re.compile(
    r"(?:(?<![\w)\]])(?P<sign>[-+]))?(?:[$€£¥₹]\s?)?(?<![\w.^])(?<![0-9],)"
    r"(?:(?P<whole>[0-9]++) (?P<over>[0-9]++)/(?P<under>[0-9]++)"  # 1 1/2
    r"|(?P<digits>(?:[0-9]{1,3}(?:,[0-9]{3})++|[0-9]++)(?:\.[0-9]++)?|\.[0-9]++)"
    r"(?:[eE](?P<exponent>[+-]?[0-9]{1,3})(?![0-9]))?(?:/(?P<divisor>[0-9]++(?:\.[0-9]++)?))?)"
    r"(?![0-9]|[.,/][0-9]|\^|[xyz]\b)",
    re.ASCII,
)
_ALTERNATIVE = re.compile(r"\W*+(?:or|and|to|through|x)?\W*+", re.IGNORECASE)  # 3 or 4, 3 + 4, 3, 4
_OPERATION = re.compile(r"[0-9)]\s*[-+*/x]\s*[$€£¥₹]?$")  # before a number: nobody worked it out
_OPENING = re.compile(r"[^\w(]*", re.ASCII)
_CONTINUES = re.compile(r"[\s$%]*(?:[A-Za-z]+\s*)?[-+*/=)]|\s*x\b")
_SIGN_APART = re.compile(r"^([\s$(]*)-\s+(?=[$€£¥₹]?[0-9.])")
_FUNCTION = r"(?:\\(?:sqrt|log|ln|sin|cos|tan|exp)(?![a-z])|\bsqrt\b|√)"
_BEFORE = re.compile(  # what makes a number after it a part of another one: \sqrt{, \pi/, \sqrt{3}/
    rf"(?:{_FUNCTION}(?:\[[^\[\]]*\])?\s*[{{(]?|(?:\\pi|\bpi|π|\}})\s*[-+*/^])\s*$"
)
_AFTER = re.compile(
    rf"\s*+\*?\s*+(?:{_FUNCTION}|\\?pi\b|π)|[kKMB]\b|\s*+[*x]\s*+10\s*+(?:\^|\*\*)"
    r"|[\s-]*(?i:hundred|thousand|million|billion|trillion)s?\b"
    r"|\s+(?:is|are|was|were)\s+(?i:not|wrong|incorrect)\b"
)
_UP_TO_NUMBER = re.compile(r"[^\\0-9]*(?=[0-9])")
_AMOUNT = re.compile(
    r"[\s$€£¥₹]*[-+]?[\s$€£¥₹]*[0-9.][0-9.,/ ]*(?:\s*%)?"
    r"(?:[\s-]+(?!(?:pi|sqrt|or|and|to|over|mod)\b)[A-Za-z]{2,}){0,3}[\s.$]*"
)
_SYMBOLS = str.maketrans("\u2212\ufe63\uff0d\u00d7\u00f7\u00b7\u00a0\u202f\u2009", "---*/*   ")
_LATEX = (
    (re.compile(r"(?<=[0-9])\s*(?=\\[dt]?frac)"), " "),  # 2\frac{1}{2} is 2 1/2 and not 21/2
    (re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r"\1/\2"),
    (re.compile(r"\\(?:text|mathrm|textbf|mathbf)\s*\{([^{}]*)\}"), r" \1"),
    (re.compile(r"\\[$%]"), lambda match: match[0][1]),
    (re.compile(r"\\!\s*|\{,\}"), lambda match: "," if match[0] == "{,}" else ""),
    (re.compile(r"\\(?:times|cdot)"), "*"),
    (re.compile(r"\\[()\[\],;: ]"), " "),
)


@verifier("number")
class NumberVerifier(Verifier):
    """Numbers, compared exactly."""

    def extract(self, text: str) -> str | None:
        return extract(text)

    def canonical(self, answer: str) -> str | None:
        return canonical(answer)

    def states(self, text: str) -> bool:
        return states(text)


def extract(text: str) -> str | None:
    """The final number of a response, normalised; None if missing or ambiguous."""
    return final(_plain(text), _read, _last)


def states(text: str) -> bool:
    """True where an explicit marker names a number."""
    return _states(_plain(text), _read)


def canonical(answer: str) -> str | None:
    """A reference answer, normalised: the one after its marker (GSM8K's '#### 72'), else the only number in it."""
    plain = _plain(answer)
    answers = stated(plain, _read) or distinct(value for _, value in _numbers(_SIGN_APART.sub(r"\1-", plain)))
    return answers[0] or None if len(answers) == 1 else None


def amount(text: str) -> str | None:
    """The number that a text is, units left out, normalised; REFUSED where it is denied or a part of another one.

    None where the text is anything else than one number.
    """
    plain = _SIGN_APART.sub(r"\1-", _plain(text))
    words = _UP_TO_NUMBER.match(plain)
    if words and denied(plain, words.end()):
        return REFUSED
    values = _numbers(plain) if _AMOUNT.fullmatch(plain) else []
    return values[0][1] if len(values) == 1 else None


def _plain(text: str) -> str:
    text = text.translate(_SYMBOLS) if not text.isascii() else text
    if "\\" in text:
        for pattern, replacement in _LATEX:
            text = pattern.sub(replacement, text)
    return text.replace("**", " ")


def _read(tail: str) -> tuple[str, ...]:
    """The number that a marker's tail begins with, else that after its last '='; all where they are alternatives.

    REFUSED where one of them does not stand for itself.
    """
    part = _SIGN_APART.sub(r"\1-", sentence(tail))
    if "=" in part and not _begins_with_result(part):
        part = _SIGN_APART.sub(r"\1-", part.rpartition("=")[2])
    answers: list[str] = []
    end = 0
    for match, value in _numbers(part):
        if answers and not _ALTERNATIVE.fullmatch(part, end, match.start()):
            break
        answers.append(value)
        end = match.end()
    return (REFUSED,) if REFUSED in answers else distinct(iter(answers))


def _begins_with_result(part: str) -> bool:
    """True for '7 (since 4 + 3 = 7)', false for '4 + 3 = 7' and 'x = 7'."""
    match = _NUMBER.search(part)
    return bool(match and _OPENING.fullmatch(part, 0, match.start()) and not _CONTINUES.match(part, match.end()))


def _last(text: str) -> tuple[str, ...]:
    """Without a marker: after the last '=' of the last line with a number, else its last number; never an open sum."""
    for line in reversed(text.split("\n")):
        numbers = _numbers(line)
        if not numbers:
            continue
        if "=" in line:
            return _read(line)
        match, value = numbers[-1]
        start = match.start()
        return () if _OPERATION.search(line, max(0, start - 10), start) else (value,)
    return ()


def _numbers(part: str) -> list[tuple[re.Match[str], str]]:
    """Every number of a text with its value; REFUSED where it is a part of another one or denied."""
    found = ((match, _value(match[0])) for match in _NUMBER.finditer(part))
    return [(m, value if _stands_alone(part, m) else REFUSED) for m, value in found if value is not None]


def _stands_alone(part: str, match: re.Match[str]) -> bool:
    start = match.start()
    joined = _BEFORE.search(part, max(0, start - 40), start) or _AFTER.match(part, match.end())
    return not joined and not denied(part, start)


@lru_cache(maxsize=65536)
def _value(token: str) -> str | None:
    """A number as an integer, a finite decimal or a reduced fraction; None where it has none (1/0) or is too long."""
    match = _NUMBER.fullmatch(token)
    if match is None or len(token) > _MAX_DIGITS:
        return None
    whole, over, under = match.group("whole", "over", "under")
    digits, exponent, divisor = match.group("digits", "exponent", "divisor")
    try:
        if whole:
            value = int(whole) + Fraction(int(over), int(under))
        else:
            value = Fraction(digits.replace(",", "")) * Fraction(10) ** int(exponent or 0) / Fraction(divisor or 1)
    except ZeroDivisionError:
        return None
    return _text(-value if match["sign"] == "-" else value)


def _text(value: Fraction) -> str:
    rest, places = value.denominator, 0
    while rest % 10 == 0:
        rest, places = rest // 10, places + 1
    for factor in (2, 5):
        while rest % factor == 0:
            rest, places = rest // factor, places + 1
    if rest != 1 or value.denominator == 1:
        return str(value)  # an integer, or a fraction without a finite decimal
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}".rstrip("0")
