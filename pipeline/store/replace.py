"""Replace a table, or a partition of it, and what it rejected:
the statements of one transaction.
"""

import polars as pl

from pipeline.store.checks import Checked
from pipeline.store.commits import Partition
from pipeline.store.database import Database
from pipeline.store.quoting import quoted


def replace_rows(database: Database, table: str, rows: pl.DataFrame, partition: Partition) -> bool:
    """Put `rows` in place of the partition's;
    false, and nothing written, where the same rows are there already.
    """
    condition = where(partition)
    with database.frames({"staged": rows}):
        old, new = (
            _content(database, *of, rows.columns) for of in ((table, condition), ("staged", "true"))
        )
        if old == new:
            return False
        database.connection.execute(f'DELETE FROM "{table}" WHERE {condition}')
        database.connection.execute(f'INSERT INTO "{table}" BY NAME SELECT * FROM staged')
    return True


def replace_rejects(
    database: Database, table: str, step: str, rejects: pl.DataFrame, partition: Partition
) -> None:
    """Put `rejects` in place of those that this step had for this table.

    With a partition, rejects whose row names another partition stay; those whose row does not say
    are replaced.
    """
    earlier = f'"table" = {quoted(table)} AND step = {quoted(step)}'
    for column, value in partition.items():
        says = (
            f"CASE WHEN json_valid(row) THEN json_extract_string(row, {quoted('$.' + column)}) END"
        )
        earlier += f" AND coalesce({says}, {quoted(value)}) = {quoted(value)}"
    have = {
        row[0]
        for row in database.connection.execute(
            f"SELECT reject_id FROM rejects WHERE {earlier}"
        ).fetchall()
    }
    if have == set(rejects["reject_id"]):
        return
    # By id as well: one that stands under another partition of the step would otherwise be there
    # twice.
    old = f"({earlier}) OR reject_id IN (SELECT reject_id FROM staged)"
    with database.frames({"staged": rejects}):
        database.connection.execute(f"DELETE FROM rejects WHERE {old}")
        database.connection.execute("INSERT INTO rejects BY NAME SELECT * FROM staged")


def replace_prompts(
    database: Database,
    table: str,
    checked: Checked,
    prompts: pl.DataFrame,
    step: str,
    partition: Partition,
) -> bool:
    """Put rows and rejects in place of those of some prompts; true where more than recipes changed.

    `prompts` has a column prompt_id: the prompts whose rows go.
    """
    own = "prompt_id IN (SELECT prompt_id FROM replaced)"
    gone = f"{where(partition)} AND {own}"
    said = f'"table" = {quoted(table)} AND step = {quoted(step)} AND (prompt_id IS NULL OR {own})'
    columns = [column for column in checked.rows.columns if column != "recipe"]
    frames = {"staged": checked.rows, "rejected": checked.rejects, "replaced": prompts}
    with database.frames(frames):
        old, new = (_content(database, *of, columns) for of in ((table, gone), ("staged", "true")))
        execute = database.connection.execute
        execute(f'DELETE FROM "{table}" WHERE {gone}')
        execute(f'INSERT INTO "{table}" BY NAME SELECT * FROM staged')
        execute(f"DELETE FROM rejects WHERE {said}")
        execute("INSERT INTO rejects BY NAME SELECT * FROM rejected")
    return old != new


def where(partition: Partition) -> str:
    """The partition as a SQL condition."""
    return (
        " AND ".join(
            f'CAST("{name}" AS VARCHAR) = {quoted(value)}' for name, value in partition.items()
        )
        or "true"
    )


def _content(
    database: Database, source: str, condition: str, columns: list[str]
) -> tuple[object, ...] | None:
    """Count and hashes of rows, in any order.

    A sum too: in an exclusive or, a row that is there twice vanishes.
    """
    names = ", ".join(f'"{column}"' for column in columns)
    query = (
        f"SELECT count(*), sum(hash({names})::HUGEINT), bit_xor(hash({names})) "
        f'FROM "{source}" WHERE {condition}'
    )
    return database.connection.execute(query).fetchone()
