"""Ids that were erased: no row that has one is written again, and no reject keeps its text."""

import json
from typing import Any

import polars as pl

from pipeline import tables
from pipeline.folding import turns_id
from pipeline.ids import content_id
from pipeline.store.checks import Checked
from pipeline.store.database import Database
from pipeline.tables.links import LINKS

ERASED = "erased_ids"


def erased(database: Database) -> dict[str, str]:
    """The day of its erasure by id; empty in most lakes."""
    found = database.connection.execute(f"SELECT id, erased_on FROM {ERASED}").fetchall()
    return dict(found)


def reason_of(day: str) -> str:
    """Why a row with an erased id is rejected."""
    return f"erased on {day}"


def without_erased(database: Database, table: str, checked: Checked, step: str) -> Checked:
    """What a write stores, without rows that have an erased id: each is a reject with the day.

    Their rejects hold ids and no text. A reject of the step itself that names an erased id loses
    its row and its reason likewise.
    """
    days = erased(database)
    if not days:
        return checked
    named = [name for name in _id_columns(table) if name in checked.rows.columns]
    hit = pl.lit(False)
    for name in named:
        hit = hit | pl.col(name).is_in(list(days)).fill_null(False)
    bad = checked.rows.filter(hit)
    rejects = [_blank(row, days) for row in checked.rejects.iter_rows(named=True)]
    rejects += [_reject(table, step, row, named, days) for row in bad.iter_rows(named=True)]
    frame = pl.DataFrame(rejects, schema=tables.empty("rejects").schema)
    return Checked(checked.rows.filter(~hit), frame.unique("reject_id", maintain_order=True))


def _id_columns(table: str) -> list[str]:
    """Columns of ids by which rows are named, and that say what they were made from."""
    links = LINKS.get(table)
    ids = (*links.own[:1], *links.made_from) if links else ()
    return list(dict.fromkeys(name for _, name in ids))


def _reject(
    table: str, step: str, row: dict[str, Any], named: list[str], days: dict[str, str]
) -> dict[str, Any]:
    ids = {name: row[name] for name in named if row[name] is not None}
    reason = reason_of(next(days[value] for value in ids.values() if value in days))
    return {
        "reject_id": content_id(table, step, ids, reason),
        "table": table,
        "step": step,
        "row_id": next(iter(ids.values())),
        "reason": reason,
        "row": json.dumps(ids),
        "prompt_id": ids.get("prompt_id"),
        "passing": None,
        "recipe": None,
    }


def _blank(reject: dict[str, Any], days: dict[str, str]) -> dict[str, Any]:
    """The reject as it is, or without its row where that names an erased id, or asks the same."""
    try:
        found = {reject["prompt_id"], reject["row_id"], *texts_in(json.loads(reject["row"]))}
    except ValueError:  # no JSON: then it names nothing
        found = {reject["prompt_id"], reject["row_id"]}
    asked = {turns_id([{"role": "user", "content": one}]) for one in filter(None, found)}
    hit = next((days[one] for one in sorted(filter(None, found | asked)) if one in days), None)
    return reject if hit is None else {**reject, "row": "{}", "reason": reason_of(hit)}


def texts_in(value: Any) -> set[str]:
    """All texts in a value of JSON."""
    if isinstance(value, dict):
        return {text for one in value.values() for text in texts_in(one)}
    if isinstance(value, list):
        return {text for one in value for text in texts_in(one)}
    return {value} if isinstance(value, str) else set()
