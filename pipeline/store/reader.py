"""What code that reads the lake may ask of it:
the lake itself, or the part that a step declares.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import polars as pl

from pipeline.store.database import Parameters


class Reader(Protocol):
    """Reads tables, as they are now."""

    def read(self, table: str, *, where: str | None = None) -> pl.DataFrame:
        """A table's rows; `where` is a condition in SQL."""
        ...

    def sql(
        self,
        query: str,
        parameters: Parameters = None,
        *,
        frames: Mapping[str, pl.DataFrame] | None = None,
    ) -> pl.DataFrame:
        """The rows of one SELECT; `frames` hide tables of the same name."""
        ...

    def query_file(
        self, name: str, /, *, frames: Mapping[str, pl.DataFrame] | None = None, **parameters: Any
    ) -> pl.DataFrame:
        """The rows of sql/<name>.sql."""
        ...

    def version(self, table: str) -> int:
        """The last version that changed a table."""
        ...

    def history(self, table: str) -> pl.DataFrame:
        """A table's commits, oldest first."""
        ...
