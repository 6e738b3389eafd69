"""What a run may cost: when a limit is reached, sampling stops and what is done is kept."""

import time

from pipeline.config import BudgetSettings
from pipeline.engine.base import Usage
from pipeline.errors import OrchardError


class BudgetReached(OrchardError):
    """A run has spent what it may; every finished completion is in the cache."""


class Meter:
    """Compares what the engines of a run have used with the run's budget."""

    def __init__(self, settings: BudgetSettings) -> None:
        self._settings = settings
        self._usages: list[Usage] = []
        self._started = time.monotonic()

    def watch(self, usage: Usage) -> None:
        """Counts an engine's usage from now on."""
        if all(known is not usage for known in self._usages):
            self._usages.append(usage)

    def check(self) -> None:
        """Raises BudgetReached when a limit is passed; called between two steps of an engine."""
        settings = self._settings
        spent = sum(usage.sampled_tokens for usage in self._usages)
        seconds = time.monotonic() - self._started
        if settings.tokens is not None and spent >= settings.tokens:
            raise _reached("tokens", f"{spent} of {settings.tokens} sampled tokens")
        if settings.seconds is not None and seconds >= settings.seconds:
            raise _reached("seconds", f"{seconds:.0f} of {settings.seconds:.0f} seconds")
        paid = price(spent, settings)
        if settings.price is not None and paid is not None and paid >= settings.price:
            raise _reached("price", f"{paid:.4f} of {settings.price:.4f}")


def price(tokens: int, settings: BudgetSettings) -> float | None:
    """What sampled tokens cost at the profile's price; null where it names none."""
    each = settings.price_per_million_tokens
    return None if each is None else tokens / 1e6 * each


def _reached(name: str, spent: str) -> BudgetReached:
    return BudgetReached(
        f"budget reached: {spent}; what was sampled is kept: "
        f"raise budget.{name}, or start again with a new budget"
    )
