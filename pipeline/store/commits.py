"""What a commit says about itself, and the log that answers whether a step is up to date."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from pipeline.store.database import Database

Partition = Mapping[str, str]


@dataclass(frozen=True)
class Commit:
    """Who writes, and from what: stored with the version."""

    step: str
    run_id: str = ""
    code_version: str = ""
    fingerprint: str = ""  # of everything that determines the rows; equal means up to date
    parents: Mapping[str, int] = field(default_factory=dict)  # table -> version that was read


@dataclass(frozen=True)
class Written:
    """What a write did."""

    version: int  # where these rows were first read; an unchanged write keeps the earlier one
    rows: int
    rejected: int
    changed: bool


@dataclass(frozen=True)
class Entry:
    """One line of the log."""

    version: int
    partition: Partition
    fingerprint: str
    changed: bool


def entries(database: Database, table: str) -> list[Entry]:
    """A table's commits, newest first."""
    query = (
        "SELECT version, partition, fingerprint, changed FROM commits "
        'WHERE "table" = ? ORDER BY snapshot DESC'
    )
    rows = database.connection.execute(query, [table]).fetchall()
    return [Entry(version, json.loads(partition), *rest) for version, partition, *rest in rows]


def latest(log: list[Entry], partition: Partition) -> Entry | None:
    """The latest write to this partition, or to an overlapping one (such as the whole table)."""
    for entry in log:
        if entry.partition == partition or (entry.changed and overlap(entry.partition, partition)):
            return entry
    return None


def record(
    database: Database,
    table: str,
    commit: Commit,
    partition: Partition,
    written: Written,
    *,
    same_as: int | None,
    seconds: float,
) -> None:
    """Write the commit's line and message for one table; inside its transaction."""
    values = [
        *(
            table,
            _json(partition),
            commit.step,
            commit.run_id,
            commit.code_version,
            commit.fingerprint,
        ),
        *(
            _json(commit.parents),
            written.rows,
            written.rejected,
            written.changed,
            same_as,
            seconds,
            datetime.now(UTC),
        ),
    ]
    database.connection.execute(
        f"INSERT INTO commit_log VALUES ({', '.join('?' * len(values))})", values
    )
    announce(database, commit, {table: partition})


def announce(database: Database, commit: Commit, changed: Mapping[str, Partition]) -> None:
    """Set the message of a commit to the tables and partitions that it changes, in place of an
    earlier one; inside its transaction.
    """
    extra = _json({"tables": changed, **asdict(commit)})
    message = f"{commit.step}: {', '.join(changed)}"
    database.connection.execute(
        "CALL lake.set_commit_message('orchard', ?, extra_info => ?)", [message, extra]
    )


def overlap(one: Partition, other: Partition) -> bool:
    """Whether two partitions can share rows: none of the columns that both name differs."""
    return all(other.get(column, value) == value for column, value in one.items())


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(dict(value), sort_keys=True, ensure_ascii=False, default=dict)
