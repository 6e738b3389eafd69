"""Which tests count on more than values: the tests and the program run in processes of their own,
and what one hands the other is plain data, a copy.

Found without running anything, when a pool is loaded, so that no response is ever refused for it.
"""

import ast
from collections.abc import Collection, Iterator, Mapping


def beyond_values(tests: str, setup: str, names: Collection[str]) -> str | None:
    """Why tests cannot judge a program by copies of values; null where nothing says so.

    Best effort: what a variable holds or a helper returns is not followed.

    tests: Python that parses. setup: helpers, or a stub whose body is to come. names: the functions
    of the program that they call.
    """
    tree = ast.parse(tests)
    nodes = [*ast.walk(tree), *_statements(setup)]
    functions = {n.name: n for n in nodes if isinstance(n, ast.FunctionDef)}
    classes = {n.name for n in nodes if isinstance(n, ast.ClassDef)}
    called = {*names, *_aliases(tree, functions, names)}
    own = ({*functions} | classes) - called
    for call in _calls(tree, called):
        for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
            if what := _no_value(argument, own, classes - called):
                return f"line {call.lineno} of the tests hands the program {what}: no plain data"
    for call in _for_effect(tree, called):
        return (
            f"line {call.lineno} of the tests calls the program for what it does to an argument, "
            "of which it has a copy"
        )
    return None


def _statements(setup: str) -> list[ast.stmt]:
    try:
        return ast.parse(setup).body
    except (SyntaxError, ValueError):  # a stub without a body
        return []


def _calls(tree: ast.AST, names: Collection[str]) -> Iterator[ast.Call]:
    """Calls of functions by these names, in the order of the text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield node


def _aliases(
    tree: ast.AST, functions: Mapping[str, ast.FunctionDef], names: Collection[str]
) -> Iterator[str]:
    """What functions of the tests call the program that they are given: `check(candidate)`."""
    for call in _calls(tree, functions):
        assert isinstance(call.func, ast.Name)
        parameters = functions[call.func.id].args.args
        for argument, parameter in zip(call.args, parameters, strict=False):
            if isinstance(argument, ast.Name) and argument.id in names:
                yield parameter.arg


def _no_value(argument: ast.expr, own: Collection[str], classes: Collection[str]) -> str | None:
    """What an argument is that is no plain data."""
    if isinstance(argument, ast.Lambda):
        return "a function"
    if isinstance(argument, ast.Name) and argument.id in own:
        return "a function or class of theirs"
    if isinstance(argument, ast.Call) and isinstance(argument.func, ast.Name):
        return "an instance of a class of theirs" if argument.func.id in classes else None
    return None


def _for_effect(tree: ast.Module, names: Collection[str]) -> Iterator[ast.Call]:
    """Calls whose result nobody uses, but those that are to raise."""
    for parent in ast.walk(tree):
        if isinstance(parent, ast.Try | ast.With):
            continue
        for part in ("body", "orelse", "finalbody"):
            found = getattr(parent, part, None)
            for node in found if isinstance(found, list) else ():
                value = node.value if isinstance(node, ast.Expr) else None
                if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
                    if value.func.id in names:
                        yield value
