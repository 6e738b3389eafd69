"""What a step shows of itself, for the web UI."""

import base64
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
from matplotlib.figure import Figure

from pipeline import tables
from pipeline.escaped import markdown, sentence, visible
from pipeline.steps import StepReport
from pipeline.validation.report.blocks import Block, Bullets, Picture, Section, Text

# What the UI calls a column of `usage`.
COSTS = {
    "sampled_tokens": "sampled_tokens",
    "prompt_tokens": "prompt_tokens",
    "cached_prefix_tokens": "cached_prompt_tokens",
    "cache_hits": "cache_hits",
    "saved_tokens": "saved_tokens",
}


def of_report(report: StepReport) -> dict[str, Any]:
    """What the UI shows of a step, or of a part of it."""
    said: dict[str, Any] = {
        "status": report.status,
        "lake_version": report.version,
        "fingerprint": report.fingerprint,
    }
    if report.rows is not None:
        said |= {"dagster/row_count": report.rows, "rejected_rows": report.rejected}
    said |= _of_cost(report.cost)
    if report.rows_shown is not None:
        said["preview"] = dg.MetadataValue.md(table(report.rows_shown, 5))
    return said | {title: of_value(value, title) for title, value in report.shown.items()}


def of_value(value: Any, title: str) -> Any:
    """A number, text, list of sentences, data frame, figure or section, as the UI shows it."""
    if isinstance(value, Figure):
        return dg.MetadataValue.md(picture(value, title))
    if isinstance(value, pl.DataFrame):
        return dg.MetadataValue.md(table(value, value.height))
    if isinstance(value, list):
        return dg.MetadataValue.md("\n".join(f"- {sentence(said)}" for said in value))
    if isinstance(value, Section):
        return dg.MetadataValue.md("\n\n".join(_block(block) for block in value.blocks))
    if isinstance(value, str):
        return visible(value)
    return dg.MetadataValue.path(str(value)) if isinstance(value, Path) else value


def picture(figure: Figure, alt: str) -> str:
    """A figure as Markdown that holds the image itself."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=70)
    return (
        f"![{markdown(alt)}](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})"
    )


def table(rows: pl.DataFrame, height: int, width: int = 60) -> str:
    """The first rows as a Markdown table, long cells cut."""
    if rows.is_empty():
        return "(no rows)"

    def cell(value: object) -> str:
        text = " ".join(str(value).split())
        return text if len(text) <= width else text[: width - 1] + "…"

    lines = [_line(rows.columns), "|" + " --- |" * rows.width]
    return "\n".join([*lines, *(_line(map(cell, row)) for row in rows.head(height).iter_rows())])


def column_schema(name: str) -> dg.TableSchema:
    """A table's columns, with their types and meanings."""
    columns = tables.columns(name)
    return dg.TableSchema(columns=[dg.TableColumn(n, t, description=d) for n, t, d in columns])


def _of_cost(cost: Mapping[str, Any]) -> dict[str, Any]:
    """Seconds, and what the models were asked; nothing of models where none was."""
    if not cost:
        return {}
    said: dict[str, Any] = {"seconds": round(cost["seconds"], 2)}
    if not (cost["requests"] or cost["cache_hits"]):
        return said
    said |= {title: cost[column] for title, column in COSTS.items()}
    if cost["engine_seconds"]:
        said["tokens_per_second"] = round(cost["sampled_tokens"] / cost["engine_seconds"], 1)
    if cost["occupancy"] is not None:
        said["batch_occupancy"] = round(cost["occupancy"], 3)
    return said


def _block(block: Block) -> str:
    if isinstance(block, Text):
        return sentence(block.text)
    if isinstance(block, Bullets):
        return "\n".join(f"- {sentence(item)}" for item in block.items)
    if isinstance(block, Picture):
        return picture(block.figure, block.alt)
    rule = ["---:" if number else "---" for number in block.numeric]
    lines = [_line(block.columns), f"| {' | '.join(rule)} |", *map(_line, block.cells)]
    return "\n".join([f"**{markdown(block.caption)}**", "", *lines])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(markdown, cells))} |"
