"""What all commands share: output, and errors as one line."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.errors import OrchardError
from pipeline.escaped import visible

# Nothing is cut in a pipe or a log.
console = Console(width=None if sys.stdout.isatty() else 200, soft_wrap=True)
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
            print(f"orchard: {visible(str(error))}", file=sys.stderr)
            raise typer.Exit(1) from error

    return wrapped


def say(text: str = "") -> None:
    """Prints a line, whatever it quotes: the terminal library reads no markup in it."""
    console.print(Text(visible(text)))


def show(columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    """A table on standard output."""
    table = Table(box=box.SIMPLE, pad_edge=False)
    for name in columns:
        table.add_column(Text(visible(name)))
    for row in rows:
        # texts, and not markup: in rich's own language [INST] is an error and [i] is nothing
        table.add_row(*(Text("" if value is None else visible(str(value))) for value in row))
    console.print(table)
