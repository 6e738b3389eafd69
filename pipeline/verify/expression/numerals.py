"""Numbers as they are written: thousands, decimals, periods, powers of ten, bases, mixed ones."""

from fractions import Fraction

from pipeline.verify.expression.node import Node, number
from pipeline.verify.expression.reader import Reader, Unread


class Numerals(Reader):
    """The rules of numbers."""

    def decimal(self) -> Node:
        """A number with its thousands, its decimals, its period and its power of ten."""
        digits = self.digits()
        whole = digits
        while group := self.thousands(whole):
            digits += group
        if self.raw(0) == "." and self.raw(1).isdigit():
            self.take()
            digits += "." + self.digits()
        elif self.text() == "." and self.raw(1).startswith(("\\overline", "\\bar")):
            self.take()
            digits += "."
        if not digits:
            raise Unread
        if self.text() in (r"\overline", r"\bar") and "." in digits:
            return number(self.periodic(digits))
        if self.text() == "_":
            return self.in_base(digits)
        value = Fraction(digits) * Fraction(10) ** self.ten_power()
        if self.token() and self.token().kind == "digit":  # type: ignore[union-attr]
            return self.mixed(value)
        return self.mixed_fraction(value) if self.text() == r"\frac" else number(value)

    def raw(self, ahead: int) -> str:
        """The text of a token that stands `ahead`, spaces of typesetters counted."""
        at = self._at + ahead
        if at < len(self._tokens) and (ahead == 0 or not self._tokens[at].spaced):
            return self._tokens[at].text
        return ""

    def digits(self) -> str:
        """Digits that stand together."""
        found = ""
        while (one := self.token()) and one.kind == "digit" and not (found and one.spaced):
            if found and self.raw(0) != one.text:
                break  # a typesetter's space: 12 and 345 are two groups
            found += self.take().text
        return found

    def thousands(self, whole: str) -> str:
        """Three digits behind a separator of thousands, or nothing."""
        if not whole or len(whole) > 3 or whole == "0":
            return ""
        for separator in (
            (",", "thin"),
            ("{", ",", "}"),
            ("thin",),
            *(() if self._depth else ((",",),)),
        ):
            at = self._at
            if all(self.is_at(at + i, part) for i, part in enumerate(separator)):
                at += len(separator)
                group = self._tokens[at : at + 3]
                after = self._tokens[at + 3] if at + 3 < len(self._tokens) else None
                if len(group) == 3 and all(one.kind == "digit" for one in group):
                    plain = not group[1].spaced and not group[2].spaced
                    apart = group[0].spaced and separator == (",",)
                    ends = after is None or after.kind != "digit" or after.spaced
                    if plain and not apart and ends:
                        self._at = at + 3
                        return "".join(one.text for one in group)
        return ""

    def is_at(self, at: int, part: str) -> bool:
        """True where a token with that text stands at a place."""
        if at >= len(self._tokens):
            return False
        found = self._tokens[at]
        return found.kind == "thin" if part == "thin" else found.text == part and not found.spaced

    def ten_power(self) -> int:
        """The exponent of 2.5e3; 0 where there is none."""
        found = self.token()
        if not found or found.text not in ("e", "E") or found.spaced:
            return 0
        sign = self.raw(1) if self.raw(1) in ("-", "+") else ""
        if not self.raw(1 + len(sign)).isdigit():
            return 0
        for _ in range(1 + len(sign)):
            self.take()
        digits = self.digits()
        if len(digits) > 3:
            raise Unread
        return int(sign + digits)

    def periodic(self, digits: str) -> Fraction:
        r"""0.1\overline{6}: what is overlined repeats."""
        self.take()
        self.expect("{")
        period = self.digits()
        self.expect("}")
        if not period:
            raise Unread
        places = len(digits.partition(".")[2])
        fixed = Fraction(digits if places else digits + "0")
        return fixed + Fraction(int(period), (10 ** len(period) - 1) * 10**places)

    def in_base(self, digits: str) -> Node:
        """4210_5."""
        self.take()
        braces = self.skip("{")
        base = self.digits()
        if braces:
            self.expect("}")
        if not base or not 2 <= int(base) <= 36 or (self.token() and self.token().kind == "digit"):  # type: ignore[union-attr]
            raise Unread
        try:
            return Node("base", name=base, value=Fraction(int(digits, int(base))))
        except ValueError as error:
            raise Unread from error

    def mixed(self, whole: Fraction) -> Node:
        """2 1/2, whose parts stand apart."""
        apart = self.token()
        over = self.digits()
        if apart is None or not apart.spaced or not self.skip("/") or not (under := self.digits()):
            raise Unread
        return _mixed(whole, int(over), int(under))

    def mixed_fraction(self, whole: Fraction) -> Node:
        r"""2\frac{1}{2}; 2\frac{x}{3} is a product."""
        self.take()
        part = self.fraction()
        over, under = part.parts
        if over.kind == "num" and under.kind == "num":
            assert over.value is not None and under.value is not None
            return _mixed(whole, over.value, under.value)
        return Node("mul", (number(whole), part))


def _mixed(whole: Fraction, over: Fraction | int, under: Fraction | int) -> Node:
    if whole.denominator != 1 or not 0 < over < under:
        raise Unread
    return number(whole + Fraction(over) / Fraction(under), "mixed")
