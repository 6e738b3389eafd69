"""What has no parts but in brackets: letters, functions, fractions, roots, matrices."""

from fractions import Fraction

from pipeline.verify.expression.node import Node, negative, number
from pipeline.verify.expression.reader import Unread
from pipeline.verify.expression.texts import NO_UNIT, Texts

FUNCTIONS = frozenset(
    "sin cos tan cot sec csc sinh cosh tanh arcsin arccos arctan log ln lg exp".split()
)
CONSTANTS = {r"\pi": "pi", "pi": "pi", r"\infty": "oo", "infinity": "oo", "inf": "oo"}
SYMBOLS = frozenset(
    r"\alpha \beta \gamma \delta \epsilon \varepsilon \zeta \eta \theta \vartheta \iota \kappa "
    r"\lambda \mu \nu \xi \rho \sigma \tau \upsilon \phi \varphi \chi \psi \omega \Gamma \Delta "
    r"\Theta \Lambda \Xi \Pi \Sigma \Phi \Psi \Omega \ell \hbar \emptyset".split()
)
BLACKBOARD = frozenset({r"\mathbb", r"\mathcal", r"\mathbf", r"\vec", r"\hat", r"\mathrm"})
_OPEN = {"(": ")", "[": "]"}
_MATRICES = frozenset("matrix pmatrix bmatrix Bmatrix smallmatrix array".split())


class Atoms(Texts):
    """The rules of atoms."""

    def atom(self) -> Node:
        """A number, a word, a text, a matrix, or what begins with a sign."""
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
        """What begins with a command or a bracket."""
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
        if text in CONSTANTS:
            return Node("sym", name=CONSTANTS[text])
        if text in SYMBOLS or text.startswith(r"\mathbf{"):
            return self.subscripted(text)
        if text in BLACKBOARD:
            return self.decorated(text)
        if text[1:] in FUNCTIONS and text[0] == "\\":
            return self.function(text[1:])
        raise Unread

    def word(self) -> Node:
        """A function, a constant, letters that are multiplied, or a word."""
        text = self.text()
        if text in FUNCTIONS:
            self.take()
            return self.function(text)
        if text in CONSTANTS:
            self.take()
            return Node("sym", name=CONSTANTS[text])
        if text == "sqrt":
            self.take()
            if self.text() != "(":
                raise Unread
            return Node("pow", (self.atom(), number(Fraction(1, 2))))
        if text.lower() in NO_UNIT or not self.is_letters(None) or self.is_said():
            return self.said()
        if len(text) > 1:
            self.part_letters()
        return self.subscripted(self.take().text)

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
        """A letter under a hat, an arrow, or in another script."""
        braces = self.skip("{")
        letter = self.take()
        if braces:
            self.expect("}")
        if letter.kind not in ("word", "sign"):
            raise Unread
        return self.subscripted(f"{command}{{{letter.text}}}")

    def fraction(self) -> Node:
        r"""Both arguments of \frac."""
        return Node("div", (self.argument(), self.argument()))

    def binomial(self) -> Node:
        r"""Both arguments of \binom."""
        return Node("fn", (self.argument(), self.argument()), "binom")

    def root(self) -> Node:
        """A root of the second or a written degree."""
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
        """What braces hold."""
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
        """A set, a group, an absolute value, or a rounded one."""
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
        """What stands between two bars."""
        self._bars = 1
        return self.sum()

    def function(self, name: str) -> Node:
        """A function of a bracket, or of the factors that follow."""
        base: tuple[Node, ...] = ()
        if name == "log" and self.skip("_"):
            base = (self.argument(),)
        power = self.exponent() if self.skip("^") else None
        if power and power == negative(number(1)) and name in ("sin", "cos", "tan"):
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
        """True where a function comes next."""
        return self.text().removeprefix("\\") in FUNCTIONS

    def matrix(self) -> Node:
        """Rows of a matrix, all of one length."""
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

    def exponent(self) -> Node:
        """What stands behind ^: a group, or one signed atom."""
        if self.text() == "{":
            return self.group()
        minus = self.skip("-")
        found = self.atom()
        return negative(found) if minus else found
