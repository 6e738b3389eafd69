"""Commands for one task each:
look at a tree, bring in votes, mine commits, test scores and step values, export.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import polars as pl
import typer

from assets.cli.source_options import Configs, Limit, Name, Names, Source, Splits, asked_for
from assets.cli.terminal import Profile, console, one_line_errors, say, show
from pipeline import config, extensions

if TYPE_CHECKING:
    from assets.cli.importing import ImportSummary
    from assets.cli.importing_votes import BroughtVotes
    from pipeline.sources.opened import Opened

app = typer.Typer()
SHOWN = 5  # names of files in a line


@app.command(name="import")
@one_line_errors
def import_(
    source: Source,
    profile: Profile = "quick",
    name: Name = None,
    configs: Configs = None,
    splits: Splits = None,
    limit: Limit = None,
    names: Names = None,
) -> None:
    """Bring in preference data of public layouts, a judge's past votes, or votes on our pairs.

    Says how often voters are right where the lake knows it, and how far they agree with each other.
    """
    from assets.cli.importing import bring, layout_of
    from assets.cli.importing_votes import bring_votes
    from pipeline.sources.layout import VOTES

    settings = config.load(profile)
    extensions.load(settings.extensions)  # layouts of the user's own
    found = asked_for(source, configs, splits, limit, names, settings.personal_data)
    layout = layout_of(found)
    if layout == VOTES:
        _say_votes(bring_votes(found, settings.noise.duplicates, name), layout)
    else:
        _say_pairs(bring(found, settings.judge, name), layout)
    _say_left_out(found)


def _say_votes(brought: "BroughtVotes", layout: str) -> None:
    said = f"{brought.votes} votes on {brought.pairs} pairs, {brought.rejected} rejected rows"
    replaced = f"{brought.replaced} votes" if brought.replaced else None
    _say(brought.origin, layout, said, brought.reasons, replaced)
    rounded = brought.voters.with_columns(pl.col(pl.Float64).round(3))
    show(rounded.columns, rounded.rows())


def _say_pairs(brought: "ImportSummary", layout: str) -> None:
    said = (
        f"{brought.votes} votes, {brought.pairs} pairs, "
        f"{brought.rejected} rejected rows, {brought.repeated} repeats; "
        f"{brought.gave} of {brought.rows} rows gave something: "
        f"{brought.prompts} prompts, {brought.responses} responses, {brought.ties} ties"
    )
    replaced = _replaced(brought.replaced, brought.replaced_responses)
    _say(brought.origin, layout, said, brought.reasons, replaced)
    for judge_id, criterion, verdict in brought.cards.select(
        "judge_id", "criterion", "verdict"
    ).iter_rows():
        say(f"{judge_id}, {criterion}: {verdict}")


def _say_left_out(source: "Opened") -> None:
    """Names files of a folder that were not read."""
    if source.left_out:
        more = "" if len(source.left_out) <= SHOWN else ", ..."
        names = ", ".join(source.left_out[:SHOWN])
        say(f"  not read, for they hold no rows: {names}{more}")


def _replaced(pairs: int, responses: int) -> str | None:
    """What an earlier import of the same file had brought; null where there was none."""
    counts = {"pairs": pairs, "responses": responses}
    return " and ".join(f"{n} {name}" for name, n in counts.items() if n) or None


def _say(
    origin: str, layout: str, said: str, reasons: list[tuple[str, int]], replaced: str | None
) -> None:
    """What came of a source: what it was taken for, counts,
    what it replaced, and why rows were left out.
    """
    lines = [f"recognised: {layout}", f"{origin}: {said}"]
    lines += [f"  left out {n} x {reason}" for reason, n in reasons]
    lines += [f"  replaces {replaced} of an earlier {origin}"] if replaced else []
    for line in lines:
        say(line)


@app.command("import-code")
@one_line_errors
def import_code(
    source: Source,
    profile: Profile = "quick",
    name: Name = None,
    configs: Configs = None,
    splits: Splits = None,
    limit: Limit = None,
    names: Names = None,
) -> None:
    """Bring in pairs of naive and improved code, or another critic's replies, for CodeFavor.

    No model is asked.
    """
    from assets.cli.importing import bring_code

    personal = config.load(profile).personal_data
    opened = asked_for(source, configs, splits, limit, names, personal)
    found = bring_code(opened, name)
    pairs = ", ".join(f"{n} {method}" for method, n in found.methods.items())
    said = (
        f"pairs of code: {pairs}; "
        f"{found.tested} with tests, {found.rejected} rejected rows, {found.repeated} repeats"
    )
    _say(
        found.origin,
        found.layout,
        said,
        found.reasons,
        f"{found.replaced} pairs" if found.replaced else None,
    )
    _say_left_out(opened)


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
    """Flip labels of your own pairs: which score finds them, and which treatment helps?"""
    from pipeline.engine.model import resolve
    from pipeline.noise.trial import self_test
    from pipeline.preferences.variant import pairs_of
    from pipeline.store import Lake

    settings, home = config.load(profile), config.home()
    with Lake(home) as lake:
        pairs = pairs_of(lake, settings.noise.source)
        found = self_test(lake, pairs, settings, resolve(settings.model, home), home)
        for name in ("noise_scorers", "noise_treatments"):
            query = (config.SHIPPED / "sql" / f"{name}.sql").read_text(encoding="utf-8")
            board = lake.sql(query, frames={"noise_tests": found.rows})
            show(board.columns, board.rows())


@app.command()
@one_line_errors
def steptruth(
    file: Annotated[
        Path, typer.Argument(help="ProcessBench or PRMBench rows as JSON or JSONL, gzipped or not.")
    ],
    profile: Profile = "quick",
    value: Annotated[
        str,
        typer.Option(
            help="verdict, score, reward (of thoughts.reward) or rollouts (need `answer`)."
        ),
    ] = "verdict",
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="A step valued below it counts as wrong.")
    ] = 0.5,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many rows.")] = None,
) -> None:
    """Measure how well step values agree with people's labels of right and wrong steps."""
    from pipeline.engine.model import resolve
    from pipeline.engine.room import EngineRoom
    from pipeline.progress import bar
    from pipeline.rewards.values import rewards_of
    from pipeline.trees import truth

    settings = config.load(profile)
    solutions, unsound = truth.read(file, limit)
    thoughts = config.section(settings.thoughts, value=value)
    room = EngineRoom(settings, config.home())
    try:
        with bar("step values") as advance:
            engine = room.engine(resolve(settings.model, config.home()))
            reward = rewards_of(settings.model_copy(update={"thoughts": thoughts}))
            scored, rejects = truth.score(
                engine, solutions, thoughts, settings.seed, advance, reward
            )
    finally:
        room.close()
    rejects = [*unsound, *rejects]
    found = {**truth.report(scored, threshold), "rejected": len(rejects)}
    show(
        ["measure", "value"],
        [(name, round(x, 4) if isinstance(x, float) else x) for name, x in found.items()],
    )
    kinds: dict[str, list[str]] = {}  # reasons that differ in their numbers alone are one
    for reject in rejects:
        kinds.setdefault(re.sub(r"\d+", "#", reject.reason), []).append(
            f"{reject.row_id}: {reject.reason}"
        )
    for same in kinds.values():
        say(f"rejected {len(same)}, such as {same[0]}")


@app.command(name="mine-commits")
@one_line_errors
def mine_commits(path: Path, profile: Profile = "quick") -> None:
    """Take commits that changed one Python function or file from a local git repository.

    They go into the table code_changes.
    """
    from assets.cli.mining import mine_into_lake

    counts = mine_into_lake(path, profile)
    show(["what became of a commit", "commits"], [*counts.items()])


@app.command()
@one_line_errors
def export(
    variant: str,
    folder: Path,
    seed: Annotated[int | None, typer.Option(help="Of the training; default: the lowest.")] = None,
) -> None:
    """Copy a variant's trained policy to a folder in the hub's format.

    A card there tells its data and results.
    """
    from pipeline.export.card import export_policy
    from pipeline.store import Lake

    with Lake(config.home()) as lake:
        say(f"{variant}: {export_policy(lake, config.home(), variant, folder, seed)}")
