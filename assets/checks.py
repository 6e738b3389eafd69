"""Checks on finished tables; a blocking one stops what would be built on them."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from assets.factory import NOT_NEEDED
from assets.run import Run
from assets.shown import table
from pipeline.judge import card
from pipeline.noise.judgement import warnings
from pipeline.preferences.lists import endings
from pipeline.synthesis.overlap import code_overlaps, overlaps, same_prompts


@dg.asset_check(
    asset="prompts",
    blocking=True,
    description=(
        "No prompt to learn from repeats a test prompt: found here before anything is sampled."
    ),
)
def no_test_prompt_among_prompts(run: Run) -> dg.AssetCheckResult:
    asked, tests = (
        dict(run.context.lake.query_file(name).iter_rows())
        for name in ("learnable_prompts", "test_prompts")
    )
    found = same_prompts(asked, tests, run.context.settings.overlap)
    what = None if found.is_empty() else _what_to_do(0, found.height)
    return dg.AssetCheckResult(
        passed=found.is_empty(), description=what, metadata=_table(found, tests)
    )


@dg.asset_check(
    asset="preferences",
    blocking=True,
    description=(
        "No prompt is in both training and evaluation: "
        "by id and split, by normalised text, by runs of tokens."
    ),
)
def no_test_prompt_in_training(run: Run) -> dg.AssetCheckResult:
    leaks = run.context.lake.query_file("leaked_pairs")
    trained, tests = (
        dict(run.context.lake.query_file(name).iter_rows())
        for name in ("trained_prompts", "test_prompts")
    )
    repeated = same_prompts(trained, tests, run.context.settings.overlap)
    passed = leaks.is_empty() and repeated.is_empty()
    return dg.AssetCheckResult(
        passed=passed,
        description=None if passed else _what_to_do(leaks.height, repeated.height),
        metadata={
            "leaked_pairs": leaks.height,
            "trained_prompts": len(trained),
            **_table(repeated, tests),
        },
    )


@dg.asset_check(
    asset="instructions",
    description=(
        "No synthetic prompt repeats a test prompt: shared runs of tokens, and similarity by edits."
    ),
)
def no_test_prompt_in_synthesis(run: Run) -> dg.AssetCheckResult:
    made, tests = _prompts(run, "instructions")
    found = overlaps(made, tests, run.context.settings.overlap)
    return _warning(found, {"synthetic_prompts": len(made), **_table(found, tests)})


@dg.asset_check(
    asset="code_pairs",
    description=(
        "No task or code of a pair repeats a test prompt or its reference program: "
        "runs of tokens, edits."
    ),
)
def no_test_code_in_synthesis(run: Run) -> dg.AssetCheckResult:
    made, tests = _prompts(run, "code_pairs")
    codes, references = (
        dict(run.context.lake.query_file("code_texts", side=side).iter_rows())
        for side in ("synthetic", "test")
    )
    found = pl.concat(
        [
            overlaps(made, tests, run.context.settings.overlap),
            code_overlaps(codes, references, run.context.settings.overlap),
        ]
    )
    counts = {
        "synthetic_prompts": len(made),
        "synthetic_codes": len(codes),
        "test_codes": len(references),
    }
    return _warning(found, {**counts, **_table(found, tests)})


def _prompts(run: Run, table: str) -> tuple[dict[str, str], dict[str, str]]:
    """The synthetic prompts of a table, and the test prompts, by id."""
    made = run.context.lake.query_file("synthetic_prompts", table=table)
    return dict(made.iter_rows()), dict(run.context.lake.query_file("test_prompts").iter_rows())


def _table(found: pl.DataFrame, tests: Mapping[str, str]) -> dict[str, Any]:
    shown = dg.MetadataValue.md(table(found, 50))
    return {"test_prompts": len(tests), "overlaps": found.height, "table": shown}


def _warning(found: pl.DataFrame, metadata: dict[str, Any]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=found.is_empty(), severity=dg.AssetCheckSeverity.WARN, metadata=metadata
    )


def _what_to_do(leaked: int, repeated: int) -> str:
    return (
        f"{leaked} pairs of test prompts, "
        f"{repeated} prompts to learn from that repeat a test prompt (see the table): "
        "take one of each out of its pool, or raise overlap.ngrams in the profile"
    )


@dg.asset_check(
    asset="preference_lists",
    blocking=True,
    description="Every item of a ranked list is a finished response.",
)
def list_items_end(run: Run) -> dg.AssetCheckResult:
    found = endings(run.context.lake.read("preference_lists"))
    share = found["share_of_items_that_end"]
    said = None
    if share not in (None, 1.0):
        said = (
            f"{share:.1%} of the items of preference_lists are finished responses: "
            "make preference_lists again, or report this"
        )
    return dg.AssetCheckResult(passed=said is None, description=said, metadata=found)


@dg.asset_check(
    asset="judges",
    blocking=True,
    description="No judge of a variant's pairs flips too often, prefers a position or is silent.",
)
def judges_are_fair(run: Run) -> dg.AssetCheckResult:
    lake, settings = run.context.lake, run.context.settings.judge
    assert run.context.graph is not None
    if "votes" not in run.context.graph.needed(run.context.settings):
        return dg.AssetCheckResult(passed=True, metadata=NOT_NEEDED)
    cards = lake.read("judges")
    used = card.used(cards, lake.read("votes"), lake.read("responses"))
    found = [
        f"judge {row['judge_id']} on {row['criterion']!r}{_imported(row)}: {problem}"
        for row in used.to_dicts()
        for problem in card.problems(row, settings)
    ]
    found += card.silent(cards, lake.read("rejects"))
    said = f"{'; '.join(found)}: {card.advice(settings)}" if found else ""
    stops = settings.on_bias == "stop"
    severity = dg.AssetCheckSeverity.ERROR if stops else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(
        passed=not found, severity=severity, description=said or None, metadata={"said": said}
    )


def _imported(row: dict[str, Any]) -> str:
    return "" if row["source"] == "model" else f" (imported from {row['origin']})"


@dg.asset_check(
    asset="voters",
    description="What voters say of each other's reliability agrees with what the labels say.",
)
def voters_do_not_err_together(run: Run) -> dg.AssetCheckResult:
    said = warnings(run.context.lake.read("voters"))
    return dg.AssetCheckResult(
        passed=not said,
        severity=dg.AssetCheckSeverity.WARN,
        description=" ".join(said) or None,
        metadata={"said": " ".join(said)},
    )


CHECKS = [
    no_test_prompt_among_prompts,
    no_test_prompt_in_training,
    no_test_prompt_in_synthesis,
    no_test_code_in_synthesis,
    list_items_end,
    judges_are_fair,
    voters_do_not_err_together,
]
