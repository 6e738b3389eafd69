"""Checks on finished tables; a blocking one stops what would be built on them."""

import dagster as dg

from assets.judging import judges_are_fair
from assets.preferences import preferences
from assets.produce import preview
from assets.synthesis import instructions
from assets.workshop import Workshop
from pipeline.synthesis.overlap import overlaps


@dg.asset_check(
    asset=preferences, blocking=True, description="No prompt has pairs in two splits, none is a test prompt."
)
def no_test_prompt_in_training(shop: Workshop) -> dg.AssetCheckResult:
    leaks = shop.lake.query_file("leaked_pairs")
    return dg.AssetCheckResult(passed=leaks.is_empty(), metadata={"leaked_pairs": leaks.height})


@dg.asset_check(
    asset=instructions,
    description="No synthetic prompt repeats a test prompt: shared runs of tokens, and similarity by edits.",
)
def no_test_prompt_in_synthesis(shop: Workshop) -> dg.AssetCheckResult:
    made = shop.lake.query_file("synthetic_prompts")
    tests = shop.lake.query_file("test_prompts")
    found = overlaps(dict(made.iter_rows()), dict(tests.iter_rows()))
    return dg.AssetCheckResult(
        passed=found.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "synthetic_prompts": made.height,
            "test_prompts": tests.height,
            "overlaps": found.height,
            "table": dg.MetadataValue.md(preview(found, 50)),
        },
    )


CHECKS = [no_test_prompt_in_training, no_test_prompt_in_synthesis, judges_are_fair]
