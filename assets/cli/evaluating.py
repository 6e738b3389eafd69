"""A policy that was trained elsewhere, brought onto the leaderboard."""

from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import polars as pl
import typer

from assets.cli.terminal import Profile, one_line_errors, say
from pipeline import config, extensions
from pipeline.errors import OrchardError

if TYPE_CHECKING:
    from pipeline.steps import RunContext
    from pipeline.store import Lake

app = typer.Typer()
STEPS = ("evaluations", "brought_evaluations", "metrics", "comparisons", "leaderboard", "report")


@app.command()
@one_line_errors
def evaluate(
    policy: Annotated[
        str, typer.Option("--policy", help="A folder of weights, a hub id, or a server's address.")
    ],
    name: Annotated[str, typer.Option("--as", help="Its name on the leaderboard.")],
    model: Annotated[str | None, typer.Option("--model", help="What the server calls it.")] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="The variable that holds the server's key.")
    ] = None,
    profile: Profile = "quick",
) -> None:
    """Evaluate a policy that was trained elsewhere as the profile's variants are.

    It stands on the leaderboard under that name, and stays there: `orchard run` evaluates it again
    where the tests changed. The same name again replaces it.
    """
    from assets.cli.main import prepare, show_leaderboard
    from assets.steps import GRAPH
    from pipeline.engine.room import EngineRoom
    from pipeline.live import live_run
    from pipeline.steps import RunContext
    from pipeline.store import Lake
    from pipeline.verify import code

    prepare(profile)
    settings, home = config.load(profile), config.home()
    extensions.load(settings.extensions)
    code.use(settings.sandbox)
    room = EngineRoom(settings, home)
    what = f"orchard evaluate, profile {profile}"
    with live_run(home, what), Lake(home) as lake, closing(room):
        run = RunContext(settings, lake, room, home, uuid4().hex, GRAPH)
        _bring(run, policy, name, model, key)
        for step in STEPS:
            _make(run, step)
        row = _row_of(lake, name)
    show_leaderboard(profile)
    say(row["conclusion"])
    if (ratio := row["answer_length_ratio"]) is not None:
        say(f"Its answers are {ratio:.2f} times as long as the base model's.")


def _bring(run: "RunContext", policy: str, name: str, model: str | None, key: str | None) -> None:
    """Writes down where the policy is, once everything shows that it can be evaluated."""
    from pipeline.brought import brought_row, check_name, settings_of
    from pipeline.config import AskedModelSettings
    from pipeline.engine.chat import ChatEngine
    from pipeline.preferences.registry import registry
    from pipeline.store import Commit
    from pipeline.tables import empty
    from pipeline.validation.ranked_by import PAIRED, ranked_by
    from pipeline.validation.sets import bare

    check_name(name, {"base", *registry(run.settings)})
    if run.lake.read("leaderboard").is_empty():
        raise OrchardError("there is no leaderboard yet: `orchard run` first")
    row = brought_row(name, policy, model, key, run.home)
    asked = settings_of(row, run.settings.model.max_model_len)
    if isinstance(asked, AskedModelSettings):
        if unknown := [one for one in ranked_by(run.settings) if bare(one) in PAIRED]:
            what = f"{unknown[0]} ranks, which takes weights, and a server gives none"
            raise OrchardError(f"--policy {policy}: {what}: name a folder or a hub id")
        served = config.section(run.settings.engine, backend="server", servers=asked.servers)
        ChatEngine(run.resolve(asked), served, asked).identity()  # that it is there, with the model
    rows = pl.DataFrame([row], schema=empty("brought_policies").schema)
    run.lake.write(
        "brought_policies", rows, Commit(f"evaluate {name}", run.run_id), partition={"name": name}
    )


def _make(run: "RunContext", name: str) -> None:
    """One step with all its parts, as far as it is not up to date."""
    from assets.steps import GRAPH
    from pipeline.steps import run_step
    from pipeline.steps.inputs import Inputs

    step = GRAPH.steps[name]
    if step.table is None:
        step.make(Inputs(run, step))
        return
    for part in step.parts(run.settings) if step.parts else [None]:
        run_step(step, run, part)


def _row_of(lake: "Lake", name: str) -> dict[str, Any]:
    """The policy's row of the leaderboard.

    Raises:
        OrchardError: it could not be evaluated, or on nothing that ranks.
    """
    found = lake.read("leaderboard").filter(variant=name).to_dicts()
    if found:
        return found[0]
    own = lake.read("rejects", where="\"table\" = 'brought_evaluations'")["reason"].to_list()
    said = next((reason for reason in own if reason.startswith(f"{name}: ")), None)
    raise OrchardError(said or (own[0] if own else f"{name} has no value of what ranks"))
