"""Words in formulas: units, answers in words, letters that are multiplied."""

import re

from pipeline.verify.characters import CURRENCIES
from pipeline.verify.expression.node import Node, has_kind
from pipeline.verify.expression.numerals import Numerals
from pipeline.verify.expression.reader import Refused, Unread
from pipeline.verify.expression.tokens import Token
from pipeline.verify.language import BEHIND_UNITS, either, pattern, words

_SHORT_UNITS = frozenset(
    "cm mm km nm kg mg ml kl ft yd mi hr hrs min sec lb lbs oz mph kph kmh gal rad deg".split()
)
AND = words("conjunction", "alternative")
NO_UNIT = words("scale", "denial", "bound", "wrong")
_BEHIND = re.compile(pattern("behind"))
_BEHIND_UNITS = re.compile(either(BEHIND_UNITS))
_PHRASES = tuple(word for word in words("bound", "denial") if " " in word)


class Texts(Numerals):
    """The rules of words."""

    def is_letters(self, before: Node | None) -> bool:
        """True where the next word is letters that are multiplied, and not a word or a unit."""
        found = self.token()
        assert found
        if (
            not found.text.isascii()
            or len(found.text) > 3
            or found.text.lower() in AND - {"a", "y", "o", "u"}
        ):
            return False
        if before is None or not found.spaced or len(found.text) == 1:
            return True
        return found.text not in _SHORT_UNITS and before.kind not in ("num", "mixed")

    def measured(self, value: Node) -> Node:
        """The value with its unit: a per cent sign, a currency, degrees, a text, words."""
        found = self.token()
        if found and (found.text == "%" or found.text in CURRENCIES) and found.kind != "text":
            self.take()
            value = Node("unit", (value,), "percent" if found.text == "%" else "money")
            found = self.token()
        said = []
        while found and self.is_unit(found, value):
            said.append(self.take().text)
            if self.skip("^"):
                self.exponent()  # of the unit: cm^2
            if self.text() == "/" and (after := self.token(1)) and after.kind in ("text", "word"):
                said.append(self.take().text)
            found = self.token()
        if not said:
            return value
        unit = " ".join(said).lower()
        if set(unit.replace("-", " ").split()) & NO_UNIT or any(map(unit.__contains__, _PHRASES)):
            raise Refused
        if _BEHIND.match(unit) or _BEHIND_UNITS.search(unit):  # 5 squared, and not 5 cm squared
            raise Refused
        if any(letter.isdigit() or letter in "?？" for letter in unit):
            raise Unread
        return Node("unit", (value,), "text")

    def is_unit(self, found: Token, value: Node) -> bool:
        """True of a text behind any value, and of a word of several letters behind a number."""
        if found.kind not in ("text", "word") or found.text.lower().strip(" ,") in AND:
            return False
        return found.kind == "text" or (len(found.text) > 1 and not has_kind(value, "sym", "text"))

    def is_said(self) -> bool:
        """True where the rest is words only, of which one is longer than two letters."""
        rest = [token for token in self._tokens[self._at :] if token.kind != "thin"]
        said = all(token.kind in ("word", "text") or token.text in "-'." for token in rest)
        return said and any(len(token.text) > 2 for token in rest)

    def said(self) -> Node:
        """A text that is the answer.

        Letters in it may be parted by spaces, hyphens, apostrophes.
        """
        said = [self.take().text]
        while (found := self.token()) and (
            (found.kind in ("word", "text") and found.text.lower() not in AND)
            or (found.text in ("-", "'", "’") and self.token(1) and self.token(1).kind == "word")  # type: ignore[union-attr]
        ):
            said.append(self.take().text)
        text = " ".join(said).lower()
        spoken = set(text.replace("-", " ").split())
        numbered = (found := self.token()) is not None and (
            found.kind == "digit" or found.text == "."
        )
        if (spoken & NO_UNIT or any(map(text.__contains__, _PHRASES))) and numbered:
            raise Refused
        if numbered:
            return Node("text", name=f"{plain_text(text)} {self.digits()}")
        return Node("text", name=plain_text(text))

    def part_letters(self) -> None:
        """Makes a token of each letter of the next word: xy is x times y."""
        word = self.take()
        parts = [Token("word", letter, word.spaced and not i) for i, letter in enumerate(word.text)]
        self._tokens[self._at - 1 : self._at] = parts
        self._at -= 1

    def skip_degree(self) -> bool:
        """Moves over \\circ or {\\circ}."""
        if self.skip(r"\circ"):
            return True
        if self.text() == "{" and (after := self.token(1)) and after.text in (r"\circ", "°"):
            self.take()
            self.take()
            self.expect("}")
            return True
        return False

    def skip_ordinal(self) -> bool:
        """Moves over the letters of 5^{th}."""
        ahead = 1 if self.text() == "{" else 0
        found = self.token(ahead)
        if found is None or found.text not in ("th", "st", "nd", "rd"):
            return False
        for _ in range(ahead + 1):
            self.take()
        if ahead:
            self.expect("}")
        return True


def plain_text(text: str) -> str:
    """A text as it is compared: no brackets around it, single spaces, no case."""
    return " ".join(text.strip(" .()\"'").split()).casefold()
