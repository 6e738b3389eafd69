"""Synthetic preferences: code that became better."""

from collections import Counter
from typing import Any

import dagster as dg
import polars as pl

from assets import plots
from assets.produce import Made, Metadata, Recipe, Result, column_schema, produce
from assets.sampling import OWNERS, first_by_hash, learnable, prompts, speed
from assets.workshop import Workshop
from pipeline import config, tables
from pipeline.code import code_version
from pipeline.engine.base import Reject
from pipeline.engine.model import Model, resolve
from pipeline.engine.session import run_all
from pipeline.ids import unit_for
from pipeline.progress import bar
from pipeline.synthesis import codefavor, codefavor_recorded
from pipeline.synthesis.codefavor_measure import measure

CODE = code_version("pipeline/synthesis", "pipeline/verify", "pipeline/engine", "pipeline/tables")


@dg.asset(
    group_name="synthesis",
    kinds={"vllm", "parquet"},
    owners=OWNERS,
    deps=[prompts],
    code_version=CODE,
    metadata={"dagster/column_schema": column_schema("code_pairs")},
    description="CodeFavor: naive and improved code from mined commits, a critic and files, run and measured.",
)
def code_pairs(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    if not shop.wants("code_pairs"):
        return dg.MaterializeResult(metadata={"status": "no variant of this profile uses it"})
    settings = shop.settings
    critic = resolve(settings.code.critic, config.home()) if settings.code.critic else shop.base
    recipe = Recipe(
        "code_pairs",
        "code pairs",
        CODE,
        [settings.seed, settings.code.model_dump(), settings.sandbox.model_dump(), settings.splits.model_dump()],
        parents=("prompts", "code_changes", "recorded_code"),
        extra=(shop.base.policy_id, critic.policy_id, shop.engine_kind),
    )
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, lambda: _made(shop, critic)))


def _made(shop: Workshop, critic: Model) -> Made:
    chosen = _prompts(shop)
    recorded, tests = codefavor_recorded.pairs(shop.lake.read("recorded_code"), shop.settings.splits)
    found = [*_from_prompts(shop, chosen, critic), *_from_commits(shop, critic), *recorded]
    rows = {item["code_pair_id"]: item for item in found if not isinstance(item, Reject)}  # the same pair once
    rejects = [item for item in found if isinstance(item, Reject)]
    known = dict(chosen.drop_nulls("metadata").select("prompt_id", "metadata").rows())
    tests |= {key: known[row["prompt_id"]] for key, row in rows.items() if row["prompt_id"] in known}
    measured = measure(list(rows.values()), tests, shop.settings.code)
    frame = pl.DataFrame(measured, schema=tables.empty("code_pairs").schema)
    return Made(frame, rejects, _counts(frame, rejects))


def _prompts(shop: Workshop) -> pl.DataFrame:
    """Prompts that ask for code: those with tests, and those without of the named pools, which lose their metadata."""
    tested = pl.col("verifier").eq_missing("code")
    found = learnable(shop).filter(tested | pl.col("pool").is_in(shop.settings.code.pools))
    return first_by_hash(found, shop.settings.code.max_prompts).with_columns(metadata=pl.when(tested).then("metadata"))


def _from_prompts(shop: Workshop, chosen: pl.DataFrame, critic: Model) -> list[dict[str, Any] | Reject]:
    """All drafts first, then all revisions, so that two models are never loaded in turn."""
    settings, asked = shop.settings.code, list(chosen.iter_rows(named=True))
    engine = shop.room.engine(shop.base)
    with bar("code drafts", lambda: speed(engine)) as advance:
        drafts = run_all([codefavor.draft(engine, row, settings, shop.settings.seed) for row in asked], advance)
    second = shop.room.critic(critic)
    with bar("code revisions", lambda: speed(second)) as advance:
        revised = run_all(
            [
                codefavor.revise(second, row, attempt, shop.base.policy_id, settings, shop.settings.seed)
                for row, attempt in zip(asked, drafts, strict=True)
                if not isinstance(attempt, Reject)
            ],
            advance,
        )
    return [*(item for item in drafts if isinstance(item, Reject)), *revised]


def _from_commits(shop: Workshop, critic: Model) -> list[dict[str, Any] | Reject]:
    settings = shop.settings
    mined = shop.lake.read("code_changes").sort("repository")  # a commit may stand there once per fork of a repository
    changes = mined.unique("change_id", keep="first").to_dicts()
    changes.sort(key=lambda row: unit_for("changes", row["change_id"]))
    engine = shop.room.critic(critic)
    asked = [
        codefavor.from_commit(engine, row, settings.code, settings.splits, settings.seed)
        for row in changes[: settings.code.max_changes]
    ]
    with bar("code commits", lambda: speed(engine)) as advance:
        return run_all(asked, advance)


def _counts(rows: pl.DataFrame, rejects: list[Reject]) -> Metadata:
    """How many became pairs, were good enough, and were malformed: three different things."""
    reasons = Counter(f"{reject.step}: {reject.reason.partition(':')[0]}" for reject in rejects)
    methods = {f"pairs_{name}": n for name, n in rows.group_by("method").len().sort("method").iter_rows()}
    decided = {
        f"decided_by_{name}": n for name, n in rows.drop_nulls("decided_by").group_by("decided_by").len().iter_rows()
    }
    naive, improved = rows["naive"].str.len_chars(), rows["improved"].str.len_chars()
    longer = (improved > naive).mean()
    shares = [n / o for n, o in zip(improved, naive, strict=True)]
    return {
        **methods,
        **dict(sorted(decided.items())),
        **{f"rejected {reason}": n for reason, n in sorted(reasons.items())},
        "share_where_the_improved_code_is_longer": round(float(longer), 4) if isinstance(longer, float) else None,
        "length_ratio": plots.histogram(shares, "improved over naive, characters", "pairs"),
    }
