"""`orchard cache`: what the completion cache holds, whether it is sound, and how to make it smaller."""

from typing import Annotated

import typer

from assets.terminal import console, one_line_errors, show
from pipeline import config
from pipeline.engine.cachefile import CacheFile, salvage
from pipeline.engine.session import cache_path
from pipeline.errors import OrchardError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)


@app.command()
@one_line_errors
def stats() -> None:
    """Completions, megabytes and days, per policy."""
    frame = _open().stats()
    show(frame.columns, frame.rows())
    size = cache_path(config.home()).stat().st_size / 2**20
    console.print(f"{frame['completions'].sum()} completions, {size:.1f} MB on disk: {cache_path(config.home())}")


@app.command()
@one_line_errors
def prune(
    days: Annotated[int | None, typer.Option(help="Forget what was sampled longer ago than this.", min=0)] = None,
    unused: Annotated[bool, typer.Option(help="Forget policies that no table names any more.")] = False,
) -> None:
    """Forget completions and give their space back. What is pruned is sampled again when it is asked for."""
    if days is None and not unused:
        raise OrchardError("nothing to prune: say which, with --days N or --unused")
    gone = _open().prune(keep_policies=_known_policies() if unused else None, keep_days=days)
    console.print(f"{gone} completions pruned")


@app.command()
@one_line_errors
def verify(
    repair: Annotated[bool, typer.Option(help="Keep what can be read in a new file; the old one is moved.")] = False,
) -> None:
    """Read every completion and check the file's structure."""
    path = cache_path(config.home())
    if repair:
        kept, old = salvage(path)
        console.print(f"{kept} completions kept in {path}; the damaged file is {old}")
        return
    cache = _open()
    faults = cache.verify()
    if faults:
        raise OrchardError(f"completion cache {path}: {len(faults)} faults, the first: {faults[0]}: use --repair")
    console.print(f"{cache.stats()['completions'].sum()} completions, all sound")


def _open() -> CacheFile:
    path = cache_path(config.home())
    if not path.exists():
        raise OrchardError(f"no completion cache at {path}: nothing was sampled yet")
    return CacheFile(path)


def _known_policies() -> set[str]:
    """Every policy that a row of the lake names."""
    from pipeline.store import Lake

    found: set[str] = set()
    with Lake(config.home()) as lake:
        for table in ("responses", "tree_nodes", "evaluations", "training_runs"):
            found |= set(lake.read(table)["policy_id"].unique())
    return found
