r"""Where a response states its final answer: \boxed{x}, '#### x', <answer>x</answer>, 'the answer is x', 'Answer: x'.

A reader turns the text after a marker into the tuple of distinct answers that it names: none, one, or several
(ambiguous). REFUSED is what it reads where the text denies an answer ('definitely not A', 'less than 5') or names one
that it cannot hold ('5 million'): no answer, and none is looked for elsewhere.
"""

import re
from collections.abc import Callable, Iterator

Reader = Callable[[str], tuple[str, ...]]
REFUSED = ""

_HASHES = re.compile(r"####[^\S\n]*([^\n]*)")
_TAG = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)
_PHRASE = re.compile(
    r"\banswers?\b(?:[^\n:=.,;]|\.(?=\d)){0,100}?(?:\b(?:is|are)\b|[:=])[\s:*]*+(?!(?:not|wrong|incorrect)\b)",
    re.IGNORECASE,
)
_SEEKING = re.compile(  # 'to find the final answer: ...' announces work, not an answer
    r"\b(?:find|get|calculat|comput|determin|check|obtain|reach|solv|work)\w*(?:\s+(?:out|for|the|an|our|your|this|final|correct))*\s+$",
    re.IGNORECASE,
)
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
_NOT = (  # directly before a value: 'the number of eggs not sold is 7' denies nothing
    r"(?:\b(?:not|never|cannot|neither|nor|unlikely\s++to)|n['’]t)(?:\s++(?:be|equal\s++to|exactly|just|about))*+"
)
_DENIAL = re.compile(
    rf"(?:{_NOT}|\b(?:less|more|fewer|greater|other)\s+than|\bat\s+(?:least|most))[^\w.,:;!?=]*$", re.IGNORECASE
)
_DENIED_ANSWER = re.compile(  # with its value: 'the answer cannot be negative' denies nothing
    rf"\banswers?\b[^\n:=.,;]{{0,60}}?{_NOT}[^\w.,:;!?=]++(?:[0-9]|(?-i:[A-E])\b)\S*+", re.IGNORECASE
)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|[\n;]")


def markers(text: str) -> Iterator[list[str]]:
    """The texts after explicit markers, strongest kind of marker first; each list is in reading order."""
    if "\\" in text and (boxed := _boxed(text)):
        yield boxed
    if "####" in text:
        yield _HASHES.findall(text)
    if "<" in text and (tagged := _TAG.findall(text)):
        yield tagged
    starts = [
        found
        for found in _PHRASE.finditer(text)
        if not _SEEKING.search(text, max(0, found.start() - 40), found.start())
    ]
    ends = [match.start() for match in starts[1:]] + [len(text)]
    if starts:
        yield [text[match.end() : max(end, match.end())] for match, end in zip(starts, ends, strict=True)]


def stated(text: str, read: Reader) -> tuple[str, ...]:
    """Distinct answers under the strongest explicit marker that has any; () where none does, or REFUSED alone."""
    for tails in markers(text):
        if answers := distinct(answer for tail in tails for answer in read(tail)):
            return tuple(answer for answer in answers if answer != REFUSED) or answers
    return ()


def states(text: str, read: Reader) -> bool:
    """True where an explicit marker names an answer."""
    return any(stated(text, read))


def final(text: str, read: Reader, fallback: Reader) -> str | None:
    """The final answer of a response: an explicit one, else the fallback's; None if missing or ambiguous.

    The fallback sees only what follows the last value that the text says is not the answer.
    """
    answers = stated(text, read) or fallback(_DENIED_ANSWER.split(text)[-1])
    return answers[0] or None if len(answers) == 1 else None


def denied(text: str, start: int) -> bool:
    """True where what begins at `start` is denied by the words right before it: 'not', 'not exactly', 'at most'."""
    return bool(_DENIAL.search(text, max(0, start - 60), start))


def distinct(answers: Iterator[str]) -> tuple[str, ...]:
    """The answers without repetition, in order."""
    return tuple(dict.fromkeys(answers))


def sentence(tail: str) -> str:
    """The tail up to the end of its first sentence or line."""
    tail = tail.lstrip()
    end = _SENTENCE_END.search(tail)
    return tail[: end.start()] if end else tail


def _boxed(text: str) -> list[str]:
    r"""Contents of every \boxed{...} whose braces close; of a nested box, the outer one."""
    contents, position = [], 0
    while match := _BOXED.search(text, position):
        end = _closing(text, match.end())
        if end is None:
            break
        contents.append(text[match.end() : end])
        position = end
    return contents


def _closing(text: str, start: int) -> int | None:
    depth = 1
    for index in range(start, len(text)):
        if text[index] == "{":
            depth += 1
        elif text[index] == "}":
            depth -= 1
            if depth == 0:
                return index
    return None
