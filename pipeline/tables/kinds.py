"""The kinds of columns that tables are made of, each with its meaning in words."""

from collections.abc import Sequence
from typing import Any

import dataframely as dy


def meaning(doc: str) -> dict[str, Any]:
    """Metadata: what a column means."""
    return {"doc": doc}


def messages(doc: str, *, nullable: bool = False) -> dy.List:
    """Chat turns."""
    turn = dy.Struct({"role": dy.String(), "content": dy.String()})
    return dy.List(turn, nullable=nullable, metadata=meaning(doc))


def identifier(doc: str, *, key: bool = False, nullable: bool = False) -> dy.String:
    """A content hash."""
    return dy.String(primary_key=key, nullable=nullable, metadata=meaning(doc))


def text(doc: str, *, nullable: bool = False) -> dy.String:
    """Text."""
    return dy.String(nullable=nullable, metadata=meaning(doc))


def token_ids(doc: str) -> dy.List:
    """Tokens as a model sampled them; null where a text says it all."""
    return dy.List(dy.Int64(), nullable=True, metadata=meaning(f"{doc}; null: they do"))


def count(doc: str, *, nullable: bool = False) -> dy.Int64:
    """A whole number, at least 0."""
    return dy.Int64(min=0, nullable=nullable, metadata=meaning(doc))


def share(doc: str, *, nullable: bool = False) -> dy.Float64:
    """A probability or share in [0, 1]."""
    return dy.Float64(min=0, max=1, nullable=nullable, allow_nan=False, metadata=meaning(doc))


def number(doc: str, *, nullable: bool = False) -> dy.Float64:
    """A finite number."""
    return dy.Float64(nullable=nullable, allow_inf=False, allow_nan=False, metadata=meaning(doc))


def choice(values: Sequence[str], doc: str) -> dy.String:
    """One of a few words."""
    # A string with a rule and not an enum: DuckLake has no enum type.
    return dy.String(check=lambda column: column.is_in(list(values)), metadata=meaning(doc))


def flag(doc: str, *, nullable: bool = False) -> dy.Bool:
    """True or false."""
    return dy.Bool(nullable=nullable, metadata=meaning(doc))


def recipe() -> dy.String:
    """The recipe of a row that is made for its prompt alone."""
    doc = "hash of the code, settings, models and inputs that made it; null: unknown, or imported"
    return dy.String(nullable=True, metadata=meaning(doc))
