"""The version of the code behind an asset: a hash of what its modules say, comments left out."""

import ast
import hashlib
from pathlib import Path

from pipeline.shipped import ROOT, SHIPPED


def code_version(*places: str) -> str:
    """12 digits over the syntax trees of Python files and the text of others.

    Places are paths in the checkout.

    Comments and layout do not count, docstrings do (they are part of the syntax tree).
    """
    total = hashlib.blake2b(digest_size=6)
    for place in sorted(places):
        base = SHIPPED if place.startswith("sql/") else ROOT
        path = base / place
        files = (
            sorted(p for p in path.rglob("*") if p.suffix in (".py", ".sql"))
            if path.is_dir()
            else [path]
        )
        for file in files:
            total.update(file.relative_to(base).as_posix().encode() + _meaning(file))
    return total.hexdigest()


def _meaning(file: Path) -> bytes:
    text = file.read_text(encoding="utf-8")
    return (ast.dump(ast.parse(text)) if file.suffix == ".py" else text).encode()
