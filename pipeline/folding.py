"""Texts folded for comparison: what readers take for the same text is the same text.

Folding is for comparing only. What is stored stays as it came.

Unicode's compatibility form (NFKC, Unicode Standard Annex 15) makes one text of composed and
decomposed letters, of full-width and plain digits, of ligatures and their letters. Code points that
nobody sees (Default_Ignorable_Code_Point of the Unicode Character Database: zero-width spaces, soft
hyphens, variation selectors) are left out. Quotes and dashes of every kind are one kind each: our
choice. Raised and lowered digits stay apart from plain ones, since 3² is not 32: our choice too.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping

from pipeline.ids import content_id

# Default_Ignorable_Code_Point, both ends included.
_IGNORABLE = (
    (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5),
    (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164),
    (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
_DOUBLE = "“”„‟«»″‶〝〞〟＂❝❞"
_SINGLE = "‘’‚‛‹›′‵ʼʹ＇❛❜"
_MINUS = "−⁃˗➖"  # dashes that Unicode does not count as such
_RAISED = re.compile(r"[⁰¹²³⁴-⁹]+")
_LOWERED = re.compile(r"[₀-₉]+")


class _Table(dict[int, str | None]):
    """What stands for a code point, null for nothing; looked up as texts bring them."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        found = "-" if unicodedata.category(character) == "Pd" else character
        self[code] = found
        return found


_TABLE = _Table({code: None for low, high in _IGNORABLE for code in range(low, high + 1)})
_TABLE.update({ord(mark): '"' for mark in _DOUBLE} | {ord(mark): "'" for mark in _SINGLE})
_TABLE.update({ord(mark): "-" for mark in _MINUS})


def folded(text: str, *, case: bool = True) -> str:
    """The text as it is compared: equal for texts that look the same.

    Args:
        text: any text.
        case: whether capitals are other letters; false: "A" is "a".
    """
    if not text.isascii():
        text = _LOWERED.sub(r"_\g<0>", _RAISED.sub(r"^\g<0>", text.translate(_TABLE)))
        text = unicodedata.normalize("NFKC", text).translate(_TABLE)
    if case:
        return text
    return text.casefold() if text.isascii() else unicodedata.normalize("NFKC", text.casefold())


def turns_id(messages: Iterable[Mapping[str, str]]) -> str:
    """A hash of what is asked, whatever the answer: of the turns as they are compared."""
    return content_id([(turn["role"], folded(turn["content"])) for turn in messages])
