"""The tokens of a formula, read one after another."""

from collections.abc import Callable

from pipeline.verify.expression.node import Node
from pipeline.verify.expression.tokens import Token

_DEEPEST = 40  # brackets in brackets


class Unread(Exception):
    """The grammar has no rule for this text."""


class Refused(Exception):
    """The text is a number that does not stand for itself: 5 million, at least 5."""


class Reader:
    """Moves over tokens; each rule of the grammar is a method of a class below this one."""

    def __init__(self, given: list[Token]) -> None:
        self._tokens = given
        self._at = 0
        self._depth = 0  # of brackets in which a comma parts two values
        self._bars = 0  # of |x| that are open
        self._nested = 0

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
        """Moves over a token with that text; nothing else can be read here."""
        if not self.skip(text):
            raise Unread

    def at_end(self) -> bool:
        """True where no token is left."""
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

    # What the other parts of the grammar ask of its whole.

    def statement(self) -> Node:
        """One relation, or several."""
        raise NotImplementedError

    def relation(self) -> Node:
        """One relation, or what has none."""
        raise NotImplementedError

    def sum(self) -> Node:
        """Terms that are added."""
        raise NotImplementedError

    def power(self) -> Node:
        """An atom with its exponent."""
        raise NotImplementedError

    def atom(self) -> Node:
        """What has no parts but in brackets."""
        raise NotImplementedError

    def fraction(self) -> Node:
        """What stands behind the command of a fraction."""
        raise NotImplementedError

    def exponent(self) -> Node:
        """What stands behind ^."""
        raise NotImplementedError

    def starts_factor(self, before: Node) -> bool:
        """True where a factor follows without a sign."""
        raise NotImplementedError
