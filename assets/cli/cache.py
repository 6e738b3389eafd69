"""What the completion cache holds, whether it is sound, and how to make it smaller."""

from typing import Annotated

import typer

from assets.cli.terminal import Profile, one_line_errors, say, show
from pipeline import config
from pipeline.engine.cachefile import CacheFile
from pipeline.engine.model import resolve
from pipeline.engine.salvage import salvage
from pipeline.engine.session import cache_path
from pipeline.errors import OrchardError
from pipeline.steps.roles import roles

MODELS = ("policy_id", "reference_id", "judge_id", "draft_id")  # columns that hold a model's id

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)


@app.command()
@one_line_errors
def stats() -> None:
    """Completions, megabytes and days, per policy."""
    frame = _open().stats()
    show(frame.columns, frame.rows())
    size = cache_path(config.home()).stat().st_size / 2**20
    say(
        f"{frame['completions'].sum()} completions, {size:.1f} MB on disk: "
        f"{cache_path(config.home())}"
    )


@app.command()
@one_line_errors
def prune(
    days: Annotated[
        int | None, typer.Option(help="Forget what was sampled longer ago than this.", min=0)
    ] = None,
    unused: Annotated[
        bool, typer.Option(help="Forget models that neither a table nor the profile names.")
    ] = False,
    profile: Profile = "quick",
) -> None:
    """Forget completions and give their space back.

    What is pruned is sampled again when it is asked for.
    """
    if days is None and not unused:
        raise OrchardError("nothing to prune: say which, with --days N or --unused")
    gone = _open().prune(keep_policies=_known_policies(profile) if unused else None, keep_days=days)
    say(f"{gone} completions pruned")


@app.command()
@one_line_errors
def verify(
    repair: Annotated[
        bool, typer.Option(help="Keep what can be read in a new file; the old one is moved.")
    ] = False,
) -> None:
    """Read every completion and check the file's structure."""
    path = cache_path(config.home())
    if repair:
        kept, old = salvage(path)
        say(f"{kept} completions kept in {path}; the damaged file is {old}")
        return
    cache = _open()
    faults = cache.verify()
    if faults:
        raise OrchardError(
            f"completion cache {path}: {len(faults)} faults, the first: {faults[0]}: use --repair"
        )
    say(f"{cache.stats()['completions'].sum()} completions, all sound")


def _open() -> CacheFile:
    path = cache_path(config.home())
    if not path.exists():
        raise OrchardError(f"no completion cache at {path}: nothing was sampled yet")
    return CacheFile(path)


def _known_policies(profile: str) -> set[str]:
    """Every model that a row of the lake names, and those of the profile:
    what they said may not be in a table yet.

    Raises:
        OrchardError: the lake names none, so that nothing tells what is unused.
    """
    from pipeline.store import Lake
    from pipeline.tables import TABLES

    with Lake(config.home()) as lake:
        asked = [
            f'SELECT "{column}" FROM "{name}"'
            for name, table in TABLES.items()
            for column in MODELS
            if column in table.column_names()
        ]
        found = set(lake.sql(" UNION ".join(asked)).to_series().drop_nulls())
    if not found:
        raise OrchardError(
            f"no table in {config.home()} names a model yet, so all would go: "
            "run first, or use --days"
        )
    settings = config.load(profile)
    own = [model for role in roles(settings).values() for model in role.models(settings)]
    return found | {resolve(model, config.home()).policy_id for model in own}
