"""The `orchard` command: run everything, look at the tables, open the web UI."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from pipeline import config
from pipeline.errors import OrchardError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
console = Console(width=None if sys.stdout.isatty() else 160, soft_wrap=True)  # nothing is cut in a pipe or a log
Profile = Annotated[str, typer.Option(envvar="ORCHARD_PROFILE", help="A shipped profile's name, or a YAML file.")]


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


@app.command()
@one_line_errors
def run(profile: Profile = "quick") -> None:
    """Materialise every asset through Dagster and show the leaderboard. What is up to date costs nothing."""
    from assets.running import materialise

    prepare(profile)
    start = time.perf_counter()
    materialise()
    show_leaderboard()
    home = config.home()
    console.print(f"\nDone in {time.perf_counter() - start:.0f} s. Report: {home / 'report.html'}")
    console.print("Next:")
    console.print("  make ui                          the web UI: assets, runs, plots, the nightly schedule")
    console.print("  .venv/bin/orchard tables         every table with its rows and version")
    console.print(
        '  .venv/bin/orchard sql "SELECT variant, depth, count(*) FROM preferences GROUP BY ALL ORDER BY ALL"'
    )


@app.command()
@one_line_errors
def sql(
    query: str, version: Annotated[int | None, typer.Option(help="Read the tables at this version.")] = None
) -> None:
    """Run a DuckDB query on the tables."""
    from pipeline.store import Lake

    with Lake(config.home()) as lake:
        frame = lake.sql(query, version=version)
    show(frame.columns, frame.rows())


@app.command()
@one_line_errors
def tables() -> None:
    """Every table with its rows and version."""
    from pipeline.store import Lake
    from pipeline.tables import TABLES

    with Lake(config.home()) as lake:
        rows = [(name, lake.read(name).height, lake.version(name), schema.__doc__) for name, schema in TABLES.items()]
    show(["table", "rows", "version", "what a row is"], rows)


@app.command(name="mine-commits")
@one_line_errors
def mine_commits(path: Path, profile: Profile = "quick") -> None:
    """Take commits that changed one Python function or file from a local git repository, into code_changes."""
    from assets.mining import mine_into_lake

    counts = mine_into_lake(path, profile)
    show(["what became of a commit", "commits"], [*counts.items()])


@app.command()
@one_line_errors
def ui(profile: Profile = "quick", port: int = 3000) -> None:
    """Open the Dagster web UI and its daemon on 127.0.0.1. Ctrl-C ends both."""
    prepare(profile)
    arguments = [str(Path(sys.executable).with_name("dagster")), "dev", "-w", str(config.ROOT / "workspace.yaml")]
    arguments += ["-h", "127.0.0.1", "-p", str(port)]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)  # a script's background job would ignore them, and so would dagster
    os.execv(arguments[0], arguments)


def prepare(profile: str) -> None:
    """Checks the profile and makes the folders that Dagster needs."""
    from pipeline.preferences.build import variant

    for name in config.load(profile).validation.variants:
        variant(name)  # before anything is sampled
    os.environ["ORCHARD_PROFILE"] = profile
    dagster_home = config.home() / "dagster"
    try:
        dagster_home.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(config.ROOT / "dagster.yaml", dagster_home / "dagster.yaml")
    except OSError as error:
        raise OrchardError(
            f"data folder {config.home()}: {error.strerror}: set ORCHARD_HOME to a writable folder"
        ) from error
    os.environ["DAGSTER_HOME"] = str(dagster_home)


def show_leaderboard() -> None:
    """The leaderboard in the terminal."""
    from pipeline.store import Lake

    with Lake(config.home()) as lake:
        board = lake.query_file("leaderboard")
    show(board.columns, board.rows())


def show(columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    """A table on standard output."""
    table = Table(*columns, box=box.SIMPLE, pad_edge=False)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    console.print(table)


def main() -> None:
    """Entry point."""
    # Waiting threads sleep instead of spinning: beside a busy neighbour, spinning made training several times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()
