"""Commits of a local git repository that changed one function, or one small file, of Python.

CodeFavor took its commits from a published set (EditPackFT-Multi, filtered by licence); mining any
repository is ours.
"""

import ast
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config import MiningSettings
from pipeline.engine.base import Reject
from pipeline.errors import OrchardError
from pipeline.ids import content_id
from pipeline.synthesis.codefavor_code import parse, same, stripped
from pipeline.synthesis.licences import is_licence_file, one_of

_REGULAR = (0o100644, 0o100755)
_MISSING = "an object is missing: the clone is partial or damaged"
_REVERTS = ("revert ", 'revert"', "this reverts commit")
Function = ast.FunctionDef | ast.AsyncFunctionDef


class _Skip(Exception):
    """Why a commit is not taken."""


@dataclass(frozen=True)
class _Unit:
    """What a change is about: a function by name, or a whole file (None)."""

    name: str | None
    old: str
    new: str


def mine(path: Path, settings: MiningSettings) -> tuple[list[dict[str, Any]], list[Reject]]:
    """Rows of `code_changes` of a repository, newest first,
    and a reject with its reason for every other commit.

    Raises:
        OrchardError: not a git repository, without commits, with a commit missing, or without a
            permissive licence at its head.
    """
    repo = _opened(path)
    try:
        name = _name(repo, path)
        _must_be_permissive(repo, path, settings)
        rows: list[dict[str, Any]] = []
        rejects: list[Reject] = []
        for commit in _commits(repo, path, settings):
            sha = commit.id.decode()
            try:
                rows.append(_change(repo, name, commit, settings))
            except _Skip as skip:
                row = {"repository": name, "commit": sha}
                rejects.append(Reject("code_changes", "mine-commits", sha, str(skip), row))
        return rows, rejects
    finally:
        repo.close()


def repository_of(path: Path) -> str:
    """What tells a repository from others in `code_changes`:
    its folder's name, and its first commit's.

    So two folders of the same name are two repositories, and a clone that was moved is still the
    same. In a shallow clone it is the first commit that is here, which changes when more is
    fetched.

    Raises:
        OrchardError: not a git repository, or without commits.
    """
    repo = _opened(path)
    try:
        return _name(repo, path)
    finally:
        repo.close()


def _name(repo: Any, path: Path) -> str:
    sha = repo.head()
    while (parents := repo.get_parents(sha)) and parents[0] in repo.object_store:
        sha = parents[0]
    return f"{path.resolve().name}@{sha.decode()[:12]}"


def _opened(path: Path) -> Any:
    from dulwich.errors import NotGitRepository
    from dulwich.repo import Repo

    try:
        repo = Repo(str(path))
        repo.head()
    except (NotGitRepository, OSError) as error:
        raise OrchardError(
            f"{path} is not a git repository: give the folder that holds .git"
        ) from error
    except KeyError as error:
        raise OrchardError(
            f"{path}: the repository has no commits: give one with a history"
        ) from error
    return repo


def _must_be_permissive(repo: Any, path: Path, settings: MiningSettings) -> None:
    try:
        licence, found = _licence(repo, repo[repo.head()].tree, settings)
    except _Skip as skip:
        raise OrchardError(
            f"{path}: its licence cannot be read: {skip}: clone it whole, without --filter"
        ) from skip
    if licence is None:
        raise OrchardError(
            f"{path}: {found}: its commits are not taken; "
            f"a repository needs one of {', '.join(settings.licences)} (setting mining.licences)"
        )


def _commits(repo: Any, path: Path, settings: MiningSettings) -> Iterator[Any]:
    from dulwich.errors import MissingCommitError

    try:
        for entry in repo.get_walker(max_entries=settings.max_commits):
            yield entry.commit
    except MissingCommitError as error:
        raise OrchardError(
            f"{path}: commit {error.sha.decode()} is missing: see `git fsck`, or clone anew"
        ) from error


def _change(repo: Any, repository: str, commit: Any, settings: MiningSettings) -> dict[str, Any]:
    message = commit.message.decode("utf-8", errors="replace").strip()
    old, new = _the_file(repo, commit, message)
    before, after = (_text(repo, entry, settings) for entry in (old, new))
    path = new.path.decode("utf-8", errors="replace")
    unit = _unit(before, after, settings)
    licence, found = _licence(repo, commit.tree, settings)
    if licence is None:
        raise _Skip(f"the licence at this commit is not permissive: {found}")
    sha = commit.id.decode()
    return {
        "change_id": content_id(sha, path, unit.name),
        "repository": repository,
        "commit": sha,
        "path": path,
        "unit": "file" if unit.name is None else "function",
        "name": unit.name,
        "message": message,
        "old": unit.old,
        "new": unit.new,
        "licence": licence,
    }


def _the_file(repo: Any, commit: Any, message: str) -> tuple[Any, Any]:
    """The two entries of the one Python file that a commit changed."""
    from dulwich.diff_tree import tree_changes

    if len(commit.parents) != 1:
        raise _Skip("a merge" if commit.parents else "the first commit")
    if message.lower().startswith(_REVERTS) or "this reverts commit" in message.lower():
        raise _Skip("a revert")
    if not message:
        raise _Skip("no message")
    parent = commit.parents[0]
    if parent not in repo.object_store:
        raise _Skip("its parent is not here: the history is shallow")
    try:
        changes = list(tree_changes(repo.object_store, repo[parent].tree, commit.tree))
    except KeyError as error:
        raise _Skip(_MISSING) from error
    if len(changes) != 1:
        raise _Skip(f"{len(changes)} files changed" if changes else "no file changed")
    (change,) = changes
    if change.type != "modify":
        raise _Skip(f"a file was not modified but: {change.type}")
    if change.old.mode not in _REGULAR or change.new.mode not in _REGULAR:
        raise _Skip("not a regular file: a submodule or a link")
    if not change.new.path.endswith(b".py"):
        raise _Skip("not a Python file")
    return change.old, change.new


def _text(repo: Any, entry: Any, settings: MiningSettings) -> str:
    try:
        _, data = repo.object_store.get_raw(entry.sha)
    except KeyError as error:
        raise _Skip(_MISSING) from error
    if len(data) > settings.max_file_bytes:
        raise _Skip(f"a file of {len(data)} bytes: over the limit of {settings.max_file_bytes}")
    if b"\0" in data:
        raise _Skip("a binary file")
    try:
        return str(data.decode("utf-8-sig")).replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise _Skip("not UTF-8") from error


def _unit(before: str, after: str, settings: MiningSettings) -> _Unit:
    if parse(before) is None or parse(after) is None:
        raise _Skip("the code does not parse")
    if stripped(before) is None or stripped(after) is None:
        raise _Skip("the code is nested too deeply")
    if same(before, after):
        raise _Skip("only comments, docstrings or layout changed")
    unit = _one_function(before, after) or _Unit(None, before.strip(), after.strip())
    lines = max(text.count("\n") + 1 for text in (unit.old, unit.new))
    if lines > settings.max_lines:
        what = "a function" if unit.name else "more than one function, in a file"
        raise _Skip(f"{what} of {lines} lines: over the limit of {settings.max_lines}")
    if not unit.old or not unit.new:
        raise _Skip("one side is empty")
    if same(unit.old, unit.new):
        raise _Skip("only comments, docstrings or layout changed")
    return unit


def _one_function(before: str, after: str) -> _Unit | None:
    """The function whose change is the whole change;
    None where more, or something else, changed.
    """
    old, new = _functions(before), _functions(after)
    changed = [name for name in old if name in new and old[name] != new[name]]
    if old.keys() != new.keys() or len(changed) != 1:
        return None
    (name,) = changed
    if not same(_without(before, old[name]), _without(after, new[name])):
        return None
    return _Unit(name, _dedented(old[name]), _dedented(new[name]))


def _dedented(part: str) -> str:
    """Without the first line's indentation.

    Lines that have less, as in a text of many lines, stay as they are.
    """
    return re.sub(f"^{_indent(part)}", "", part, flags=re.MULTILINE).strip()


def _indent(part: str) -> str:
    return part[: len(part) - len(part.lstrip(" \t"))]


def _without(text: str, part: str) -> str:
    """The text with `pass` in the function's place, so that what is around it still parses."""
    return text.replace(part, f"{_indent(part)}pass\n", 1)


def _functions(source: str) -> dict[str, str]:
    """Source of each top-level function and each method of a top-level class,
    decorators included, whole lines.
    """
    # Not splitlines, which also ends a line at a form feed: the tree does not.
    tree, lines = ast.parse(source), list(io.StringIO(source, newline="\n"))
    found: dict[str, str] = {}
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    for body, prefix in [(tree.body, ""), *((node.body, node.name + ".") for node in classes)]:
        for node in body:
            if isinstance(node, Function):
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                found[prefix + node.name] = "".join(lines[first - 1 : node.end_lineno])
    return found


def _licence(repo: Any, tree: bytes, settings: MiningSettings) -> tuple[str | None, str]:
    try:
        entries = [item for item in repo[tree].items() if item.mode in _REGULAR]
        files = [
            item for item in entries if is_licence_file(item.path.decode("utf-8", errors="replace"))
        ]
        texts = [repo[item.sha].data.decode("utf-8", errors="replace") for item in files]
    except KeyError as error:
        raise _Skip(_MISSING) from error
    return one_of(texts, settings.licences)
