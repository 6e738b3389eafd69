"""Code pairs of a run: drafts and revisions of prompts, commits and imports; measured together."""

import re
from collections import Counter
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

METHODS = {step: method for method, step in codefavor.STEP.items()}  # by the step of a reject
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


def lost(rows: pl.DataFrame, rejects: Sequence[Reject]) -> dict[str, float]:
    """Of what each method was asked about, the share that says nothing: in all, and by reason.

    Pairs that ran and have no better side say nothing either.
    """
    ends = [(row["method"], _without_a_word(row)) for row in rows.iter_rows(named=True)]
    ends += [(METHODS[one.step], _kind(one.reason)) for one in rejects]
    found = {}
    for method in sorted(set(METHODS.values()) & {method for method, _ in ends}):
        own = [reason for one, reason in ends if one == method]
        reasons = Counter(reason for reason in own if reason is not None)
        found[f"lost_{method}"] = round(reasons.total() / len(own), 4)
        for reason, n in sorted(reasons.items()):
            found[f"lost_{method}, {reason}"] = round(n / len(own), 4)
    return found


def _without_a_word(row: Mapping[str, Any]) -> str | None:
    """Why a pair says nothing; None where execution or the critic says which side is better."""
    if row["improved_is_better"] is not None or row["naive_passed"] is None:
        return None
    return "both pass alike" if row["naive_passed"] else "both fail"


def _kind(reason: str) -> str:
    """A reject's reason without what differs from reply to reply."""
    head, _, rest = reason.partition(": ")
    if head == "malformed":
        return rest.partition(",")[0]
    return re.sub(r"\d+", "n", head)
