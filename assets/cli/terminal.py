"""What all commands share: output, and errors as one line."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from pipeline.errors import OrchardError

# Nothing is cut in a pipe or a log.
console = Console(width=None if sys.stdout.isatty() else 160, soft_wrap=True)
Profile = Annotated[
    str, typer.Option(envvar="ORCHARD_PROFILE", help="A shipped profile's name, or a YAML file.")
]


def one_line_errors(command: Callable[..., None]) -> Callable[..., None]:
    """What the user can mend is one line on standard error and exit status 1, never a traceback."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except OrchardError as error:
            print(f"orchard: {error}", file=sys.stderr)
            raise typer.Exit(1) from error

    return wrapped


def show(columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    """A table on standard output."""
    table = Table(*columns, box=box.SIMPLE, pad_edge=False)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    console.print(table)
