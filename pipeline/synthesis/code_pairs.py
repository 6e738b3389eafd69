"""Code pairs of a run: drafts and revisions of prompts, commits and imports; measured together."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from pipeline import tables
from pipeline.by_hash import first_by_hash
from pipeline.config import Settings
from pipeline.engine.base import Engine, Reject
from pipeline.engine.session import run_all
from pipeline.ids import unit_for
from pipeline.progress import Advance
from pipeline.synthesis import codefavor
from pipeline.synthesis.codefavor_measure import measure

Found = Sequence[dict[str, Any] | Reject]


def code_prompts(prompts: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Prompts that ask for code: those with tests, and those without of the named pools.

    The latter lose their metadata: nothing checks them.
    """
    tested = pl.col("verifier").eq_missing("code")
    found = prompts.filter(tested | pl.col("pool").is_in(settings.code.pools))
    chosen = first_by_hash(found, "trees", settings.code.max_prompts)
    return chosen.with_columns(metadata=pl.when(tested).then("metadata"))


def drafts_of(
    engine: Engine, asked: Sequence[dict[str, Any]], settings: Settings, advance: Advance
) -> list[tuple[str, int] | Reject]:
    """First attempts at some prompts."""
    code, seed = settings.code, settings.seed
    return run_all([codefavor.draft(engine, row, code, seed) for row in asked], advance)


def revisions_of(
    critic: Engine,
    asked: Sequence[dict[str, Any]],
    drafts: Sequence[tuple[str, int] | Reject],
    drafter_id: str,
    settings: Settings,
    advance: Advance,
) -> Found:
    """The critic's revisions of the drafts, and the prompts without a draft as rejects."""
    code, seed = settings.code, settings.seed
    revised = run_all(
        [
            codefavor.revise(critic, row, attempt, drafter_id, code, seed)
            for row, attempt in zip(asked, drafts, strict=True)
            if not isinstance(attempt, Reject)
        ],
        advance,
    )
    return [*(one for one in drafts if isinstance(one, Reject)), *revised]


def from_commits(
    critic: Engine, changes: pl.DataFrame, settings: Settings, advance: Advance
) -> Found:
    """Pairs from mined commits: at most `code.max_changes`, by hash; a commit of two forks once."""
    different = changes.sort("repository").unique("change_id", keep="first").to_dicts()
    different.sort(key=lambda row: unit_for("changes", row["change_id"]))
    code, splits, seed = settings.code, settings.splits, settings.seed
    chosen = different[: code.max_changes]
    asked = [codefavor.from_commit(critic, row, code, splits, seed) for row in chosen]
    return run_all(asked, advance)


def measured(
    found: Found, prompts: pl.DataFrame, tests: Mapping[str, str], settings: Settings
) -> tuple[pl.DataFrame, list[Reject]]:
    """Rows of `code_pairs`, the same pair once, and what was dropped.

    Args:
        prompts: as `code_prompts` gives them; those with metadata have tests.
        tests: the verifier's JSON of imported pairs that have tests, by code_pair_id.
    """
    rows = {item["code_pair_id"]: item for item in found if not isinstance(item, Reject)}
    known = dict(prompts.drop_nulls("metadata").select("prompt_id", "metadata").rows())
    own = {key: known[row["prompt_id"]] for key, row in rows.items() if row["prompt_id"] in known}
    done = measure(list(rows.values()), {**tests, **own}, settings.code)
    frame = pl.DataFrame(done, schema=tables.empty("code_pairs").schema)
    return frame, [item for item in found if isinstance(item, Reject)]
