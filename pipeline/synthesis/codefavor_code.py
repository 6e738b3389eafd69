"""Python source as a syntax tree:
whether it parses, what it says without comments, whether two say the same.
"""

import ast

# levels of a tree; far below what the interpreter's stack bears, whatever limit a library has set
MAX_DEPTH = 100
_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def parse(source: str) -> ast.Module | None:
    """The tree of a source; None where it does not parse."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def stripped(source: str) -> str | None:
    """The source without comments and docstrings, by a round trip through the tree.

    As CodeFavor's code does for Critic-Evol. A body that was nothing but a docstring becomes
    `pass`.

    Returns:
        None where it does not parse, or is nested too deeply to be written out again (a sum of 100
        terms).
    """
    tree = parse(source)
    if tree is None or _is_deep(tree):
        return None
    for node in ast.walk(tree):
        if isinstance(node, _Documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or ([] if isinstance(node, ast.Module) else [ast.Pass()])
    return ast.unparse(ast.fix_missing_locations(tree))


def _is_deep(tree: ast.Module) -> bool:
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return bool(level)


def same(a: str, b: str) -> bool:
    """True where two sources differ in layout, comments and docstrings at most,
    or either cannot be stripped.
    """
    left, right = stripped(a), stripped(b)
    return left is None or right is None or left == right
