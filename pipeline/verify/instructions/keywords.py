"""Words and letters that must, or must not, be in the response (IFEval's four),
and the order of words (ours).

IFEval reads a keyword as a regular expression; here it is plain text. A keyword may be part of a
longer word, a forbidden word is a whole one, and neither depends on case: as in IFEval.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from random import Random

from pipeline.verify.instructions.counts import compared
from pipeline.verify.instructions.instruction import Arguments, Bound, Kind, Proposed

# Common words of our own choosing: of these are the keywords that a response lacks.
VOCABULARY = tuple((Path(__file__).parent / "vocabulary.txt").read_text(encoding="utf-8").split())
_LETTERS = re.compile(r"(?<![\w'’])[a-z]{2,12}(?![\w'’])")
_PLAIN = re.compile(r"(?<![\w'’])[A-Za-z]{4,12}(?![\w'’])")


def occurrences(text: str, keyword: str) -> int:
    """How often a keyword stands in a text, inside words too, whatever its case."""
    return len(re.findall(re.escape(keyword), text, re.IGNORECASE))


def has_word(text: str, word: str) -> bool:
    """True where the text has the word as a whole one, whatever its case."""
    return bool(re.search(r"\b" + re.escape(word) + r"\b", text, re.IGNORECASE))


def plain_words(text: str) -> list[str]:
    """The different words of 4 to 12 plain letters in lower case, sorted:
    those that may become keywords.
    """
    return sorted({word.lower() for word in _PLAIN.findall(text)})


def present(response: str, n: int, random: Random) -> list[str] | None:
    """n words of the response;
    at most a fifth of those it has, so that keywords do not spell it out (our choice).
    """
    known = plain_words(response)
    return random.sample(known, n) if known and n <= max(1, len(known) // 5) else None


def absent(response: str, n: int, random: Random, like: Sequence[str] = ()) -> list[str] | None:
    """n common words that the response does not have, not even inside a word;
    as long as those of `like`, if any.
    """
    free = [
        word
        for word in random.sample(VOCABULARY, len(VOCABULARY))
        if not occurrences(response, word)
    ]
    found: list[str] = []
    for place in range(n):
        length = len(like[place]) if place < len(like) else 0
        found += sorted(
            (word for word in free if word not in found),
            key=lambda word: length and abs(len(word) - length),
        )[:1]
    return found if len(found) == n else None


def another(response: str, word: str | None, random: Random) -> str | None:
    """A word of the response that is not this one, as near to its length as there is;
    so that length tells nothing.
    """
    others = [other for other in sorted(set(_LETTERS.findall(response.lower()))) if other != word]
    random.shuffle(others)
    return min(others, key=lambda other: abs(len(other) - len(word or "")), default=None)


def _drawn(response: str, random: Random) -> tuple[list[str] | None, list[str] | None]:
    """One or two words that the response has, and as many of the same length that it lacks."""
    n = random.choice((1, 1, 2))
    found = present(response, n, random)
    return found, absent(response, n, random, found or ())


def _existence(response: str, want: bool, random: Random) -> Proposed:
    has, lacks = _drawn(response, random)
    found = has if want else lacks
    return {"keywords": found} if found else None


def _forbidden(response: str, want: bool, random: Random) -> Proposed:
    has, lacks = _drawn(response, random)
    found = lacks if want else has
    return {"forbidden_words": found} if found else None


def _keyword(response: str, random: Random) -> Proposed:
    own = random.random() < 0.5
    found = present(response, 1, random) if own else absent(response, 1, random)
    return {"keyword": found[0]} if found else None


def _quantity(word: str) -> str:
    return f"word {word.lower()}"


def _letter(response: str, random: Random) -> Proposed:
    return {"letter": random.choice("abcdefghijklmnopqrstuvwxyz")}


def in_order(response: str, arguments: Arguments) -> bool:
    """True where the words first appear in the order given, all of them."""
    matches = [
        re.search(r"\b" + re.escape(word) + r"\b", response, re.IGNORECASE)
        for word in arguments["words"]
    ]
    places = [match.start() for match in matches if match]
    return len(places) == len(matches) and all(
        a < b for a, b in zip(places, places[1:], strict=False)
    )


def _order(response: str, want: bool, random: Random) -> Proposed:
    found = present(response, 2, random)
    if found is None:
        return None
    return {"words": found if in_order(response, {"words": found}) == want else found[::-1]}


KINDS = (
    Kind(
        "keywords:existence",
        lambda r, a: all(occurrences(r, keyword) for keyword in a["keywords"]),
        _existence,
        {"keywords": "texts"},
        lambda a: tuple(Bound(_quantity(word), low=1) for word in a["keywords"]),
    ),
    Kind(
        "keywords:forbidden_words",
        lambda r, a: not any(has_word(r, word) for word in a["forbidden_words"]),
        _forbidden,
        {"forbidden_words": "texts"},
        lambda a: tuple(Bound("whole " + _quantity(word), high=0) for word in a["forbidden_words"]),
    ),
    compared(
        "keywords:frequency",
        lambda r, a: occurrences(r, a["keyword"]),
        "frequency",
        pick=_keyword,
        more={"keyword": "text"},
        quantity=lambda a: _quantity(a["keyword"]),
    ),
    compared(
        "keywords:letter_frequency",
        lambda r, a: r.lower().count(a["letter"].lower()),
        "let_frequency",
        "let_relation",
        pick=_letter,
        more={"letter": "text"},
        quantity=lambda a: f"letter {a['letter'].lower()}",
    ),
    Kind(
        "order:words",
        in_order,
        _order,
        {"words": "texts"},
        lambda a: tuple(Bound("whole " + _quantity(word), low=1) for word in a["words"]),
    ),
)
