"""Whether the lake's files are sound, and the way back to a copy of its catalog."""

from typing import Annotated

import typer

from assets.cli.terminal import one_line_errors, say
from pipeline import config
from pipeline.errors import OrchardError

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)


@app.command()
@one_line_errors
def verify(
    repair: Annotated[
        bool, typer.Option(help="Drop what is lost, so that the next run makes it again.")
    ] = False,
) -> None:
    """Compare every data file with the size, rows and checksum of its commit.

    Nothing is changed without --repair. Exit status 1: a current version or a release is broken.
    """
    from pipeline.store import Lake

    with Lake(config.home()) as lake:
        for line in lake.repair() if repair else ():
            say(line)
        found = lake.verify()
        for line in lake.said(found):
            say(line)
    if not found.sound:
        what = (
            "what is still broken needs a backup"
            if repair
            else "`orchard lake verify --repair` mends what can be mended"
        )
        raise OrchardError(f"lake in {config.home() / 'lake'}: not as it was committed: {what}")


@app.command()
@one_line_errors
def restore(
    copy: Annotated[
        str | None, typer.Argument(help="A file's name in lake/copies; default: the latest.")
    ] = None,
) -> None:
    """Put a copy in the catalog's place; what is replaced is moved aside."""
    from pipeline.store import copies

    taken, aside = copies.restore(config.home() / "lake", copy)
    say(f"the catalog is {taken.name} again; what it replaces is in {aside}")
