"""Every table's columns, types, units and rules, declared once.

Conventions for all tables: ids are content hashes, joins go by id, higher is better, probabilities
lie in [0, 1], an unknown number is null and never a sentinel, and text is stripped once, where it
enters.
"""

from importlib import import_module
from pkgutil import iter_modules

import polars as pl

from pipeline.tables.declared import TABLES, table
from pipeline.tables.terms import METHODS, SPLITS, VALUATIONS, Split

__all__ = ["METHODS", "SPLITS", "Split", "TABLES", "VALUATIONS", "columns", "empty", "table"]

for _found in iter_modules(__path__):  # importing is declaring
    import_module(f"{__name__}.{_found.name}")
# Schemas under the names of their classes too, such as tables.Votes: for notebooks and tests.
globals().update({schema.__name__: schema for schema in TABLES.values()})


def columns(table: str) -> list[tuple[str, str, str]]:
    """(name, type, meaning) of every column of a table, for documentation and the web UI."""
    schema = TABLES[table]
    return [
        (name, str(column.dtype), (column.metadata or {}).get("doc", ""))
        for name, column in schema.columns().items()
    ]


def empty(table: str) -> pl.DataFrame:
    """An empty frame with a table's columns and types."""
    return TABLES[table].create_empty()
