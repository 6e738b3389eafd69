"""Pools that reasoning-gym generates: as many prompts as wanted, each with a verifier."""

import dataclasses
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from pipeline.config import PoolSettings
from pipeline.errors import OrchardError, one_line
from pipeline.prompts.record import Record, to_json
from pipeline.prompts.source import pool_source
from pipeline.verify.gym import tasks, verifier_of


def verifier(pool: PoolSettings) -> str:
    """The name of the task's verifier."""
    return verifier_of(pool.task)


def origin(pool: PoolSettings, record: Record) -> str:
    """The task, its seed and the row's number: enough to make the row again."""
    return f"{pool.task} seed {pool.seed} row {record.where.rpartition(' ')[2]}"


@pool_source("reasoning_gym", verifier=verifier, has_tasks=True, origin=origin)
def records(pool: PoolSettings) -> Iterator[Record]:
    """One record per generated entry.

    Metadata holds what the task's scorer needs: question, metadata and parameters.

    Raises:
        OrchardError: unknown task, no size, or parameters that the task does not take.
    """
    _check(pool)
    where = f"pool {pool.name!r} row"
    for number, entry in enumerate(_entries(pool), start=1):
        metadata = to_json(
            {"question": entry["question"], "metadata": entry["metadata"], "params": pool.params}
        )
        flaw = None
        if entry["answer"] is None and pool.verifier != "none":
            flaw = f"task {pool.task!r} gives no reference answer"
        yield Record(f"{where} {number}", entry["question"], entry["answer"], metadata, flaw)


def _check(pool: PoolSettings) -> None:
    if pool.task not in tasks():
        near = get_close_matches(pool.task, tasks(), n=3)
        hint = (
            f"did you mean {' or '.join(near)}?"
            if near
            else "reasoning_gym.factory.DATASETS lists them"
        )
        raise OrchardError(f"pool {pool.name!r}: unknown reasoning-gym task {pool.task!r}: {hint}")
    if pool.size is None:
        raise OrchardError(
            f"pool {pool.name!r}: a reasoning_gym pool needs a size: "
            "set size to the number of prompts"
        )
    for name in sorted({"size", "seed"} & set(pool.params)):
        raise OrchardError(f"pool {pool.name!r}: params.{name}: set {name} of the pool itself")


def _entries(pool: PoolSettings) -> list[dict[str, Any]]:
    import reasoning_gym
    from reasoning_gym.factory import DATASETS

    known = [
        field.name
        for field in dataclasses.fields(DATASETS[pool.task][1])
        if field.name not in ("size", "seed")
    ]
    takes = f"{pool.task} takes {', '.join(known) or 'none'}"
    if unknown := sorted(set(pool.params) - set(known)):
        raise OrchardError(f"pool {pool.name!r}: unknown params {', '.join(unknown)}: {takes}")
    try:
        return list(
            reasoning_gym.create_dataset(pool.task, size=pool.size, seed=pool.seed, **pool.params)
        )
    except Exception as error:  # the library checks by assert, and late
        raise OrchardError(
            f"pool {pool.name!r}: params do not work: {one_line(error)}; {takes}"
        ) from error
