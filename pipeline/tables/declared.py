"""All tables by name, each declared once: by a decorator on its schema.

@table("votes")
class Votes(dy.Schema):
    votes_id = ...  # its columns, each with its meaning
"""

from collections.abc import Callable
from typing import TypeVar

import dataframely as dy

Schema = TypeVar("Schema", bound=type[dy.Schema])
TABLES: dict[str, type[dy.Schema]] = {}


def table(name: str) -> Callable[[Schema], Schema]:
    """Declares a table of that name, with the columns of the class.

    Raises:
        ValueError: another table has that name.
    """

    def declare(schema: Schema) -> Schema:
        if name in TABLES:
            raise ValueError(f"two tables are called {name!r}: {TABLES[name]} and {schema}")
        TABLES[name] = schema
        return schema

    return declare
