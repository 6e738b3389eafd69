"""Before a run: a few prompts through a step, and what a whole run would cost."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from assets.cli.terminal import Profile, one_line_errors, say, show
from pipeline import config
from pipeline.errors import OrchardError

if TYPE_CHECKING:
    from pipeline.steps import Step
    from pipeline.steps.plan import Plan, Planned
    from pipeline.steps.trial import Trial

app = typer.Typer()
UNKNOWN = "?"


@app.command()
@one_line_errors
def preview(
    step: Annotated[str, typer.Argument(help="Whose rows to show.")] = "preferences",
    part: Annotated[
        str | None, typer.Option(help="One part of it, such as a variant; default: all.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Training prompts to take, and rows.")] = 5,
    profile: Profile = "quick",
) -> None:
    """Run a few prompts through a step and all that it needs, and show the rows.

    The tables stay as they are. What is sampled is kept for the next run, and what it cost is what
    `orchard run --plan` reckons with.
    """
    from assets.cli.main import prepare
    from assets.steps import GRAPH
    from pipeline import extensions
    from pipeline.readable import spread, told_row
    from pipeline.steps import rates
    from pipeline.steps.trial import tried
    from pipeline.verify import code

    prepare(profile)
    settings, home = config.load(profile), config.home()
    extensions.load(settings.extensions)
    code.use(settings.sandbox)
    chosen = _step(step, part, settings)
    found = tried(GRAPH, chosen, part, settings, home, rows)
    rates.keep(home, found.rates)
    assert chosen.table is not None
    for number, row in enumerate(spread(found.rows.to_dicts(), rows), start=1):
        say(f"--- {chosen.table}, row {number} of {found.rows.height} ---")
        for column, text in told_row(chosen.table, row):
            say(f"{column}: {text}" if "\n" not in text else f"{column}:\n{_indented(text)}")
    _say_cost(found)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def _step(name: str, part: str | None, settings: config.Settings) -> "Step":
    from assets.steps import GRAPH

    if name not in GRAPH.steps:
        known = ", ".join(one.name for one in GRAPH.steps.values() if one.table)
        raise OrchardError(f"no step is named {name!r}: the steps are {known}")
    step = GRAPH.steps[name]
    parts = list(step.all_parts(settings)) if step.all_parts else []
    if part is not None and part not in parts:
        has = f"its parts are {', '.join(parts)}" if parts else "it has no parts"
        raise OrchardError(f"{name} has no part {part!r}: {has}")
    return step


def _say_cost(found: "Trial") -> None:
    """Each step that was made, what it cost, and why rows were left out."""
    say()
    show(
        ["step", "prompts", "requests", "tokens", "s in models", "rows"],
        [
            (name, one.prompts, one.requests, one.tokens, f"{one.engine_seconds:.1f}", one.rows)
            for name, one in found.rates.items()
        ],
    )
    reasons = Counter(found.rejects.select("step", "reason").iter_rows())
    for (step, reason), count in reasons.most_common(5):
        say(f"  {step}: left out {count} x {reason}")


def show_plan(profile: str) -> None:
    """What a run would make and cost, in the terminal."""
    from assets.steps import GRAPH
    from pipeline import extensions
    from pipeline.engine.room import EngineRoom
    from pipeline.steps import RunContext
    from pipeline.steps.plan import plan
    from pipeline.store import Lake

    settings, home = config.load(profile), config.home()
    extensions.load(settings.extensions)
    with Lake(home) as lake:
        run = RunContext(settings, lake, EngineRoom(settings, home), home, "plan", GRAPH)
        found = plan(GRAPH, run)
    say(f"up to date: {len(found.up_to_date)} of {len(found.up_to_date) + len(found.to_make)}")
    if not found.to_make:
        say("nothing to make")
        return
    columns = ["to make", "prompts", "requests", "tokens", "hours", "rows", "MB", "measured by"]
    show(columns, [*map(_line, found.to_make), _total(found)])
    _say_unknown(found)


def _line(one: "Planned") -> tuple[object, ...]:
    figures = _figures(one.requests, one.tokens, one.seconds, one.rows, one.bytes)
    return (one.name, one.prompts if one.asks else "", *figures, one.measured or UNKNOWN)


def _total(found: "Plan") -> tuple[object, ...]:
    known = [one for one in found.to_make if one.measured]
    sums = (
        sum(getattr(one, name) or 0 for one in known)
        for name in ("requests", "tokens", "seconds", "rows", "bytes")
    )
    return ("together", "", *_figures(*sums), "")


def _figures(
    requests: int | None, tokens: int | None, seconds: float | None, rows: int | None,
    size: int | None,
) -> tuple[str, ...]:  # fmt: skip
    return (
        *(UNKNOWN if one is None else f"{one:,}" for one in (requests, tokens)),
        UNKNOWN if seconds is None else f"{seconds / 3600:.3f}",
        UNKNOWN if rows is None else f"{rows:,}",
        UNKNOWN if size is None else f"{size / 1e6:.2f}",
    )


def _say_unknown(found: "Plan") -> None:
    """What the figures leave out."""
    say("estimates; completions that the cache holds cost nothing, and are not taken off")
    unknown = [one.name for one in found.to_make if not one.measured and one.asks]
    if unknown:
        say(f"not measured yet: {', '.join(unknown)}: `orchard preview` measures them")
