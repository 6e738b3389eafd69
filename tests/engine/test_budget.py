"""A budget stops at its limit, not before, and names it."""

import pytest

from pipeline.config import BudgetSettings
from pipeline.engine.base import Usage
from pipeline.engine.budget import BudgetReached, Meter, price


def test_tokens_of_all_engines_count_together() -> None:
    meter, one, two = Meter(BudgetSettings(tokens=10)), Usage(), Usage()
    for usage in (one, two, one):  # an engine that is asked for twice counts once
        meter.watch(usage)
    one.sampled_tokens, two.sampled_tokens = 5, 4
    meter.check()
    two.sampled_tokens = 5
    with pytest.raises(
        BudgetReached, match="budget reached: 10 of 10 sampled tokens; .* raise budget.tokens"
    ):
        meter.check()


def test_a_price_is_reached_where_tokens_times_rate_pass_it() -> None:
    settings = BudgetSettings(price=0.5, price_per_million_tokens=2.0)
    assert price(250_000, settings) == 0.5 and price(1, BudgetSettings()) is None
    meter, usage = Meter(settings), Usage(sampled_tokens=249_999)
    meter.watch(usage)
    meter.check()
    usage.sampled_tokens = 250_000
    with pytest.raises(BudgetReached, match="0.5000 of 0.5000.*budget.price"):
        meter.check()


def test_seconds_run_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 100.0
    monkeypatch.setattr("pipeline.engine.budget.time.monotonic", lambda: clock)
    meter = Meter(BudgetSettings(seconds=5))
    clock = 104.9
    meter.check()
    clock = 105.0
    with pytest.raises(BudgetReached, match="5 of 5 seconds"):
        meter.check()


def test_a_price_without_a_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="price needs price_per_million_tokens"):
        BudgetSettings(price=1.0)
