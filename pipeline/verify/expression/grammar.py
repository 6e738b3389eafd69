r"""From a formula to a Node, by a grammar over the whole text: what it has no rule for is not read.

Our choices: 2\frac{1}{2} and 2 1/2 are two and a half; 10^12 is ten to the twelfth; a text or a
word behind a value is its unit; 12,345 is one number outside brackets; 4210_5 is a number in base
5; \sin 2x is the sine of 2x; f(2) is f times 2 on both sides of a comparison.
"""

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

from pipeline.verify.expression.node import Node, has_kind, number
from pipeline.verify.expression.tokens import Token, tokens
from pipeline.verify.language import words

LONGEST = 400  # characters of a formula that is read
_DEEPEST = 40  # brackets in brackets
_FUNCTIONS = frozenset("sin cos tan cot sec csc sinh cosh tanh arcsin arccos arctan log ln lg exp".split())
_CONSTANTS = {r"\pi": "pi", "pi": "pi", r"\infty": "oo", "infinity": "oo", "inf": "oo"}
_SYMBOLS = frozenset(
    r"\alpha \beta \gamma \delta \epsilon \varepsilon \zeta \eta \theta \vartheta \iota \kappa "
    r"\lambda \mu \nu \xi \rho \sigma \tau \upsilon \phi \varphi \chi \psi \omega \Gamma \Delta "
    r"\Theta \Lambda \Xi \Pi \Sigma \Phi \Psi \Omega \ell \hbar \emptyset".split()
)
_BLACKBOARD = frozenset({r"\mathbb", r"\mathcal", r"\mathbf", r"\vec", r"\hat", r"\mathrm"})
_RELATIONS = {
    "=": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", r"\neq": "!=", r"\in": "in",
    r"\approx": "~", r"\sim": "~", r"\equiv": "==", ":": ":", r"\to": "->", r"\rightarrow": "->",
    r"\mapsto": "->", r"\subset": "sub", r"\subseteq": "sub=", r"\Rightarrow": "=>",
}  # fmt: skip
_SETS = {r"\cup": "|", r"\cap": "&", r"\setminus": "-"}
_TIMES = frozenset({r"\cdot", r"\times", "*"})
_OVER = frozenset({"/", r"\div"})
_OPEN = {"(": ")", "[": "]"}
_CURRENCIES = frozenset("$€£¥₹₩₽¢")
_MATRICES = frozenset("matrix pmatrix bmatrix Bmatrix smallmatrix array".split())
_SHORT_UNITS = frozenset("cm mm km nm kg mg ml kl ft yd mi hr hrs min sec lb lbs oz mph kph kmh gal rad deg".split())
_AND = words("conjunction", "alternative")
_NO_UNIT = words("scale", "denial", "bound", "wrong")


class Unread(Exception):
    """The grammar has no rule for this text."""


class Refused(Exception):
    """The text is a number that does not stand for itself: 5 million, at least 5."""


@lru_cache(maxsize=16384)
def parse(text: str) -> Node | None:
    """The expression that the whole text is; None where the grammar has no rule for a part of it.

    Raises:
        Refused: the text denies its value, bounds it, or gives a part of it.
    """
    if len(text) > LONGEST:
        return None
    reader = _Reader(tokens(text))
    try:
        node = reader.statement()
        reader.skip(".")
        reader.skip("。")
    except Unread:
        return None
    return node if reader.at_end() else None


class _Reader:
    """A recursive descent over the tokens; each method reads one rule and says what it is."""

    def __init__(self, given: list[Token]) -> None:
        self._tokens = given
        self._at = 0
        self._depth = 0  # of brackets in which a comma parts two values
        self._bars = 0  # of |x| that are open
        self._nested = 0

    # What stands here.

    def token(self, ahead: int = 0) -> Token | None:
        """The next token that is not a typesetter's space."""
        at = self._at
        while at < len(self._tokens):
            if self._tokens[at].kind != "thin":
                if ahead == 0:
                    return self._tokens[at]
                ahead -= 1
            at += 1
        return None

    def text(self) -> str:
        """The next token's text; empty at the end."""
        found = self.token()
        return found.text if found and found.kind != "text" else ""

    def take(self) -> Token:
        """Moves on by one token."""
        while self._at < len(self._tokens) and self._tokens[self._at].kind == "thin":
            self._at += 1
        if self._at == len(self._tokens):
            raise Unread
        self._at += 1
        return self._tokens[self._at - 1]

    def skip(self, text: str) -> bool:
        """Moves over a token with that text, where it is the next one."""
        if not text or self.text() != text:
            return False
        self.take()
        return True

    def expect(self, text: str) -> None:
        if not self.skip(text):
            raise Unread

    def at_end(self) -> bool:
        return self.token() is None

    def inside(self, rule: Callable[[], Node], commas: bool) -> Node:
        """Reads a rule inside brackets; `commas`: a comma there never belongs to a number."""
        self._nested += 1
        if self._nested > _DEEPEST:
            raise Unread
        bars, self._bars = self._bars, 0
        self._depth += commas
        found = rule()
        self._depth -= commas
        self._bars = bars
        self._nested -= 1
        return found

    # Lists and relations.

    def statement(self) -> Node:
        """One relation, or several that are parted by commas, semicolons, 'and' or 'or'."""
        found = [self.relation()]
        while self.between():
            found.append(self.relation())
        return found[0] if len(found) == 1 else Node("list", tuple(found))

    def between(self) -> bool:
        """Moves over what parts two values; a comma and a word ('2, and 3') are one."""
        parted = self.skip(",") or self.skip(";") or self.skip("，") or self.skip("、")
        found = self.token()
        if found and found.kind in ("text", "word") and found.text.lower().strip(" ,") in _AND:
            if found.kind == "word" and len(found.text) == 1:
                return parted  # y is a letter here
            self.take()
            return True
        return parted

    def relation(self) -> Node:
        sides, signs = [], []
        if self.text() in _RELATIONS and self.text() not in ("=", ":"):
            sides.append(Node("text"))
        else:
            sides.append(self.union())
        while sign := self.relation_sign():
            signs.append(sign)
            sides.append(self.union())
        return Node("rel", tuple(sides), " ".join(signs)) if signs else sides[0]

    def relation_sign(self) -> str:
        """Moves over a sign of a relation. 'x != 5' is one too, 'n!=120' is n! = 120."""
        found, after = self.token(), self.token(1)
        if found and after and found.text == "!" and found.spaced and after.text == "=":
            self.take()
            self.take()
            return "!="
        return _RELATIONS[self.take().text] if self.text() in _RELATIONS else ""

    def union(self) -> Node:
        found = self.sum()
        while self.text() in _SETS:
            sign = _SETS[self.take().text]
            found = Node("setop", (found, self.sum()), sign)
        return found

    # Arithmetic.

    def sum(self) -> Node:
        found = self.signed()
        while self.text() in ("+", "-", r"\pm", r"\mp"):
            sign, right = self.take().text, self.term()
            if sign in ("+", "-"):
                found = Node("add", (found, right if sign == "+" else Node("neg", (right,))))
            else:
                found = Node("pm" if sign == r"\pm" else "mp", (found, right))
        return found

    def signed(self) -> Node:
        if self.skip("-"):
            return _negative(self.term())
        if self.skip(r"\pm"):
            return Node("pm", (number(0), self.term()))
        self.skip("+")
        return self.term()

    def term(self) -> Node:
        currency = self.skip_currency()
        if currency and self.skip("-"):
            return self.measured(_negative(self.product()))
        found = self.measured(self.product())
        return Node("unit", (found,), "money") if currency and found.kind != "unit" else found

    def skip_currency(self) -> bool:
        if self.text() in _CURRENCIES:
            self.take()
            return True
        return False

    def product(self) -> Node:
        found = self.power()
        while True:
            sign = self.text()
            if sign in _TIMES:
                self.take()
                found = _times(found, self.factor(), sign)
            elif sign in _OVER:
                self.take()
                found = Node("div", (found, self.factor()))
            elif self.starts_factor(found):
                found = Node("mul", (found, self.power()))
            else:
                return found

    def factor(self) -> Node:
        return _negative(self.power()) if self.skip("-") else self.power()

    def starts_factor(self, before: Node) -> bool:
        """True where a factor follows without a sign; a word behind a value is its unit."""
        found = self.token()
        if found is None or found.kind in ("digit", "text", "begin", "end"):
            return False
        if found.kind == "word":
            return found.text in _FUNCTIONS or found.text in ("pi", "sqrt") or self.is_letters(before)
        if found.text == "|":
            return self._bars == 0
        known = found.text in _SYMBOLS or found.text in _CONSTANTS or found.text[1:] in _FUNCTIONS
        return (
            known
            or found.text in ("(", "{", r"\frac", r"\sqrt", r"\surd", r"\binom")
            or (found.text in _BLACKBOARD or found.text.startswith(r"\mathbf") or found.text == r"\lfloor")
        )

    def is_letters(self, before: Node | None) -> bool:
        """True where the next word is letters that are multiplied, and not a word or a unit."""
        found = self.token()
        assert found
        if not found.text.isascii() or len(found.text) > 3 or found.text.lower() in _AND - {"a", "y", "o", "u"}:
            return False
        if before is None or not found.spaced or len(found.text) == 1:
            return True
        return found.text not in _SHORT_UNITS and before.kind not in ("num", "mixed")

    def measured(self, value: Node) -> Node:
        """The value with its unit: a per cent sign, a currency, degrees, a text, words."""
        found = self.token()
        if found and (found.text == "%" or found.text in _CURRENCIES) and found.kind != "text":
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
        if set(unit.replace("-", " ").split()) & _NO_UNIT or any(map(unit.__contains__, _PHRASES)):
            raise Refused
        if any(letter.isdigit() for letter in unit):
            raise Unread
        return Node("unit", (value,), "text")

    def is_unit(self, found: Token, value: Node) -> bool:
        """True of a text behind any value, and of a word of several letters behind a number."""
        if found.kind not in ("text", "word") or found.text.lower().strip(" ,") in _AND:
            return False
        return found.kind == "text" or (len(found.text) > 1 and not has_kind(value, "sym", "text"))

    def power(self) -> Node:
        found = self.postfix(self.atom())
        if not self.skip("^"):
            return found
        if self.skip_degree():
            return Node("unit", (found,), "degree")
        if found.kind == "num" and self.skip_ordinal():
            return Node("unit", (found,), "text")
        return self.postfix(Node("pow", (found, self.exponent())))

    def postfix(self, found: Node) -> Node:
        """Factorials and degrees behind a value."""
        mark, after = self.token(), self.token(1)
        if mark and mark.text == "!" and not (after and after.text == "!"):
            if not (mark.spaced and after and after.text == "="):
                self.take()
                return Node("fact", (found,))
        return Node("unit", (found,), "degree") if self.skip("°") else found

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

    def exponent(self) -> Node:
        if self.text() == "{":
            return self.group()
        negative = self.skip("-")
        found = self.atom()
        return _negative(found) if negative else found

    # Atoms.

    def atom(self) -> Node:
        found = self.token()
        if found is None:
            raise Unread
        if found.kind == "digit" or found.text == ".":
            return self.decimal()
        if found.kind == "word":
            return self.word()
        if found.kind == "text":
            return self.said()
        if found.kind == "begin":
            return self.matrix()
        return self.sign()

    def sign(self) -> Node:
        text = self.take().text
        simple = {r"\frac": self.fraction, r"\sqrt": self.root, r"\binom": self.binomial}
        if text in simple:
            return simple[text]()
        if text == r"\surd":
            return Node("pow", (self.atom(), number(Fraction(1, 2))))
        if text in _OPEN:
            return self.bracket(text)
        if text in (r"\{", "{", "|", r"\lfloor", r"\lceil"):
            return self.enclosed(text)
        if text in _CONSTANTS:
            return Node("sym", name=_CONSTANTS[text])
        if text in _SYMBOLS or text.startswith(r"\mathbf{"):
            return self.subscripted(text)
        if text in _BLACKBOARD:
            return self.decorated(text)
        if text[1:] in _FUNCTIONS and text[0] == "\\":
            return self.function(text[1:])
        raise Unread

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
        for separator in ((",", "thin"), ("{", ",", "}"), ("thin",), *(() if self._depth else ((",",),))):
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
        if len(digits) > 4:
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
            return number(int(digits, int(base)), "base")
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

    def word(self) -> Node:
        """A function, a constant, letters that are multiplied, or a word."""
        text = self.text()
        if text in _FUNCTIONS:
            self.take()
            return self.function(text)
        if text in _CONSTANTS:
            self.take()
            return Node("sym", name=_CONSTANTS[text])
        if text == "sqrt":
            self.take()
            if self.text() != "(":
                raise Unread
            return Node("pow", (self.atom(), number(Fraction(1, 2))))
        if text.lower() in _NO_UNIT or not self.is_letters(None) or self.is_said():
            return self.said()
        if len(text) > 1:
            self.part_letters()
        return self.subscripted(self.take().text)

    def part_letters(self) -> None:
        """Makes a token of each letter of the next word: xy is x times y."""
        word = self.take()
        parts = [Token("word", letter, word.spaced and not i) for i, letter in enumerate(word.text)]
        self._tokens[self._at - 1 : self._at] = parts
        self._at -= 1

    def is_said(self) -> bool:
        """True where the rest is words only, of which one is longer than two letters."""
        rest = [token for token in self._tokens[self._at :] if token.kind != "thin"]
        said = all(token.kind in ("word", "text") or token.text in "-'." for token in rest)
        return said and any(len(token.text) > 2 for token in rest)

    def said(self) -> Node:
        """A text that is the answer; letters in it may be parted by spaces, hyphens, apostrophes."""
        said = [self.take().text]
        while (found := self.token()) and (
            (found.kind in ("word", "text") and found.text.lower() not in _AND)
            or (found.text in ("-", "'", "’") and self.token(1) and self.token(1).kind == "word")  # type: ignore[union-attr]
        ):
            said.append(self.take().text)
        text = " ".join(said).lower()
        spoken = set(text.replace("-", " ").split())
        numbered = (found := self.token()) is not None and (found.kind == "digit" or found.text == ".")
        if (spoken & _NO_UNIT or any(map(text.__contains__, _PHRASES))) and numbered:
            raise Refused
        if numbered:
            return Node("text", name=f"{plain_text(text)} {self.digits()}")
        return Node("text", name=plain_text(text))

    def subscripted(self, name: str) -> Node:
        """A letter with what stands below it and its primes."""
        if self.skip("_"):
            if self.text() == "{":
                self.take()
                below = ""
                while self.text() != "}":
                    below += self.take().text
                self.take()
            else:
                below = self.take().text
            name = f"{name}_{below}"
        while self.skip("'"):
            name += "'"
        return Node("sym", name=name)

    def decorated(self, command: str) -> Node:
        braces = self.skip("{")
        letter = self.take()
        if braces:
            self.expect("}")
        if letter.kind not in ("word", "sign"):
            raise Unread
        return self.subscripted(f"{command}{{{letter.text}}}")

    def fraction(self) -> Node:
        return Node("div", (self.argument(), self.argument()))

    def binomial(self) -> Node:
        return Node("fn", (self.argument(), self.argument()), "binom")

    def root(self) -> Node:
        if not self.skip("["):
            return Node("pow", (self.argument(), number(Fraction(1, 2))))
        degree = self.inside(self.sum, commas=True)
        self.expect("]")
        return Node("pow", (self.argument(), Node("div", (number(1), degree))))

    def argument(self) -> Node:
        """What a command takes: a group, or one token."""
        if self.text() == "{":
            return self.group()
        found = self.token()
        if found and found.kind == "digit":
            value = number(int(self.take().text))
            return value
        if found and found.kind == "word":
            if len(found.text) != 1:
                raise Unread
            self.take()
            return Node("sym", name=found.text)
        return self.atom()

    def group(self) -> Node:
        self.expect("{")
        found = self.inside(self.relation, commas=False)
        self.expect("}")
        return found

    def bracket(self, opening: str) -> Node:
        """(a), a tuple or an interval."""
        items = self.inside(self.statement, commas=True)
        closing = self.take().text
        if closing not in (")", "]"):
            raise Unread
        if items.kind == "list":
            return Node("seq", items.parts, opening + closing)
        if closing != _OPEN[opening]:
            raise Unread
        return items if opening == "(" or items.kind == "matrix" else Node("seq", (items,), "[]")

    def enclosed(self, opening: str) -> Node:
        if opening == r"\{":
            if self.skip(r"\}"):
                return Node("sym", name=r"\emptyset")
            items = self.inside(self.statement, commas=True)
            self.expect(r"\}")
            return Node("set", items.parts if items.kind == "list" else (items,))
        if opening == "{":
            items = self.inside(self.statement, commas=False)
            self.expect("}")
            return items
        closing, name = {
            "|": ("|", "abs"), r"\lfloor": (r"\rfloor", "floor"), r"\lceil": (r"\rceil", "ceil"),
        }[opening]  # fmt: skip
        found = self.inside(self.within_bars, commas=True)
        self.expect(closing)
        return Node("fn", (found,), name)

    def within_bars(self) -> Node:
        self._bars = 1
        return self.sum()

    def function(self, name: str) -> Node:
        """A function of a bracket, or of the factors that follow."""
        base: tuple[Node, ...] = ()
        if name == "log" and self.skip("_"):
            base = (self.argument(),)
        power = self.exponent() if self.skip("^") else None
        if power and power == _negative(number(1)) and name in ("sin", "cos", "tan"):
            name, power = f"arc{name}", None
        if self.text() in ("(", "{"):
            argument = self.atom()
        else:
            argument = self.power()
            while self.starts_factor(argument) and not self.is_function():
                argument = Node("mul", (argument, self.power()))
        found = Node("fn", (argument, *base), name)
        return Node("pow", (found, power)) if power else found

    def is_function(self) -> bool:
        return self.text().removeprefix("\\") in _FUNCTIONS

    def matrix(self) -> Node:
        if self.take().text not in _MATRICES:
            raise Unread
        rows: list[list[Node]] = [[]]
        while (found := self.token()) and found.kind != "end":
            rows[-1].append(self.inside(self.sum, commas=True))
            if self.skip(r"\\"):
                rows.append([])
            elif not self.skip("&") and (self.token() is None or self.token().kind != "end"):  # type: ignore[union-attr]
                raise Unread
        self.take()
        rows = [row for row in rows if row]
        if not rows or len({len(row) for row in rows}) > 1:
            raise Unread
        return Node("matrix", tuple(x for row in rows for x in row), f"{len(rows)}x{len(rows[0])}")


_PHRASES = tuple(word for word in words("bound", "denial") if " " in word)


def plain_text(text: str) -> str:
    """A text as it is compared: no brackets around it, single spaces, no case."""
    return " ".join(text.strip(" .()\"'").split()).casefold()


def _negative(value: Node) -> Node:
    if value.kind == "unit":
        return Node("unit", (_negative(value.parts[0]),), value.name)
    return Node("neg", (value,))


def _times(left: Node, right: Node, sign: str) -> Node:
    """A product; 3.0 \\times 10^8 is a number in scientific form."""
    if sign != "*" and left.kind == "num" and right.kind == "pow":
        base, exponent = right.parts
        power = exponent.parts[0] if exponent.kind == "neg" else exponent
        if base == number(10) and power.kind == "num" and power.value is not None:
            if power.value.denominator == 1 and power.value <= 4000:
                signed = int(-power.value if exponent.kind == "neg" else power.value)
                assert left.value is not None
                return number(left.value * Fraction(10) ** signed, "sci")
    return Node("mul", (left, right))


def _mixed(whole: Fraction, over: Fraction | int, under: Fraction | int) -> Node:
    if whole.denominator != 1 or not 0 < over < under:
        raise Unread
    return number(whole + Fraction(over) / Fraction(under), "mixed")
