"""What a room below others may import: pipeline/sources knows nothing of those above it."""

import ast
from collections.abc import Iterator
from pathlib import Path

from pipeline.shipped import ROOT

ABOVE = {
    "trees", "judge", "noise", "synthesis", "rewards", "preferences", "training", "validation",
    "selection", "steps", "export",
}  # fmt: skip


def imported_by(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_sources_import_only_rooms_below_them() -> None:
    for path in (ROOT / "pipeline" / "sources").glob("*.py"):
        for name in imported_by(path):
            first, _, rest = name.partition(".")
            room = rest.partition(".")[0]
            assert first != "assets" and not (first == "pipeline" and room in ABOVE), (path, name)
