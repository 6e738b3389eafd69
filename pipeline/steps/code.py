"""The version of the code behind a step: a hash of all modules that its function imports.

Modules are followed over their import statements, those inside functions included. What counts is
a module's syntax tree without docstrings, so that comments, docstrings and layout do not, and the
text of the data files of its package (templates, word lists). In the file of a declaration, which
it shares with others, only the definitions count that its function uses.

Not seen: what is imported by a computed name. What a registry finds that way is named by the
declaration (`Reads.code`).
"""

import ast
import copy
import hashlib
import inspect
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline import extensions
from pipeline.config import ROOT

OWN = ("pipeline", "assets")  # packages whose imports are followed
SHARED = ("assets", "pipeline.tables")  # files of many definitions: only those that are used count

# Modules that are not part of a version, each with the reason.
LEFT_OUT = {
    "pipeline.config": "settings are in the fingerprint by their values",
    "pipeline.errors": "says what went wrong, makes no row",
    "pipeline.progress": "shows how far a step is",
    "pipeline.extensions": "imports what the declaration names (Reads.code)",
    "pipeline.registered": "finds what the declaration names (Reads.code)",
    "pipeline.durable": "keeps files over a power loss",
    "pipeline.lock": "lets one process write at a time",
    "pipeline.freed": "gives memory back",
    "pipeline.store": "keeps rows as they are",
    "pipeline.steps": "decides when a step runs, not what it makes",
    "pipeline.engine.budget": "ends a run, changes no completion",
    "pipeline.engine.cachefile": "keeps completions as they are",
    "pipeline.engine.salvage": "keeps completions as they are",
    "pipeline.engine.pool": "chooses the server that answers",
    "pipeline.engine.room": "shares one engine between models",
    "pipeline.engine.session": "runs coroutines and opens engines",
    "pipeline.engine.resident": "keeps one model in memory",
}


def code_version(*roots: object) -> str:
    """12 digits over the code that these functions, classes and files (paths) run."""
    total = hashlib.blake2b(digest_size=6)
    for name, said in sorted(meanings(roots).items()):
        total.update(f"{_shown(name)}\0{said}\0".encode())
    return total.hexdigest()


def meanings(roots: Iterable[object]) -> dict[str, str]:
    """What each place of the code behind some roots says:
    module or module:definition -> its hash.
    """
    found: dict[str, str] = {}
    waiting = [place for root in roots for place in _places(root)]
    while waiting:
        place = waiting.pop()
        if place in found or left_out(_split(place)[0]) is not None:
            continue
        found[place], more = _read(place)
        waiting += more
    return found


def modules_behind(*roots: object) -> set[str]:
    """Names of the modules whose code counts."""
    return {_split(place)[0] for place in meanings(roots)}


def left_out(module: str) -> str | None:
    """Why a module is no part of a version; null where it is one."""
    parts = module.split(".")
    names = (".".join(parts[:n]) for n in range(1, len(parts) + 1))
    return next((LEFT_OUT[name] for name in names if name in LEFT_OUT), None)


def clear() -> None:
    """Forgets what was read of files: for tests that change them."""
    for cached in (_tree, _read, _data_files):
        cached.cache_clear()


def _places(root: object) -> Iterator[str]:
    """Where a root stands: module, module:definition, or the path of a file of the user's own."""
    if isinstance(root, str | Path):
        yield str(root)
        return
    function: Any = inspect.unwrap(root) if callable(root) else root
    while hasattr(function, "func"):  # functools.partial
        for value in (*function.args, *function.keywords.values()):
            if callable(value):
                yield from _places(value)
        function = function.func
    module = _place_of(function)
    yield f"{module}:{function.__qualname__.split('.')[0]}" if _is_shared(module) else module
    for cell in getattr(function, "__closure__", None) or ():
        inner = cell.cell_contents
        if callable(inner) and _is_counted(getattr(inner, "__module__", None)):
            yield from _places(inner)


def _place_of(function: Any) -> str:
    """The module of a function or class; of one in a user's file, the path of that file."""
    module = str(function.__module__)
    return module if _file_of(module) is not None else extensions.source_of(module)


def _is_counted(module: str | None) -> bool:
    if module is None:
        return False
    return module.split(".")[0] in OWN or extensions.is_extension(module)


def _split(place: str) -> tuple[str, str]:
    """Module and definition; a path may hold a colon."""
    if place.endswith(".py"):
        return place, ""
    module, _, definition = place.partition(":")
    return module, definition


def _shown(place: str) -> str:
    """A place in the version: of a user's file its name, wherever its folder was moved."""
    return Path(place).name if place.endswith(".py") else place


def _is_shared(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in SHARED)


@lru_cache(maxsize=4096)
def _read(place: str) -> tuple[str, tuple[str, ...]]:
    """The hash of a place and the places that it leads to."""
    module, definition = _split(place)
    file = _file_of(module)
    if file is None:
        raise FileNotFoundError(f"no source of {module}")
    tree = _tree(file)
    nodes = _used(tree, definition) if definition else tree.body
    said = hashlib.blake2b(digest_size=10)
    for node in nodes:
        said.update(_dump(node).encode())
    for data in () if definition else _data_files(file.parent):
        said.update(data.name.encode() + data.read_bytes())
    leads = {one for node in nodes for one in _imports(node, module, file)}
    if not definition and module.split(".")[0] in OWN:
        parts = module.split(".")
        leads |= {".".join(parts[:n]) for n in range(1, len(parts))}  # packages are run too
    return said.hexdigest(), tuple(sorted(leads - {place}))


def _dump(node: ast.AST) -> str:
    return ast.dump(node, annotate_fields=False)


@lru_cache(maxsize=1024)
def _tree(file: Path) -> ast.Module:
    """A file's syntax tree without docstrings and without what only type checkers read."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        kept = [one for one in body if not _is_for_types(one)]
        documented = isinstance(
            node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        )
        if documented and kept and _is_text(kept[0]):
            kept = kept[1:]
        node.body = kept  # type: ignore[attr-defined]
    return tree


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _is_for_types(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and not node.orelse
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def _used(tree: ast.Module, definition: str) -> list[ast.stmt]:
    """The statements of a file that a definition needs: itself, and those it names, and so on.

    Import statements are cut down to the names that are used.
    """
    makers: dict[str, list[ast.stmt]] = {}
    for node in tree.body:
        for name in _names_made(node):
            makers.setdefault(name, []).append(node)
    if definition not in makers:
        return list(tree.body)  # made in a way that is not seen here: all of it counts
    names, waiting, chosen = set[str](), [definition], dict[int, ast.stmt]()
    while waiting:
        name = waiting.pop()
        if name in names:
            continue
        names.add(name)
        for node in makers.get(name, ()):
            chosen[id(node)] = node
            if not isinstance(node, ast.Import | ast.ImportFrom):
                waiting += [n.id for n in ast.walk(node) if isinstance(n, ast.Name)]
    return [_cut(node, names) for node in tree.body if id(node) in chosen]


def _names_made(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from ((one.asname or one.name).split(".")[0] for one in node.names)
    else:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                yield inner.id


def _cut(node: ast.stmt, names: set[str]) -> ast.stmt:
    if not isinstance(node, ast.Import | ast.ImportFrom):
        return node
    kept = copy.copy(node)
    kept.names = [one for one in node.names if (one.asname or one.name).split(".")[0] in names]
    return kept


def _imports(node: ast.AST, module: str, file: Path) -> Iterator[str]:
    """Places that the import statements in a node lead to."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Import):
            yield from (name for one in inner.names if (name := _own(one.name)))
        elif isinstance(inner, ast.ImportFrom):
            base = inner.module or ""
            if inner.level:
                package = (
                    module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
                )
                above = package[: len(package) - inner.level + 1]
                base = ".".join([*above, base] if base else above)
            for one in inner.names:
                if own := _own(f"{base}.{one.name}"):
                    yield own
                elif own := _own(base):
                    yield f"{own}:{one.name}" if _is_shared(own) else own


def _own(name: str) -> str | None:
    return name if name.split(".")[0] in OWN and _file_of(name) is not None else None


def _file_of(module: str) -> Path | None:
    """The source of a module, or the path itself."""
    if module.endswith(".py"):
        return Path(module)
    base = ROOT / Path(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@lru_cache(maxsize=256)
def _data_files(folder: Path) -> tuple[Path, ...]:
    """Files of a package that are no modules, and those of its folders that are no packages."""
    if folder == ROOT / "pipeline" or not (folder / "__init__.py").is_file():
        return ()
    found = [path for path in folder.iterdir() if path.is_file()]
    for inner in folder.iterdir():
        if inner.is_dir() and inner.name != "__pycache__" and not any(inner.glob("*.py")):
            found += [path for path in inner.iterdir() if path.is_file()]
    return tuple(sorted(path for path in found if path.suffix not in (".py", ".pyc")))
