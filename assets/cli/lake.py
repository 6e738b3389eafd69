"""Whether the lake's files are sound, and the way back to a copy of its catalog."""

from typing import Annotated

import typer

from assets.cli.terminal import one_line_errors, say
from pipeline import config
from pipeline.store.copies import restore as restore_catalog

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)


@app.command()
@one_line_errors
def restore(
    copy: Annotated[
        str | None, typer.Argument(help="A file's name in lake/copies; default: the latest.")
    ] = None,
) -> None:
    """Put a copy in the catalog's place; what is replaced is moved aside."""
    taken, aside = restore_catalog(config.home() / "lake", copy)
    say(f"the catalog is {taken.name} again; what it replaces is in {aside}")
