"""The report: one HTML file that needs nothing else, readable on paper and by a screen reader.

A section is a function of the lake and the settings in a file of its own; to add one, name it in
SECTIONS.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import jinja2

from pipeline import durable
from pipeline.config import Settings
from pipeline.escaped import visible
from pipeline.store.reader import Reader
from pipeline.validation.report import (
    comparisons,
    cost,
    data,
    examples,
    judges,
    learning,
    metrics,
    noise,
    results,
    sweep,
    training,
    trees,
    versions,
)
from pipeline.validation.report.blocks import Bullets, MakeSection, Section

# Queries of sql/ that the sections ask.
QUERIES = (
    "flat_trees",
    "label_truth",
    "length_ratios",
    "noise_scorers",
    "noise_sweep",
    "noise_treatments",
    "pair_lineage",
    "pairs_per_depth",
    "strength_truth",
    "usage",
    "vote_cycles",
)
TEMPLATE = Path(__file__).with_name("page.html.jinja")
SECTIONS: tuple[MakeSection, ...] = (
    results.leaderboard,
    comparisons.tests,
    learning.curves,
    metrics.answers,
    metrics.ranking,
    metrics.categories,
    training.curves,
    sweep.curves,
    data.pairs,
    judges.cards,
    noise.votes,
    trees.forest,
    cost.spent,
    examples.pairs,
    versions.tables,
    versions.rejects,
)


def write_report(sections: Sequence[Section], settings: Settings, path: Path) -> Path:
    """Writes the page of some sections, whole or not at all; returns its path."""
    html = page(f"Orchard report: {settings.profile}", sections)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(html, encoding="utf-8")
    durable.put(draft, path)
    return path


def made(lake: Reader, settings: Settings, not_trained: Sequence[str] = ()) -> list[Section]:
    """The sections that have something to show.

    `not_trained` says which variants have no policy.
    """
    found = [section for make in SECTIONS if (section := make(lake, settings)) is not None]
    if not_trained:
        found.insert(1, Section("Variants without a policy", [Bullets(not_trained)]))
    return found


def page(title: str, sections: Sequence[Section]) -> str:
    """The HTML of some sections."""
    environment = jinja2.Environment(
        autoescape=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        title=title, sections=sections
    )
