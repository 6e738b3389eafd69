"""The language of a response (library: py3langid), its case, and tone where words alone decide it.

IFEval's are response_language, english_capital and english_lowercase. Its reference uses
langdetect, which draws at random and is no longer kept up; py3langid gives the same answer every
time. Of texts without a letter no language is known, and then IFEval counts the language as right:
so do we, and also where a text, such as a single word, may as well be in that language as in the
likeliest one.
"""

import re
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING

from pipeline.verify.instructions.instruction import Bound, Kind, Proposed, only

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

LANGUAGES = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "cs": "Czech", "da": "Danish",
    "de": "German", "el": "Greek", "en": "English", "es": "Spanish", "fa": "Persian",
    "fi": "Finnish", "fr": "French", "gu": "Gujarati", "he": "Hebrew", "hi": "Hindi",
    "hu": "Hungarian", "id": "Indonesian", "it": "Italian", "ja": "Japanese", "kn": "Kannada",
    "ko": "Korean", "ml": "Malayalam", "mr": "Marathi", "ne": "Nepali", "nl": "Dutch",
    "no": "Norwegian", "pa": "Punjabi", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian",
    "ru": "Russian", "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "te": "Telugu", "th": "Thai",
    "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
_ALIASES = {"zh-cn": "zh", "zh-tw": "zh"}
_SURE = 0.9  # probability from which an instruction may be built on a detected language; our choice
# share of the likeliest language's probability from which another may be meant as well; our choice
_AS_WELL = 0.5
_WE = ("i", "me", "my", "mine", "myself", "we", "us", "our", "ours", "ourselves")
_FIRST_PERSON = re.compile(rf"\b(?:{'|'.join(_WE)})\b", re.IGNORECASE)
_CONTRACTION = re.compile(
    r"\b(?:\w+n['’]t|(?:I|you|we|they|he|she|it|that|there|what|who|let)['’](?:m|re|ve|ll|d|s))\b",
    re.IGNORECASE,
)


@lru_cache(maxsize=1)
def _identifier() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(sorted(LANGUAGES))
    return identifier


@lru_cache(maxsize=1024)
def _shares(text: str) -> dict[str, float]:
    """Probabilities in [0, 1] of LANGUAGES by code, the likeliest first;
    none of a text without letters.
    """
    if not any(letter.isalpha() for letter in text):
        return {}
    return {str(code): float(share) for code, share in _identifier().rank(text.lower())}


def detect(text: str) -> tuple[str | None, float]:
    """(code of the likeliest language, its probability in [0, 1]);
    (None, 0) of a text without letters.
    """
    return next(iter(_shares(text).items()), (None, 0.0))


def is_in(text: str, language: str) -> bool:
    """True where the text may be in that language:
    the likeliest, one not much less likely, or none can be told.
    """
    shares = _shares(text)
    return not shares or shares[_ALIASES.get(language, language)] >= _AS_WELL * max(shares.values())


def is_capital(text: str) -> bool:
    """English without a lower-case letter."""
    return text.isupper() and is_in(text, "en")


def is_lowercase(text: str) -> bool:
    """English without an upper-case letter."""
    return text.islower() and is_in(text, "en")


def is_impersonal(text: str) -> bool:
    """True without I, we and their forms."""
    return not _FIRST_PERSON.search(text)


def is_uncontracted(text: str) -> bool:
    """True without don't, it's, we'll and the like; a noun's possessive (Tom's) is none."""
    return not _CONTRACTION.search(text)


def name_of(language: str) -> str:
    """The English name of a language code."""
    return LANGUAGES[_ALIASES.get(language, language)]


def _language(response: str, want: bool, random: Random) -> Proposed:
    other = random.choice([code for code in sorted(LANGUAGES) if code != detect(response)[0]])
    own, probability = detect(response)
    if own is None or probability < _SURE:
        return None
    return {"language": own if want else other}


def _unknown(language: str) -> str | None:
    known = _ALIASES.get(language, language) in LANGUAGES
    return None if known else f"language {language!r} is unknown: use one of {', '.join(LANGUAGES)}"


def _code(language: str) -> tuple[Bound, ...]:
    """A language as a number, so that two languages contradict each other."""
    place = sorted(LANGUAGES).index(_ALIASES.get(language, language))
    return (Bound("language", place, place),)


KINDS = (
    Kind(
        "language:response_language",
        lambda r, a: is_in(r, a["language"]),
        _language,
        {"language": "text"},
        lambda a: _code(a["language"]),
        lambda a: _unknown(a["language"]),
    ),
    Kind(
        "change_case:english_capital",
        lambda r, a: is_capital(r),
        only(is_capital),
        bounds=lambda a: _code("en"),
        excludes=frozenset(
            {"change_case:english_lowercase", "detectable_format:constrained_response"}
        ),
    ),
    Kind(
        "change_case:english_lowercase",
        lambda r, a: is_lowercase(r),
        only(is_lowercase),
        bounds=lambda a: (*_code("en"), Bound("change_case:capital_word_frequency", high=0)),
        excludes=frozenset({"detectable_format:constrained_response"}),
    ),
    Kind("language:ascii", lambda r, a: r.isascii(), only(str.isascii)),
    Kind(
        "tone:no_first_person",
        lambda r, a: is_impersonal(r),
        only(is_impersonal),
        bounds=lambda a: tuple(Bound(f"whole word {word}", high=0) for word in _WE),
    ),
    Kind("tone:no_contractions", lambda r, a: is_uncontracted(r), only(is_uncontracted)),
)
