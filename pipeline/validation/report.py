"""The report: one HTML file that needs nothing else, readable on paper and by a screen reader."""

import base64
import io
import json
import os
from pathlib import Path
from typing import Any

import jinja2
import polars as pl
from matplotlib.figure import Figure

from pipeline.config import Settings
from pipeline.store import Lake
from pipeline.tables import TABLES
from pipeline.trees.facts import showpiece
from pipeline.trees.picture import picture
from pipeline.validation import figures
from pipeline.validation.judge_section import judge_section
from pipeline.validation.statistics import prompts_needed
from pipeline.validation.untrained import untrained

SAME_TOKENS = 0.02  # trained tokens this close count as equal: our choice
TEMPLATE = Path(__file__).with_name("report.html.jinja")


def write_report(lake: Lake, settings: Settings, path: Path) -> Path:
    """Writes the report of the lake's present state, whole or not at all; returns its path."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    html = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(**_facts(lake, settings))
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(html, encoding="utf-8")
    draft.replace(path)
    return path


def _facts(lake: Lake, settings: Settings) -> dict[str, Any]:
    board = lake.read("leaderboard")
    pairs = lake.read("preferences")
    trained = lake.read("training_runs")
    known = [name for name in TABLES if name not in ("leaderboard", "usage", "rejects") and lake.version(name)]
    return {
        "settings": settings,
        "board": board.to_dicts(),
        "budget": _budget(board),
        "sentences": [_sentence(lake, row, settings) for row in board.iter_rows(named=True)]
        + untrained(lake, settings),
        "gains": _picture(
            figures.intervals(
                [(r["variant"], r["gain"], r["gain_low"], r["gain_high"]) for r in board.iter_rows(named=True)],
                "gain in accuracy over the base model",
            )
        ),
        "losses": _picture(figures.curves(_losses(trained), "optimiser step", "loss")),
        "strengths": _picture(figures.histogram(pairs["strength"].drop_nulls().to_list(), "strength", "pairs")),
        "tree": _tree(lake),
        "flat": lake.query_file("flat_trees").to_dicts(),
        "usage": lake.query_file("usage").to_dicts(),
        "depths": lake.query_file("pairs_per_depth").to_dicts(),
        "judges": judge_section(lake),
        "examples": _examples(pairs, settings),
        "tables": [{"table": name, "version": lake.version(name), "rows": lake.read(name).height} for name in known],
        "rejects": lake.sql(
            'SELECT "table", reason, count(*) AS n FROM rejects GROUP BY ALL ORDER BY n DESC'
        ).to_dicts(),
    }


def _budget(board: pl.DataFrame) -> str:
    """What was equal between the variants, in plain words."""
    trained = board.filter(pl.col("variant") != "base")
    if trained.is_empty():
        return "No variant was trained."
    pairs, tokens = trained["n_pairs"].unique().sort().to_list(), trained["n_tokens"].to_list()
    apart = max(tokens) / max(1, min(tokens)) - 1
    same = f"{pairs[0]} pairs" if len(pairs) == 1 else f"{pairs[0]} to {pairs[-1]} pairs"
    if apart <= SAME_TOKENS:
        return f"Every variant was trained on {same} and {max(tokens)} tokens of text, equal within {apart:.1%}."
    return (
        f"Every variant was trained on {same}, but not on equally many tokens: their texts differ too much in length "
        f"({min(tokens)} to {max(tokens)} tokens, {apart:.0%} apart)."
    )


def _losses(trained: pl.DataFrame) -> dict[str, list[tuple[float, float]]]:
    return {
        f"{row['variant']} s{row['seed']}": [(point[0], point[1]) for point in json.loads(row["curve"])]
        for row in trained.iter_rows(named=True)
    }


def _tree(lake: Lake) -> dict[str, str] | None:
    """A picture of the tree whose values are spread most, and its prompt; null where there is no tree."""
    rows = showpiece(lake.read("tree_nodes"))
    return {"prompt_id": rows[0]["prompt_id"], "picture": _picture(picture(rows))} if rows else None


def _examples(pairs: pl.DataFrame, settings: Settings) -> list[dict[str, Any]]:
    frames = [pairs.filter(pl.col("variant") == name).head(3) for name in settings.validation.variants]
    return pl.concat(frames).to_dicts() if frames else []


def _sentence(lake: Lake, row: dict[str, Any], settings: Settings) -> str:
    """What a reader may conclude about one variant, and how many prompts would settle it."""
    if row["variant"] == "base":
        return f"base answers {row['accuracy']:.1%} of the draws on test prompts right."
    low, high = f"{row['gain_low']:+.3f}", f"{row['gain_high']:+.3f}"
    text = f"{row['variant']} is {row['verdict']}: gain {row['gain']:+.3f} [{low}, {high}]"
    if row["verdict"] != "not distinguishable":
        return text + "."
    needed = prompts_needed(_differences(lake, row["variant"]), settings.validation.confidence)
    return text + (f"; a difference of this size would take about {needed} prompts to show." if needed else ".")


def _differences(lake: Lake, variant: str) -> Any:
    query = """
        SELECT avg(value) FILTER (variant = $variant) - avg(value) FILTER (variant = 'base') AS difference
        FROM evaluations WHERE metric = 'accuracy' AND variant IN ($variant, 'base') GROUP BY unit_id
    """
    return lake.sql(query, {"variant": variant})["difference"].to_numpy()


def _picture(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg")
    return base64.b64encode(buffer.getvalue()).decode()
