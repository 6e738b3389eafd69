"""The program in a response, in every layout that models write; our choice of readings.

A response holds pieces of code: its fenced blocks, or where none fits, the runs of lines that are
code between lines of prose. The program is the last piece that defines the wanted functions, with
what it uses of the other pieces and of the prompt's stub (imports, helpers) before it; else all
pieces together; else the piece or the response as the continuation of the stub.
"""

import ast
import builtins
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

LONGEST = 100_000  # characters of a program
_MOST_PIECES = 60
_MOST_CUTS = 30  # lines of prose that are cut off behind one piece
_BUDGET = 500_000  # characters that are parsed while one response is searched
_FENCE = re.compile(r"^(?P<before>[^\n`~]{0,200}?)(?P<fence>`{3,}|~{3,})(?P<info>[^\n`]*)$")
_CLOSING = re.compile(r"^(?P<code>.*?)(?P<fence>`{3,}|~{3,})[ \t]*$")
_NONE = "\ufeff\u200b\u2060"  # what nobody sees and Python refuses
_UNSEEN = re.compile(rf"^[ \t\u00a0\u3000{_NONE}]+", re.MULTILINE)
_QUOTED = re.compile(r"^[ \t]*>[ \t]?")
_START = re.compile(
    r"^[ \t]*(?:(?:async[ \t]+)?def|class)[ \t]+\w|^[ \t]*(?:from|import)[ \t]+[\w.]+|^[ \t]*@\w"
    r"|^[ \t]*[A-Za-z_]\w*[ \t]*(?::[^=\n]{1,60})?=[^=]"
)
_KNOWN = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__"}


@dataclass(frozen=True)
class _Block:
    """A fenced block; closed: its closing fence was there."""

    code: str
    closed: bool


def find(text: str, stub: str = "", names: tuple[str, ...] = ()) -> str | None:
    """The program in a response; None where no reading parses and defines the wanted names."""
    return _Search(stub, names).program(_plain(text))


def has_closed_program(text: str) -> bool:
    """True where the response has a finished fenced block that is a program."""
    search = _Search("", ())
    blocks = _blocks(_plain(text))
    return any(block.closed and search.fits(block.code) for block in blocks)


def _plain(text: str) -> str:
    """The text with lines that end in \\n and are indented by spaces that Python knows."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return lines if lines.isascii() else _UNSEEN.sub(_without_unseen, lines)


def _without_unseen(found: re.Match[str]) -> str:
    return "".join(
        " " if sign in "\u00a0\u3000" else sign for sign in found[0] if sign not in _NONE
    )


def defined(source: str) -> set[str]:
    """Names that a module binds at its top level by def, class or assignment."""
    tree = _tree(source)
    return set() if tree is None else {name for node in tree.body for name in _bound(node)}


class _Search:
    """One search, with a budget of characters to parse, so that no response takes long."""

    def __init__(self, stub: str, names: tuple[str, ...]) -> None:
        self._stub = stub
        self._names = set(names)
        self._budget = _BUDGET

    def program(self, text: str) -> str | None:
        blocks = [block.code for block in _blocks(text)][-_MOST_PIECES:]
        found = self.of_pieces(blocks)
        if found:
            return found
        lines = self.lines_of_code(text)
        return self.of_pieces(lines) or self.continued([*reversed(blocks), text])

    def of_pieces(self, pieces: list[str]) -> str | None:
        """The last piece that fits, with what it uses; else all pieces together."""
        for number in range(len(pieces) - 1, -1, -1):
            if self.fits(pieces[number]):
                before = [self._stub, *pieces[:number]]
                return self.completed(pieces[number].strip("\n"), before, pieces[number + 1 :])
        together = "\n".join(pieces)
        return self.completed(together.strip("\n"), [self._stub]) if self.fits(together) else None

    def fits(self, source: str) -> bool:
        """True where it parses and binds what is wanted; without wanted names, anything."""
        if not source.strip() or len(source) > LONGEST or self._budget < len(source):
            return False
        self._budget -= len(source)
        found = defined(source)
        return bool(found) and self._names <= found

    def completed(self, source: str, before: list[str], behind: Sequence[str] = ()) -> str:
        """The piece behind the statements of others that bind what it uses and does not bind.

        Of the pieces before it, also those that set up what it uses: T[1] = 2, L.append(1).
        """
        tree = _tree(source)
        assert tree is not None
        missing, taken = _free(tree), []
        own = defined(source)
        earlier = [node for other in before for node in self.statements(other)]
        later = [node for other in behind for node in self.statements(other)]
        for number, node in reversed(list(enumerate([*earlier, *later]))):
            uses = _free(ast.Module([node], []))
            bound = _bound(node, imports=True) & missing
            changed = _changed(node) & missing if number < len(earlier) and not uses & own else None
            if bound or changed or (missing and _is_star(node)):
                taken.append(node)
                missing = (missing - bound) | uses
        helpers = "\n".join(ast.unparse(node) for node in reversed(taken))
        return f"{helpers}\n\n{source}".strip("\n").rstrip()

    def statements(self, source: str) -> list[ast.stmt]:
        if len(source) > LONGEST or self._budget < len(source):
            return []
        self._budget -= len(source)
        tree = _tree(source)
        return [] if tree is None else tree.body

    def continued(self, bodies: Iterable[str]) -> str | None:
        """What the stub begins and a body goes on with."""
        if not self._stub.strip():
            return None
        for body in bodies:
            for reading in (body, textwrap.indent(_dedented(body), "    ")):
                whole = self._stub.rstrip() + "\n" + reading.strip("\n")
                if body.strip() and self.fits(whole):
                    return whole.strip()
        return None

    def lines_of_code(self, text: str) -> list[str]:
        """Runs of lines that parse, between lines of prose."""
        lines = [line for line in text.split("\n") if not _FENCE.match(line)]
        found: list[str] = []
        at = 0
        while at < len(lines) and len(found) < _MOST_PIECES and self._budget > 0:
            if not _START.match(lines[at]):
                at += 1
                continue
            end = self.end_of_code(lines, at)
            if end > at:
                found.append(_without_prose(_dedented("\n".join(lines[at:end]))))
            at = max(end, at + 1)
        return [piece for piece in found if piece.strip()]

    def end_of_code(self, lines: list[str], start: int) -> int:
        """The line before which the code that begins at `start` ends."""
        end = next(
            (at for at in range(start, len(lines)) if _depth(lines[at]) < _depth(lines[start])),
            len(lines),
        )
        for _ in range(_MOST_CUTS):
            source = _dedented("\n".join(lines[start:end]))
            self._budget -= len(source)
            if self._budget < 0 or end <= start:
                return start
            wrong = _first_wrong_line(source)
            if wrong is None:
                return end
            end = start + min(wrong, end - start) - 1
        return start


def _dedented(source: str) -> str:
    """Without the indentation that all lines share; strings keep their blank lines as they are."""
    lines = source.split("\n")
    depth = min((_depth(line) for line in lines), default=0)
    if depth in (0, float("inf")):
        return source
    return "\n".join(line[int(depth) :] for line in lines)


def _depth(line: str) -> float:
    """How far a line is indented; a blank one is in any depth."""
    return len(line) - len(line.lstrip()) if line.strip() else float("inf")


def _first_wrong_line(source: str) -> int | None:
    """The line, from 1, at which it stops being Python; None where all of it is."""
    try:
        ast.parse(source)
    except SyntaxError as error:
        return error.lineno or 1
    except (ValueError, RecursionError, MemoryError):
        return 1
    return None


def _without_prose(source: str) -> str:
    """Without the words behind it that happen to parse: 'Done' or 'Note: sorted'."""
    tree = _tree(source)
    while tree is not None and tree.body and _is_prose(tree.body[-1]):
        source = "\n".join(source.split("\n")[: tree.body[-1].lineno - 1])
        tree = _tree(source)
    return source


def _is_prose(node: ast.stmt) -> bool:
    if isinstance(node, ast.AnnAssign):
        return node.value is None
    return isinstance(node, ast.Expr) and not isinstance(node.value, ast.Call | ast.Constant)


def _blocks(text: str) -> Iterator[_Block]:
    """Every fenced block; the last one may lack its closing fence."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        opening = _FENCE.match(lines[at])
        at += 1
        if not opening:
            continue
        end, last = _closing_line(lines, at, opening["fence"])
        inside = lines[at:end] + ([last] if last else [])
        yield _Block(_unindented(inside, opening["before"]), end < len(lines))
        at = end + 1


def _closing_line(lines: list[str], start: int, fence: str) -> tuple[int, str]:
    """The line that closes a fence, and the code that stands before it on that line.

    A fence inside a docstring closes nothing where what follows it goes on with the code.
    """
    quotes = 0
    for number in range(start, len(lines)):
        line = lines[number]
        closing = _CLOSING.match(line) if fence[:3] in line else None
        quotes += line.count('"""') + line.count("'''")
        if closing and closing["fence"].startswith(fence) and quotes % 2 == 0:
            return number, closing["code"] if closing["code"].strip(" \t>") else ""
    for number in range(start, len(lines)):  # a quotation that is never closed
        closing = _CLOSING.match(lines[number]) if fence[:3] in lines[number] else None
        if closing and closing["fence"].startswith(fence) and not closing["code"].strip(" \t>"):
            return number, ""
    return len(lines), ""


def _unindented(lines: list[str], before: str) -> str:
    """The block as it stands without its fence's indentation, list or quotation mark."""
    if before.strip().startswith(">"):
        lines = [_QUOTED.sub("", line) for line in lines]
        before = _QUOTED.sub("", before)
    depth = len(before) if not before.strip() else len(before) - len(before.lstrip())
    plain = [line[min(depth, len(line) - len(line.lstrip(" \t"))) :] for line in lines]
    source = "\n".join(plain)
    return source if _tree(source) is not None else _dedented("\n".join(lines))


def _tree(source: str) -> ast.Module | None:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return None if any(isinstance(node, ast.Return) for node in tree.body) else tree


def _bound(node: ast.stmt, imports: bool = False) -> set[str]:
    """Names that a statement at the top level binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if imports and isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    if isinstance(node, ast.Assign):
        targets = [part for target in node.targets for part in ast.walk(target)]
        return {part.id for part in targets if isinstance(part, ast.Name)}
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return {node.target.id} if isinstance(node.target, ast.Name) else set()
    return set()


def _changed(node: ast.stmt) -> set[str]:
    """Names that a statement sets up in another way: try, if, a loop, L.append(1), K += 1."""
    if isinstance(node, ast.If | ast.Try | ast.For | ast.While | ast.With):
        inner = [part for part in ast.iter_child_nodes(node) if isinstance(part, ast.stmt)]
        handlers = node.handlers if isinstance(node, ast.Try) else []
        inner += [part for handler in handlers for part in handler.body]
        return set().union(*(_bound(part, imports=True) | _changed(part) for part in inner))
    if isinstance(node, ast.AugAssign):
        return _roots(node.target)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return _roots(node.value.func) if isinstance(node.value.func, ast.Attribute) else set()
    return set()


def _roots(node: ast.expr) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _is_star(node: ast.stmt) -> bool:
    """True of 'from math import *', which may bind anything."""
    return (
        isinstance(node, ast.ImportFrom)
        and node.names[0].name == "*"
        and node.module in sys.stdlib_module_names
    )


def _free(tree: ast.AST) -> set[str]:
    """Names that are used in it and bound nowhere in it."""
    used: set[str] = set()
    bound: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
    return used - bound - _KNOWN
