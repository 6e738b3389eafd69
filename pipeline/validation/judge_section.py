"""The report's section on judges: each one's report card, and judged strength against verified truth."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from pipeline.store import Lake
from pipeline.validation import figures

TEMPLATE = Path(__file__).with_name("judges.html.jinja")
Row = dict[str, Any]


def judge_section(lake: Lake) -> Markup:
    """The section as HTML; empty where no judge has a card."""
    cards = lake.read("judges").sort("origin", "judge_id", "criterion").to_dicts()
    if not cards:
        return Markup()
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["share"] = lambda value: "–" if value is None else f"{value:.2f}"
    truth = lake.query_file("strength_truth").to_dicts()
    usage = lake.query_file("usage").to_dicts()
    return Markup(
        environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
            cards=cards,
            sentences=[sentence(card) for card in cards],
            truth=truth,
            truth_sentences=strength_sentences(truth),
            cycles=lake.query_file("vote_cycles").height,
            curves=_curves(cards),
            cost=[row for row in usage if row["step"] in ("votes", "judge contexts", "rationales", "principles")],
        )
    )


def sentence(card: Row) -> str:
    """What a reader may conclude of one judge."""
    said = f"{card['judge_id']}, asked {card['criterion']!r} about pairs of {card['origin']}: {card['verdict']}."
    if card["accuracy_low"] is not None and card["accuracy_low"] <= 0.5:
        said += (
            " Its verdicts are not better than a coin's: pairs made from them show that the machinery runs, not more."
        )
    return said


def strength_sentences(truth: list[Row]) -> list[str]:
    """For each variant: how often the judged side is right where a verifier tells the sides apart."""
    said = []
    for name in dict.fromkeys(row["variant"] for row in truth):
        own = [row for row in truth if row["variant"] == name]
        n = sum(row["pairs"] for row in own)
        mean, right = (sum(row["pairs"] * row[key] for row in own) / n for key in ("mean_strength", "share_right"))
        sure = "too sure of itself" if mean > right else "not too sure of itself"
        said.append(
            f"{name}: of {n} pairs that the verifier tells apart, the judge's side is right in {right:.0%}; "
            f"its mean strength there is {mean:.2f}: {sure}."
        )
    return said


def _curves(cards: list[Row]) -> str | None:
    """Confidence against the share right, one line per judge, with the line of a perfect one; null without labels."""
    lines = {
        f"{card['judge_id']}, {card['criterion']}, {card['origin']}": [(p[0], p[1]) for p in json.loads(card["curve"])]
        for card in cards
        if card["curve"]
    }
    if not lines:
        return None
    buffer = io.BytesIO()
    perfect = {"perfect": [(0.5, 0.5), (1.0, 1.0)]}
    figures.curves({**lines, **perfect}, "mean confidence", "share right").savefig(buffer, format="svg")
    return base64.b64encode(buffer.getvalue()).decode()
