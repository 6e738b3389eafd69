"""The `orchard` command: run everything, look at the tables, open the web UI."""

import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assets.cli import cache, erasing, evaluating, looking, talking, tools
from assets.cli.lake import app as lake_app
from assets.cli.terminal import Profile, one_line_errors, say, show
from pipeline import config
from pipeline.errors import OrchardError

if TYPE_CHECKING:
    import polars as pl

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)
app.add_typer(cache.app, name="cache")
app.add_typer(lake_app, name="lake")


@app.command()
@one_line_errors
def run(
    profile: Profile = "quick",
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the live run of this home, if there is one.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only say what would be made, and what it would cost.")
    ] = False,
) -> None:
    """Materialise every asset through Dagster and show the leaderboard.

    What is up to date costs nothing. Where the web UI is open, the run goes to its queue.
    """
    from assets.running import materialise

    prepare(profile)
    if plan:
        looking.show_plan(profile)
        return
    start = time.perf_counter()
    materialise(profile, wait=wait)
    show_leaderboard(profile)
    home = config.home()
    say(f"\nDone in {time.perf_counter() - start:.0f} s. Report: {home / 'report.html'}")
    say("Next:")
    say("  make ui                          the web UI: assets, runs, plots, the nightly schedule")
    say("  .venv/bin/orchard tables         every table with its rows and version")
    say(
        '  .venv/bin/orchard sql "SELECT variant, depth, count(*) FROM preferences '
        'GROUP BY ALL ORDER BY ALL"'
    )


@app.command()
@one_line_errors
def sql(
    query: Annotated[
        str, typer.Argument(help="A SELECT, or a .sql file: a path, or a name in sql/.")
    ],
    version: Annotated[int | None, typer.Option(help="Read the tables at this version.")] = None,
    files: Annotated[
        bool, typer.Option("--files", help="The query may read other files, too.")
    ] = False,
) -> None:
    """Run a DuckDB query on the tables."""
    from pipeline.store import Lake

    if query.endswith(".sql"):
        found = [
            path for path in (Path(query), config.SHIPPED / "sql" / query) if os.path.isfile(path)
        ]
        if not found:
            raise OrchardError(f"no file {query!r}, here or in {config.SHIPPED / 'sql'}")
        query = found[0].read_text(encoding="utf-8")
    with Lake(config.home()) as lake:
        if not files:
            lake.confine()
        frame = lake.sql(query, version=version)
    show(frame.columns, frame.rows())


@app.command()
@one_line_errors
def tables() -> None:
    """Every table with its rows and version."""
    from pipeline.store import Lake
    from pipeline.tables import TABLES

    with Lake(config.home()) as lake:
        rows = [
            (name, lake.read(name).height, lake.version(name), _in_one_line(schema.__doc__ or ""))
            for name, schema in TABLES.items()
        ]
    show(["table", "rows", "version", "what a row is"], rows)


def _in_one_line(docstring: str) -> str:
    return " ".join(docstring.split())


@app.command()
@one_line_errors
def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder, on another disk best.")],
) -> None:
    """Copy the home: tables with all their versions, policies, completions, runs.

    Others may read and write meanwhile. Models are left out: they are made again.
    """
    from pipeline.store.backup import back_up_home

    version, files, size = back_up_home(config.home(), folder.absolute())
    say(f"{folder}: version {version} of {config.home()}, {files} files, {size / 1e6:.1f} MB")


@app.command()
@one_line_errors
def restore(
    folder: Annotated[Path, typer.Argument(help="What `orchard backup` made.")],
) -> None:
    """Make a home of a backup: ORCHARD_HOME must be empty, or not there yet."""
    from pipeline.store.backup import restore_home

    version, files = restore_home(folder.absolute(), config.home())
    say(f"{config.home()}: version {version}, {files} files, each as it was backed up")


@app.command()
@one_line_errors
def ui(profile: Profile = "quick", port: int = 3000) -> None:
    """Open the Dagster web UI and its daemon on 127.0.0.1. Ctrl-C ends both."""
    from assets.webui import claim_ui

    prepare(profile)
    claim_ui(profile, port)
    arguments = [
        str(Path(sys.executable).with_name("dagster")),
        "dev",
        "-w",
        str(config.SHIPPED / "workspace.yaml"),
    ]
    arguments += ["-h", "127.0.0.1", "-p", str(port)]
    for number in (signal.SIGINT, signal.SIGTERM):
        # A script's background job would ignore them, and so would dagster.
        signal.signal(number, signal.SIG_DFL)
    os.execv(arguments[0], arguments)


def prepare(profile: str) -> None:
    """Checks the profile and makes the folders that Dagster needs."""
    from assets.steps import GRAPH
    from pipeline.named import check_names
    from pipeline.preferences.custom import check
    from pipeline.steps.chat import check_chat
    from pipeline.steps.room import check_room
    from pipeline.store import Lake

    settings = config.load(profile)
    check_names(settings)  # before anything is sampled
    check_room(GRAPH, settings)
    check_chat(GRAPH, settings)
    if settings.variants:
        with Lake(config.home()) as lake:
            check(settings, lake)
    os.environ["ORCHARD_PROFILE"] = profile
    dagster_home = config.home() / "dagster"
    try:
        dagster_home.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(config.SHIPPED / "dagster.yaml", dagster_home / "dagster.yaml")
    except OSError as error:
        raise OrchardError(
            f"data folder {config.home()}: {error.strerror}: set ORCHARD_HOME to a writable folder"
        ) from error
    os.environ["DAGSTER_HOME"] = str(dagster_home)


def show_leaderboard(profile: str) -> None:
    """The leaderboard in the terminal, what was not equal between its variants,
    and those that have no policy.
    """
    from assets.steps import GRAPH
    from pipeline.store import Lake
    from pipeline.validation.footing import unequal
    from pipeline.validation.untrained import untrained

    settings = config.load(profile)
    with Lake(config.home()) as lake:
        board, rows = lake.query_file("leaderboard"), lake.read("leaderboard")
        sets = lake.query_file("evaluation_sets")
        apart = unequal(rows, lake.read("training_runs"))
        found = untrained(lake, settings, lambda reads: GRAPH.tables_behind(reads, settings))
    without = [f"Not trained: {sentence}" for sentence in found]
    board = _under_its_metric(board)
    show(board.columns, board.rows())
    if not sets.is_empty():
        show(sets.columns, sets.rows())
    for sentence in (*apart, *without):
        say(sentence)


def _under_its_metric(board: "pl.DataFrame") -> "pl.DataFrame":
    """The board with the metric that ranks it as the heading of its values: a column less, so that
    a line of it is a line of the terminal.
    """
    metrics = board["ranked by"].unique()
    if len(metrics) != 1:
        return board
    return board.drop("ranked by").rename({"value": str(metrics[0])})


# After ours: `--help` shows them in this order.
app.registered_commands += [
    *erasing.app.registered_commands,
    *tools.app.registered_commands,
    *looking.app.registered_commands,
    *evaluating.app.registered_commands,
    *talking.app.registered_commands,
]


def main() -> None:
    """Entry point."""
    # Waiting threads sleep instead of spinning: beside a busy neighbour, spinning made training
    # several times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()


if __name__ == "__main__":
    main()
