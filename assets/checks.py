"""Checks on finished tables; a blocking one stops what would be built on them."""

import dagster as dg

from assets.judging import judges_are_fair
from assets.preferences import preferences
from assets.workshop import Workshop


@dg.asset_check(
    asset=preferences, blocking=True, description="No prompt has pairs in two splits, none is a test prompt."
)
def no_test_prompt_in_training(shop: Workshop) -> dg.AssetCheckResult:
    leaks = shop.lake.query_file("leaked_pairs")
    return dg.AssetCheckResult(passed=leaks.is_empty(), metadata={"leaked_pairs": leaks.height})


CHECKS = [no_test_prompt_in_training, judges_are_fair]
