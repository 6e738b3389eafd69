"""The tests' side: run them here, with the program's function replaced by a call into its process.

The verdict is made here, from plain data that the program's process sent. It never had the tests,
this process's memory, or the pipe that the verdict leaves by: it can answer calls, well or badly,
and nothing else.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable
from typing import Any

from . import frames, plain

REQUESTS, REPLIES, VERDICT = 3, 4, 5  # descriptors


class Broken(BaseException):
    """The program's process is gone, or does not answer by the rules.

    No test can catch this by `except Exception`.
    """


class Remote:
    """The program's function, as the tests see it.

    An exception of the program is one of the same kind here only where the tests name that kind, or
    one that it is a kind of. Else it is a RuntimeError: StopIteration would end a loop of the tests
    as if all had been seen, `all(map(f, cases))` say, and IndexError one over `__getitem__`.
    """

    def __init__(self, message_bytes: int, named: tuple[type, ...] = ()) -> None:
        self.calls = 0
        self._named = named
        self.broken: str | None = None
        self._limit = message_bytes

    def loaded(self) -> None:
        """Waits until the program's top level has run.

        Raises Broken where it did not come to its end.
        """
        reply = self._read()
        if "error" in reply:
            self._break(f"the program does not load: {_text(reply['error'])}")
        if reply.get("loaded") is not True:
            self._break("the program did not answer by the rules")

    def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """The function's result, or its exception; raises Broken where there is neither."""
        self.calls += 1
        try:
            named = {key: plain.dump(value) for key, value in kwargs.items()}
            request = {"name": name, "args": [plain.dump(value) for value in args], "kwargs": named}
        except (plain.NotPlain, RecursionError) as error:
            self._break(f"the tests pass an argument that cannot be sent: {error}")
        try:
            frames.write_frame(REQUESTS, request)
        except OSError:
            self._break("the program ended before the tests did")
        reply = self._read()
        if "error" in reply:
            raise self._exception(reply["error"])
        try:
            if "opaque" in reply:
                kind, truth = reply["opaque"]
                return plain.Opaque(str(kind), bool(truth))
            return plain.load(reply["value"])
        except (KeyError, TypeError, ValueError, RecursionError, MemoryError):
            self._break("the program did not answer by the rules")

    def _read(self) -> dict[str, Any]:
        try:
            reply = frames.read_frame(REPLIES, self._limit)
        except frames.BadFrame as error:
            self._break(f"the program sent {error}")
        if reply is None:
            self._break("the program ended before the tests did")
        if not isinstance(reply, dict):
            self._break("the program did not answer by the rules")
        return reply  # type: ignore[no-any-return]

    def _exception(self, error: Any) -> Exception:
        name = error[0] if isinstance(error, list) and error and isinstance(error[0], str) else ""
        if name in ("SystemExit", "KeyboardInterrupt", "GeneratorExit"):
            self._break(f"the program raised {name}")
        kind = getattr(builtins, name, None)
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            return RuntimeError(_text(error))
        if not issubclass(kind, self._named):
            return RuntimeError(_text(error))
        try:
            return kind(_text(error))
        except TypeError:  # some need more arguments
            return RuntimeError(_text(error))

    def _break(self, reason: str) -> Any:
        self.broken = self.broken or reason
        raise Broken(reason)


def judge(job: dict[str, Any], message_bytes: int) -> dict[str, Any]:
    """Runs the tests: counts of asserts that held and of all,
    and why it is no pass where it is none.
    """
    named = (*_exceptions(job["setup"]), *_exceptions(job["tests"]))
    remote, count = Remote(message_bytes, named), _Count()
    reason: str | None = None
    try:
        code = compile(_counting(job["tests"]), "tests.py", "exec")
        remote.loaded()
        for _ in range(job["repeat"]):
            space: dict[str, Any] = {"__name__": "tests"}
            exec(compile(job["setup"], "setup.py", "exec"), space)
            space.update({name: _proxy(remote, name) for name in job["names"]})
            space["__assert__"] = count
            exec(code, space)
    except Broken:
        pass  # the reason is in remote.broken
    except BaseException as error:
        reason = f"the tests raised {type(error).__name__}: {error}"[:500]
    reason = remote.broken or count.failure or reason
    if reason is None and (remote.calls == 0 or count.total == 0):
        reason = (
            "the tests never called the program"
            if remote.calls == 0
            else "the tests assert nothing"
        )
    return {"passed": reason is None, "held": count.held, "asserts": count.total, "reason": reason}


class _Count:
    """Stands for the assert statement: counts, and goes on after a failure."""

    def __init__(self) -> None:
        self.held = self.total = 0
        self.failure: str | None = None

    def __call__(self, line: int, test: Callable[[], Any]) -> None:
        self.total += 1
        try:
            if test():
                self.held += 1
                return
            failure = f"assertion in line {line} of the tests does not hold"
        except Exception as error:
            failure = (
                f"assertion in line {line} of the tests raised {type(error).__name__}: {error}"[
                    :500
                ]
            )
        self.failure = self.failure or failure


class _Rewrite(ast.NodeTransformer):
    def visit_Assert(self, node: ast.Assert) -> ast.Expr:
        thunk = ast.parse("lambda: 0", mode="eval").body
        assert isinstance(thunk, ast.Lambda)
        thunk.body = node.test
        name = ast.Name("__assert__", ast.Load())
        call = ast.Call(name, [ast.Constant(node.lineno), thunk], [])
        return ast.copy_location(ast.Expr(call), node)


def _exceptions(source: str) -> list[type]:
    """The kinds of exceptions that a source names, `Exception` itself left out: a RuntimeError is
    one too. None where it does not parse, which running it says.
    """
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    names = {getattr(node, "id", None) or getattr(node, "attr", None) for node in nodes}
    found = [getattr(builtins, name, None) for name in names if isinstance(name, str)]
    kinds = [kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception)]
    return [kind for kind in kinds if kind is not Exception]


def _counting(tests: str) -> ast.Module:
    """The tests with each assert statement as a counted call, so that a share can be told."""
    tree: ast.Module = _Rewrite().visit(ast.parse(tests))
    return ast.fix_missing_locations(tree)


def _proxy(remote: Remote, name: str) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        return remote.call(name, *args, **kwargs)

    function.__name__ = name
    return function


def _text(error: Any) -> str:
    parts = [str(part) for part in error[:2]] if isinstance(error, list) else [str(error)]
    return ": ".join(part for part in parts if part)[:500]
