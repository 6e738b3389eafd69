"""Paths in a profile: every one of them is relative to the profile's own folder.

So a profile means the same files from wherever it is loaded: the command line, the web UI, cron.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.errors import OrchardError

Values = dict[str, Any]
EACH = "*"  # every item of a list


def beside(path: str, folder: Path) -> str:
    """A path as seen from a folder; absolute ones, those of a home folder and "" stay.

    Raises:
        OrchardError: the home folder of a user that does not exist.
    """
    try:
        return str(folder.resolve() / Path(path).expanduser()) if path else path
    except RuntimeError as error:
        raise OrchardError(f"path {path!r}: no such user: write the whole path") from error


def _dotted(name: str, folder: Path) -> str:
    """A model's name: a path where it begins with a dot, else a hub id, a package, a whole path."""
    return beside(name, folder) if name.startswith(".") else name


def _template(name: str, folder: Path) -> str:
    """A judge's template: a path where it has the ending of one, else a shipped name."""
    return beside(name, folder) if name.endswith(".jinja") else name


def _data(path: str, folder: Path) -> str:
    """A hub id or a folder: a path where it begins with a dot, or lies beside the profile."""
    return (
        beside(path, folder)
        if path.startswith(".") or os.path.exists(beside(path, folder))
        else path
    )


def _source(path: str, folder: Path) -> str:
    """A source of preference data: an id of the hub where it begins with hf:, else a path."""
    return path if path.startswith("hf:") else beside(path, folder)


# Where a profile may name a path, and how it is told from a name.
PATHS: tuple[tuple[tuple[str, ...], Callable[[str, Path], str]], ...] = (
    (("extensions", EACH), beside),
    (("variants", EACH, "sql"), beside),
    (("model", "name"), _dotted),
    (("policies", EACH, "model", "name"), _dotted),
    (("code", "critic", "name"), _dotted),
    (("judge", "models", EACH, "name"), _dotted),
    (("judge", "rationales", "model", "name"), _dotted),
    (("judge", "principles", "embedding", "name"), _dotted),
    (("judge", "template"), _template),
    (("noise", "external", EACH, "model"), _dotted),
    (("sources", EACH, "path"), _source),
    (("thoughts", "reward", "model"), _dotted),
)


def beside_profile(values: Values, folder: Path) -> Values:
    """The values of a profile's file with all paths absolute; checks of values come later."""
    for place, rule in PATHS:
        _change(values, place, rule, folder)
    for pool in _items(values.get("pools")):
        _change(pool, ("path",), _data if pool.get("source") == "datasets" else beside, folder)
    return values


def _change(
    values: Any, place: tuple[str, ...], rule: Callable[[str, Path], str], folder: Path
) -> None:
    """Applies a rule to the text at a place, where there is one."""
    first, *rest = place
    if first == EACH and not rest and isinstance(values, list):
        values[:] = [rule(one, folder) if isinstance(one, str) else one for one in values]
    elif first == EACH:
        for item in _items(values):
            _change(item, tuple(rest), rule, folder)
    elif isinstance(values, dict) and rest:
        _change(values.get(first), tuple(rest), rule, folder)
    elif isinstance(values, dict) and isinstance(values.get(first), str):
        values[first] = rule(values[first], folder)


def _items(values: Any) -> list[Values]:
    return [item for item in values if isinstance(item, dict)] if isinstance(values, list) else []
