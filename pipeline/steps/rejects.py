"""Rejected rows in the shape of their table."""

import json
from collections.abc import Collection, Sequence

import polars as pl

from pipeline import tables
from pipeline.engine.base import Reject
from pipeline.escaped import visible
from pipeline.ids import content_id


def reject_rows(rejects: Sequence[Reject], prompts: Collection[str] = ()) -> pl.DataFrame:
    """Rows of `rejects`.

    The prompt of a reject is the one that its row names; else its own id, where that is one of
    `prompts`.
    """
    reasons = [visible(r.reason) for r in rejects]  # they may quote a text that no file can hold
    rows = [
        {
            "reject_id": content_id(r.table, r.step, r.row_id, reason),
            "table": r.table,
            "step": r.step,
            "row_id": r.row_id,
            "reason": reason,
            "row": json.dumps(r.row, default=str),
            "prompt_id": r.row.get("prompt_id") or (r.row_id if r.row_id in prompts else None),
            "passing": r.passing,
            "recipe": None,
        }
        for r, reason in zip(rejects, reasons, strict=True)
    ]
    return pl.DataFrame(rows, schema=tables.empty("rejects").schema)
