"""What a pool source is: where rows come from, registered by name in the file that reads them.

@pool_source("countries")
def records(pool: PoolSettings) -> Iterator[Record]:
    yield Record("row 1", "What is the capital of Peru?", "Lima")
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipeline.config import PoolSettings
from pipeline.extensions import registering
from pipeline.prompts.record import Record
from pipeline.registered import Registry

Records = Callable[[PoolSettings], Iterator[Record]]


def number(pool: PoolSettings) -> str:
    """The verifier of pools that name none."""
    return "number"


def where(pool: PoolSettings, record: Record) -> str:
    """Where a row is from, as its record says."""
    return record.where


@dataclass(frozen=True)
class Source:
    """One way to read pools.

    records: the rows of a pool, as they came. verifier: the one of a pool that names none.
    has_tasks: a pool's `task` says what its rows are, and is not a label that may be left out.
    origin: of a row, for people: it stands in the table.
    """

    records: Records
    verifier: Callable[[PoolSettings], str] = number
    has_tasks: bool = False
    origin: Callable[[PoolSettings, Record], str] = where


SOURCES = Registry[Source]("pool source", "pipeline.prompts")


def pool_source(
    name: str,
    *,
    verifier: Callable[[PoolSettings], str] = number,
    has_tasks: bool = False,
    origin: Callable[[PoolSettings, Record], str] = where,
) -> Callable[[Records], Records]:
    """Registers a function (pool) -> records as a source of pools; see Source for the rest.

    Raises:
        OrchardError: another source has that name.
    """

    module = registering()

    def register(records: Records) -> Records:
        SOURCES.add(name, Source(records, verifier, has_tasks, origin), module)
        return records

    return register
