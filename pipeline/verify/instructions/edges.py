"""How a response begins and ends, what it repeats, and the comma:
IFEval's, and the first and last word (ours).
"""

import re
from random import Random

from pipeline.verify.instructions.instruction import Arguments, Bound, Kind, Proposed, inside, only
from pipeline.verify.instructions.keywords import absent, another
from pipeline.verify.instructions.text import words

PHRASES = (
    "Is there anything else I can help with?",
    "Any other questions?",
    "I hope this helps.",
    "That is all I have to say.",
    "Let me know what you think.",
)
_PLAIN = re.compile(r"[A-Za-z]+")


def is_quoted(text: str) -> bool:
    """True where the first and the last character are double quotes."""
    text = text.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


def has_two(text: str) -> bool:
    """True where ****** parts two different responses, and nothing else."""
    found = [part.strip() for part in text.split("******")]
    full = [part for part in found if part]
    return all(found[1:-1]) and len(full) == 2 and full[0] != full[1]


def ends_with(response: str, arguments: Arguments) -> bool:
    """True where the response ends with the phrase,
    whatever its case and the quotes around the response.
    """
    return response.strip().strip('"').lower().endswith(arguments["end_phrase"].lower())


def repeats(response: str, arguments: Arguments) -> bool:
    """True where the response begins with the prompt, whatever its case."""
    return response.strip().lower().startswith(arguments["prompt_to_repeat"].lower())


def _end(response: str, want: bool, random: Random) -> Proposed:
    phrases = [phrase for phrase in PHRASES if ends_with(response, {"end_phrase": phrase}) == want]
    return {"end_phrase": random.choice(phrases)} if phrases else None


def _repeat(response: str, want: bool, random: Random) -> Proposed:
    """Only a line that is followed by another: the response itself is not a prompt."""
    first, _, rest = response.strip().partition("\n")
    if want:
        return {"prompt_to_repeat": first.strip()} if first.strip() and rest.strip() else None
    missing = absent(response, 3, random)
    return {"prompt_to_repeat": "Write about " + ", ".join(missing) + "."} if missing else None


def first_word(text: str) -> str:
    """The first word in lower case; empty where there is none."""
    return (words(text) or [""])[0].lower()


def last_word(text: str) -> str:
    """The last word in lower case; empty where there is none."""
    return (words(text) or [""])[-1].lower()


def _word_at(place: str) -> Kind:
    read = first_word if place == "first" else last_word

    def propose(response: str, want: bool, random: Random) -> Proposed:
        own = read(response)
        other = another(response, own, random) or "".join(absent(response, 1, random) or ())
        if want:
            return {"word": own} if _PLAIN.fullmatch(own) else None
        return {"word": other} if other else None

    return Kind(
        f"order:{place}_word",
        lambda r, a: read(r) == a["word"].lower(),
        propose,
        {"word": "text"},
        lambda a: (Bound(f"whole word {a['word'].lower()}", low=1),),
    )


KINDS = (
    Kind("startend:quotation", lambda r, a: is_quoted(r), only(is_quoted)),
    Kind(
        "startend:end_checker",
        ends_with,
        _end,
        {"end_phrase": "text"},
        lambda a: inside(a["end_phrase"]),
    ),
    Kind("combination:two_responses", lambda r, a: has_two(r), only(has_two)),
    Kind(
        "combination:repeat_prompt",
        repeats,
        _repeat,
        {"prompt_to_repeat": "text"},
        lambda a: inside(a["prompt_to_repeat"]),
        excludes=frozenset({"detectable_format:json_format", "format:json_schema"}),
    ),
    Kind(
        "punctuation:no_comma",
        lambda r, a: "," not in r,
        only(lambda r: "," not in r),
        bounds=lambda a: (Bound("letter ,", high=0),),
    ),
    _word_at("first"),
    _word_at("last"),
)
