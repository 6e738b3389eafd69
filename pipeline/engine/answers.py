"""Which of a few words a reply answers with, and how likely each of them was.

A chat server gives a text, and some give the likeliest tokens at each of its places. Where they
are given, the words' probabilities at the place of the answer are read: those of a word's spellings
are added up (blanks around it; capitals where it has several letters, since "a" is an article), and
a word that is not listed has no more than the listed ones leave (`shared_rest`). Else the word that
was said has probability 1.

A text answers with a word (our choice, symmetric in the words) where it is that word and marks
alone; where it begins with it and a stop or a line's end follows; or where no other of the words
stands in it, and this one is a number or has several letters, or is the last of its clause, or is
named ("Response A"). Any other text is no answer.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.engine.base import RequestFailed, shares

MARKS = " \t\r\n*_`'\"()[]{}<>.:;,!?#-"
QUOTED = 60  # characters of a reply in a reason
_END = r"""(?=[ \t]*(?:$|[.:;!?)\]}*_"'`\n]))"""
_NAMED = r"(?:response|answer|option|choice|verdict|assistant)\W+(?:is\W+)?$"


@dataclass(frozen=True)
class Place:
    """A token of a reply: its bytes, and (token, log-probability) of the likeliest in its place."""

    said: bytes
    likeliest: Sequence[tuple[str, float]]


@dataclass(frozen=True)
class Answer:
    """shares: of the words among themselves. mass: what they have of the whole probability, as far
    as it is listed; null where only the text was read.
    """

    shares: list[float]
    mass: float | None


def answer_of(text: str, places: Sequence[Place], words: Sequence[str]) -> Answer:
    """The words' probabilities by a reply, whose tokens are `places`, if they are known.

    Raises:
        RequestFailed: the reply answers with none of them.
    """
    bare = [word.strip() for word in words]
    places = [] if begins_another(bare) is not None else _behind_thought(text, places)
    lettered = [one for one in places if _has_letters(one.said)]
    # A first token of several may be an article: "A good answer is B".
    place = lettered[0] if len(lettered) == 1 else None
    if place is None or not _is_one_of(place, bare):
        word, at = _said(text, bare)
        place = _place_at(places, len(text[:at].encode()))
        if place is None or not _spells(place.said.decode(errors="replace"), word):
            return Answer([float(one == word) for one in bare], None)
    return _by_likelihood(place, bare)


def begins_another(words: Sequence[str]) -> str | None:
    """A word that another begins with, such as 1 and 10: its first token may be the other's."""
    return next(
        (a for i, a in enumerate(words) for j, b in enumerate(words) if i != j and b.startswith(a)),
        None,
    )


def shared_rest(listed: Sequence[float], missing: int) -> float:
    """Log-probability, in nats, that each of the missing words is taken to have.

    `listed` are the log-probabilities of the likeliest tokens. None of the missing words has more
    than the least likely of them, and all have together no more than these leave: they are given as
    much as both bounds allow (our choice), so that a listed word never looks surer than it is.
    """
    left = max(0.0, 1 - sum(map(math.exp, listed)))
    bound = min(math.exp(min(listed)), left / missing)
    return math.log(bound) if bound > 0 else -math.inf


def _by_likelihood(place: Place, words: Sequence[str]) -> Answer:
    spelled = [
        [logprob for token, logprob in place.likeliest if _spells(token, word)] for word in words
    ]
    listed = [sum(map(math.exp, found)) for found in spelled]
    missing = sum(not found for found in spelled)
    rest = shared_rest([logprob for _, logprob in place.likeliest], missing) if missing else 0.0
    each = [math.log(p) if p > 0 else rest for p in listed]
    return Answer(shares([min(0.0, one) for one in each], words), min(1.0, sum(listed)))


def _said(text: str, words: Sequence[str]) -> tuple[str, int]:
    """The word that a text answers with, and where it stands.

    Raises:
        RequestFailed: it answers with none of them.
    """
    alone = text.strip(MARKS)
    for word in words:
        if alone.casefold() == word.casefold():
            return word, text.index(alone)
    first = re.search(r"\w", text)
    found = [(word, one) for word in words for one in re.finditer(_alone(word), text)]
    for word, one in found:
        comma = len(word) > 1 and text[one.end() : one.end() + 1] == ","
        if first and one.start() == first.start() and (comma or _ends(text, one.end())):
            return word, one.start()
    telling = [(word, one.start()) for word, one in found if _tells(word, one, text)]
    if len({word for word, _ in found}) == 1 and telling:
        return telling[0]
    short = " ".join(text.split())
    short = short if len(short) <= QUOTED else short[: QUOTED - 1] + "…"
    raise RequestFailed(f"the reply {short!r} answers with none of {', '.join(words)}")


def _alone(word: str) -> str:
    """A pattern of a word that stands alone; of a number, that is no part of a longer one."""
    if word.isdigit():
        return rf"(?<![\w.,-]){re.escape(word)}(?!\w|[.,]\d)"
    any_case = "" if len(word) == 1 else "(?i:"
    return rf"(?<!\w){any_case}{re.escape(word)}{')' if any_case else ''}(?!\w)"


def _ends(text: str, at: int) -> bool:
    return re.match(_END, text[at:]) is not None


def _tells(word: str, found: re.Match[str], text: str) -> bool:
    """Whether a word that stands alone is meant: a letter may be an article."""
    if len(word) > 1 or word.isdigit() or _ends(text, found.end()):
        return True
    return re.search(_NAMED, text[: found.start()], re.IGNORECASE) is not None


def _spells(token: str, word: str) -> bool:
    bare = token.strip()
    return bare == word or (len(word) > 1 and bare.casefold() == word.casefold())


def _is_one_of(place: Place, words: Sequence[str]) -> bool:
    return any(_spells(place.said.decode(errors="replace"), word) for word in words)


def _has_letters(said: bytes) -> bool:
    return re.search(r"\w", said.decode(errors="replace")) is not None


def _behind_thought(text: str, places: Sequence[Place]) -> list[Place]:
    """The tokens of the text itself: a server may list those of a thought before it, too."""
    start = b"".join(place.said for place in places).rfind(text.encode())
    found, at = [], 0
    for place in places:
        if start >= 0 and at + len(place.said) > start:
            found.append(place)
        at += len(place.said)
    return found


def _place_at(places: Sequence[Place], at: int) -> Place | None:
    """The token that holds the byte `at`."""
    for place in places:
        at -= len(place.said)
        if at < 0:
            return place
    return None
