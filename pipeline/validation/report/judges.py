"""The judges, what judging has cost, and what their strengths are worth."""

import json
from typing import Any

from pipeline import figures
from pipeline.config import Settings
from pipeline.store.reader import Reader
from pipeline.validation.report.blocks import Block, Bullets, Picture, Section, Table, Text

Row = dict[str, Any]
CARD = {
    "judge": "judge_id",
    "criterion": "criterion",
    "pairs of": "origin",
    "pairs": "n_pairs",
    "labelled": "n_labelled",
    "accuracy": "accuracy",
    "from": "accuracy_low",
    "to": "accuracy_high",
    "flips": "flip_rate",
    "first seat": "first_share",
    "longer wins": "longer_share",
    "longer is better": "longer_accuracy",
    "own wins": "own_share",
    "own is better": "own_truth",
    "reversed contexts": "context_accuracy",
    "of contexts": "n_contexts",
    "calibration error": "ece",
    "calibrated": "ece_calibrated",
    "tokens": "tokens",
}
STEPS = ("votes", "judge contexts", "rationales", "principles")


def cards(lake: Reader, _: Settings) -> Section | None:
    """Every judge's report card in words and figures; judged strength against verified truth."""
    rows = lake.read("judges").sort("origin", "judge_id", "criterion")
    if rows.is_empty():
        return None
    cycles = lake.query_file("vote_cycles").height
    shares = {title: ".2f" for title, name in CARD.items() if rows[name].dtype.is_float()}
    blocks: list[Block] = [
        Bullets([sentence(card) for card in rows.to_dicts()]),
        Table("Every judge's report card", [*CARD], rows.select(CARD.values()).rows(), shares),
        Text(
            "Fair is a first seat of 0.50 and no flip. "
            "A dash is unknown: no labels, one policy only, or a judge that scored "
            "and did not compare. "
            "Circles of three responses that beat each other in both orders: "
            f"{cycles} (orchard sql vote_cycles.sql)."
        ),
        *_calibration(rows.to_dicts()),
        *_cost(lake),
        *_strengths(lake.query_file("strength_truth").to_dicts()),
    ]
    return Section("Judges", blocks)


def sentence(card: Row) -> str:
    """What a reader may conclude of one judge."""
    said = (
        f"{card['judge_id']}, asked {card['criterion']!r} about pairs of {card['origin']}: "
        f"{card['verdict']}."
    )
    if card["accuracy_low"] is not None and card["accuracy_low"] <= 0.5:
        said += (
            " Its verdicts are not better than a coin's: "
            "pairs made from them show that the machinery runs, not more."
        )
    return said


def strength_sentences(truth: list[Row]) -> list[str]:
    """For each variant:
    how often the judged side is right where a verifier tells the sides apart.
    """
    said = []
    for name in dict.fromkeys(row["variant"] for row in truth):
        own = [row for row in truth if row["variant"] == name]
        n = sum(row["pairs"] for row in own)
        mean, right = (
            sum(row["pairs"] * row[key] for row in own) / n
            for key in ("mean_strength", "share_right")
        )
        sure = "too sure of itself" if mean > right else "not too sure of itself"
        said.append(
            f"{name}: of {n} pairs that the verifier tells apart, "
            f"the judge's side is right in {right:.0%}; "
            f"its mean strength there is {mean:.2f}: {sure}."
        )
    return said


def _calibration(rows: list[Row]) -> list[Block]:
    """Confidence against the share right, a line per judge, with the line of a perfect one;
    nothing without labels.
    """
    lines = {
        f"{card['judge_id']}, {card['criterion']}, {card['origin']}": [
            (p[0], p[1]) for p in json.loads(card["curve"])
        ]
        for card in rows
        if card["curve"]
    }
    if not lines:
        return []
    points = [(name, *point) for name, found in lines.items() for point in found]
    table = Table("Confidence and share right", ["judge", "mean confidence", "share right"], points)
    drawn = figures.curves(
        {**lines, "perfect": [(0.5, 0.5), (1.0, 1.0)]}, "mean confidence", "share right"
    )
    return [
        Picture(
            drawn, "confidence of each judge against the share of pairs that it judges right", table
        )
    ]


def _cost(lake: Reader) -> list[Block]:
    names = ["step", "requests", "cache_hits", "prompt_tokens", "sampled_tokens", "seconds"]
    rows = [
        tuple(row[name] for name in names)
        for row in lake.query_file("usage").to_dicts()
        if row["step"] in STEPS
    ]
    return (
        [Table("What judging has cost so far", [n.replace("_", " ") for n in names], rows)]
        if rows
        else []
    )


def _strengths(truth: list[Row]) -> list[Block]:
    if not truth:
        return []
    names = ["variant", "strength_from", "pairs", "mean_strength", "share_right"]
    titles = ["variant", "strength from", "pairs", "mean strength", "chosen side is right"]
    rows = [tuple(row[name] for name in names) for row in truth]
    return [
        Bullets(strength_sentences(truth)),
        Table("Judged strength against verified truth", titles, rows, {"strength from": ".2f"}),
    ]
