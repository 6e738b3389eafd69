"""Lakes of older formats: what changes at their first opening, one function a format.

A lake's format stands in its table `formats`, with the time from which it has had it. Columns that
were declared later are added by `layout.ensure` whatever the format; a migration is for all else.
Before the first one the embedded catalog is copied beside itself; Parquet files are never changed.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import duckdb

from pipeline import durable
from pipeline.errors import OrchardError
from pipeline.store.copies import back_up
from pipeline.store.database import Database
from pipeline.store.quoting import quoted

FORMAT = 2
FORMATS = "CREATE TABLE formats (number BIGINT, since TIMESTAMP WITH TIME ZONE)"

_FORMATS_STATED = """
    SELECT max_value FROM __ducklake_metadata_lake.ducklake_file_column_stats
    JOIN __ducklake_metadata_lake.ducklake_column USING (table_id, column_id)
    JOIN __ducklake_metadata_lake.ducklake_table USING (table_id)
    WHERE table_name = 'formats' AND column_name = 'number'
"""

# Format 2 calls a step by the name of its asset; a part stands behind it, after a space.
STEPS = {
    "trees": "tree_nodes",
    "thoughts": "thought_nodes",
    "judge contexts": "judge_contexts",
    "pair votes": "pair_votes",
    "pair strengths": "pair_strengths",
    "noise test": "noise_tests",
    "code pairs": "code_pairs",
    "reference": "reference_logps",
}
PARTS = {"train": "training_runs", "evaluate": "evaluations", "pairs": "preferences"}


def migrate(database: Database) -> None:
    """Brings a lake to today's format; the caller holds the lock, and the tables are there.

    Raises:
        OrchardError: the lake is of a later format than this code knows.
    """
    number = _format(database)
    if number > FORMAT:
        what = (
            f"the lake in {database.folder} is of format {number}, and this Orchard knows {FORMAT}"
        )
        raise OrchardError(f"{what}: update Orchard")
    if number < FORMAT:
        _copy_catalog(database, number)
    for step in range(number, FORMAT):
        _in_one_transaction(database, step)


def start(database: Database) -> None:
    """Writes today's format into a new lake."""
    with database.transaction():
        note_format(database)


def note_format(database: Database) -> None:
    """Writes that the lake is of today's format."""
    _note(database, FORMAT)


def _format(database: Database) -> int:
    try:
        row = database.connection.execute("SELECT max(number) FROM formats").fetchone()
    except (duckdb.IOException, duckdb.InvalidInputException):
        # Its file is lost: the lake still opens, so that it can be repaired.
        query = f"SELECT max(max_value::BIGINT) FROM ({_FORMATS_STATED})"
        row = database.connection.execute(query).fetchone()
    return int(row[0]) if row and row[0] is not None else 1  # format 1 had no such table


def _in_one_transaction(database: Database, number: int) -> None:
    with database.transaction():
        if number == 1:
            _note(database, 1)
        MIGRATIONS[number](database)
        _note(database, number + 1)
        database.connection.execute(
            f"CALL lake.set_commit_message('orchard', 'format {number + 1}')"
        )


def _note(database: Database, number: int) -> None:
    database.connection.execute("INSERT INTO formats VALUES (?, ?)", [number, datetime.now(UTC)])


def _copy_catalog(database: Database, number: int) -> None:
    """Keeps the embedded catalog as it was; one that others share is theirs to keep."""
    if not database.embedded:
        return
    path = database.folder / "catalog.sqlite"
    copy = path.with_name(f"catalog.format{number}.sqlite")
    if copy.exists():
        return
    draft = copy.with_name(f"{copy.name}.tmp")
    back_up(path, draft)
    durable.put(draft, copy)


def _name_steps_after_assets(database: Database) -> None:
    """Rejects and costs name their step as its asset; rejects say whether their fault may pass."""
    names = "".join(f"WHEN step = {quoted(a)} THEN {quoted(b)} " for a, b in STEPS.items())
    names += "".join(
        f"WHEN starts_with(step, {quoted(f'{a} ')}) "
        f"THEN {quoted(f'{b} ')} || substr(step, {len(a) + 2}) "
        for a, b in PARTS.items()
    )
    named = f"CASE {names} ELSE step END"
    execute = database.connection.execute
    execute(f"UPDATE rejects SET step = {named} WHERE step <> {named}")
    execute(f"UPDATE usage SET step = {named} WHERE step <> {named}")
    execute("UPDATE rejects SET passing = ends_with(reason, ': the next run asks again')")
    # Lists had one step for all their variants: which one a reject is of is not known any more.
    execute("DELETE FROM rejects WHERE step = 'lists'")


MIGRATIONS: dict[int, Callable[[Database], None]] = {1: _name_steps_after_assets}
