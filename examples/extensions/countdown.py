"""A pool source: sums that are written down here, as many as the pool's size.

In a profile:

    extensions: [extensions/countdown.py]
    pools: [{name: steps, source: countdown, size: 20}]
"""

from collections.abc import Iterator

from pipeline.config import PoolSettings
from pipeline.prompts.record import Record
from pipeline.prompts.source import pool_source


@pool_source("countdown")
def records(pool: PoolSettings) -> Iterator[Record]:
    """One question a row.

    The verifier `number` judges the answers unless the pool names another.
    """
    for row in range(1, (pool.size or 10) + 1):
        start = 10 + pool.seed + row
        question = f"Count down from {start} by 3, twice. Where are you?"
        yield Record(f"countdown row {row}", question, str(start - 6))
