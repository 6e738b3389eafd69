"""The `orchard` command: run everything, look at the tables, open the web UI."""

import os
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from assets import cache_cli
from assets.terminal import console, one_line_errors, show
from pipeline import config
from pipeline.errors import OrchardError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.add_typer(cache_cli.app, name="cache")
Profile = Annotated[str, typer.Option(envvar="ORCHARD_PROFILE", help="A shipped profile's name, or a YAML file.")]


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


@app.command(name="import")
@one_line_errors
def import_(
    path: Annotated[Path, typer.Argument(help="Recorded votes or labelled pairs: JSONL, JSON, CSV or Parquet.")],
    profile: Profile = "quick",
) -> None:
    """Bring in a judge's past votes, or labelled pairs, and show the judge's report card. No model is asked."""
    from assets.importing import bring

    brought = bring(path, config.load(profile).judge)
    console.print(f"{path.name}: {brought.votes} votes, {brought.pairs} pairs, {brought.rejected} rejected rows")
    for reason, n in brought.reasons:
        console.print(f"  {n} x {reason}")
    for judge_id, criterion, verdict in brought.cards.select("judge_id", "criterion", "verdict").iter_rows():
        console.print(f"{judge_id}, {criterion}: {verdict}")


@app.command()
@one_line_errors
def tree(
    prompt_id: Annotated[str, typer.Argument(help="A prompt's id, or its beginning.")],
    method: Annotated[str | None, typer.Option(help="best_first or tot; default: both.")] = None,
) -> None:
    """Print a prompt's trees: steps, values, counts; the best path is marked with *."""
    from pipeline.store import Lake
    from pipeline.trees.show import drawing, find

    with Lake(config.home()) as lake:
        found = find(lake, prompt_id, method)
    for question, rows in found:
        console.print(drawing(question, rows.to_dicts()))


@app.command("noise-test")
@one_line_errors
def noise_test(profile: Profile = "quick") -> None:
    """Flip labels of your own pairs on purpose: which score finds them, and which treatment helps?"""
    from assets.noise import self_test
    from pipeline.engine.model import resolve
    from pipeline.store import Lake

    settings = config.load(profile)
    with Lake(config.home()) as lake:
        found = self_test(lake, settings, resolve(settings.model, config.home()))
        for name in ("noise_scorers", "noise_treatments"):
            query = (config.ROOT / "sql" / f"{name}.sql").read_text(encoding="utf-8")
            board = lake.sql(query, frames={"noise_tests": found.rows})
            show(board.columns, board.rows())


@app.command()
@one_line_errors
def steptruth(
    file: Annotated[Path, typer.Argument(help="ProcessBench or PRMBench rows as JSON or JSONL, gzipped or not.")],
    profile: Profile = "quick",
    value: Annotated[str, typer.Option(help="verdict, score or rollouts (which need a column `answer`).")] = "verdict",
    threshold: Annotated[float, typer.Option(min=0, max=1, help="A step valued below it counts as wrong.")] = 0.5,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many rows.")] = None,
) -> None:
    """Measure how well the model's step values agree with people's labels of right and wrong steps."""
    from pipeline.engine.model import resolve
    from pipeline.engine.room import EngineRoom
    from pipeline.progress import bar
    from pipeline.trees import truth

    settings = config.load(profile)
    solutions = truth.read(file, limit)
    thoughts = config.section(settings.thoughts, value=value)
    room = EngineRoom(settings, config.home())
    try:
        with bar("step values") as advance:
            engine = room.engine(resolve(settings.model, config.home()))
            scored, rejects = truth.score(engine, solutions, thoughts, settings.seed, advance)
    finally:
        room.close()
    found = {**truth.report(scored, threshold), "rejected": len(rejects)}
    show(["measure", "value"], [(name, round(x, 4) if isinstance(x, float) else x) for name, x in found.items()])
    for reason, n in Counter(reject.reason for reject in rejects).items():
        console.print(f"rejected {n}: {reason}")


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


def main() -> None:
    """Entry point."""
    # Waiting threads sleep instead of spinning: beside a busy neighbour, spinning made training several times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()
