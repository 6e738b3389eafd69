"""Columns of an unknown layout under the names of a known one: `prompt=question,chosen=out.best`.

A name with points leads into nested objects. What a row lacks there is absent; where something else
than an object is in the way, the row is a reject.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from pipeline.cells import BROKEN, BadRow, kind_of
from pipeline.errors import OrchardError
from pipeline.prompts.record import to_json
from pipeline.sources.parts import Part, Row

Path = tuple[str, ...]  # a column, and the keys that lead into its objects
_SHOWN = 40  # column names in a message


def parse(given: Sequence[str]) -> dict[str, str]:
    """{our name: their column} of texts such as "prompt=question,chosen=best".

    Raises:
        OrchardError: a text that is not of that form, or one of our names twice.
    """
    found: dict[str, str] = {}
    for one in (piece.strip() for text in given for piece in text.split(",")):
        ours, _, theirs = (side.strip() for side in one.partition("="))
        if not ours or not theirs:
            raise OrchardError(f"map: {one!r} names no two columns: write ours=theirs,...")
        if ours in found:
            raise OrchardError(
                f"map: {ours!r} stands twice, for {found[ours]!r} and {theirs!r}: leave one out"
            )
        found[ours] = theirs
    return found


def with_our_names(parts: list[Part], names: Mapping[str, str], where: str) -> list[Part]:
    """The parts of a source with columns renamed.

    Args:
        parts: the parts as they were read.
        names: {our name: their column, or a path with points into its objects}.
        where: the source, for people.

    Raises:
        OrchardError: a column that no part has, a name that another column has, or one column
            under two names.
    """
    if not names:
        return parts
    known = _places(parts)
    columns = {path[0] for path in known.values()}
    paths: dict[str, Path] = {}
    for ours, theirs in names.items():
        if theirs not in known:
            raise _wrong(where, f"there is no column {theirs!r}", known)
        paths[ours] = known[theirs]
    for ours in paths:
        # A name is free where its column goes to another one.
        if ours in columns and (ours,) not in paths.values():
            raise _wrong(where, f"{ours!r} is the name of another column already", known)
    _refuse_repeats(paths, where, known)
    return [_renamed_part(part, paths) for part in parts]


def _places(parts: list[Part]) -> dict[str, Path]:
    """Where each name lies: every column, and with points between what lies in their objects."""
    places: dict[str, Path] = {name: (name,) for part in parts for name in part.columns}
    for part in parts:
        for _, row in part.rows:
            for path in () if BROKEN in row else _paths((), row):
                places.setdefault(".".join(path), path)
    return places


def _paths(outer: Path, value: Any) -> Iterator[Path]:
    for key in value if isinstance(value, dict) else ():
        yield (*outer, key)
        yield from _paths((*outer, key), value[key])


def _refuse_repeats(paths: Mapping[str, Path], where: str, known: Collection[str]) -> None:
    seen: list[Path] = []
    for path in paths.values():
        for other in seen:
            shorter = min(path, other, key=len)
            if path[: len(shorter)] == other[: len(shorter)]:
                raise _wrong(where, f"{'.'.join(shorter)!r} is taken twice", known)
        seen.append(path)


def _wrong(where: str, what: str, known: Collection[str]) -> OrchardError:
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return OrchardError(
        f"{where}: map: {what}: its columns are {', '.join(islice(known, _SHOWN))}{more}"
    )


def _renamed_part(part: Part, paths: Mapping[str, Path]) -> Part:
    whole = {path[0] for path in paths.values() if len(path) == 1}
    columns = [
        *(ours for ours, path in paths.items() if path[0] in part.columns),
        *(name for name in part.columns if name not in whole),
    ]
    rows = [(number, _renamed(row, paths)) for number, row in part.rows]
    return replace(part, rows=rows, columns=columns)


def _renamed(row: Row, paths: Mapping[str, Path]) -> Row:
    """A row under our names; what was not taken of it stays as it is."""
    if BROKEN in row:
        return row
    try:
        taken = {ours: _at(row, path) for ours, path in paths.items()}
    except BadRow as bad:
        return {BROKEN: str(bad), "line": to_json(row)[:500]}
    rest = row
    for path in paths.values():
        rest = _without(rest, path)
    return {**taken, **rest}


def _at(row: Row, path: Path) -> Any:
    """What lies at a path; null where the row has nothing there.

    Raises:
        BadRow: something that is no object lies in the way.
    """
    value: Any = row
    for depth, key in enumerate(path):
        if value is None:
            return None
        if not isinstance(value, dict):
            way = ".".join(path[:depth])
            raise BadRow(f"{way} holds {kind_of(value)}, not an object with {key!r}")
        value = value.get(key)
    return value


def _without(row: Row, path: Path) -> Row:
    """The row without what lies at a path, and without objects that it leaves empty."""
    key, *keys = path
    inner = row.get(key)
    if not keys or not isinstance(inner, dict):
        return {name: value for name, value in row.items() if keys or name != key}
    left = _without(inner, tuple(keys))
    return {**row, key: left} if left else {n: v for n, v in row.items() if n != key}
