"""Variants made from trees, each with its control.

Best against worst and all ordered pairs read TPO's ranked lists; `tpo` gives a list loss the lists themselves (table
preference_lists), and any other loss their ordered pairs. Curriculum: Curry-DPO (arXiv 2403.07230; algorithm
second-hand). Clusters: CHASE-SQL (arXiv 2410.01943). Regret: arXiv 2206.02231; its form for trees is our choice.
"""

from dataclasses import replace
from typing import Any

import polars as pl

from pipeline.config import Settings
from pipeline.ids import unit_for
from pipeline.preferences.controls import shuffled
from pipeline.preferences.variant import Build, Variant
from pipeline.store import Lake

# thought_nodes are the rows of tree_nodes whose method is tot: a table of their own where costs are counted.
TREES, THOUGHTS = ("tree_nodes",), ("thought_nodes",)
LISTS, THOUGHT_LISTS = ("tree_nodes", "preference_lists"), ("thought_nodes", "preference_lists")


def siblings_of_thoughts(lake: Lake, settings: Settings) -> pl.DataFrame:
    """Sibling thoughts at least `margin` apart, from trees of thoughts."""
    chosen = settings.preferences
    return lake.query_file("pairs_siblings", method="tot", margin=chosen.margin, continuation=chosen.continuation)


def all_ordered(lists: str) -> Build:
    """Every pair of a list whose values differ."""
    return lambda lake, settings: lake.query_file("pairs_all_ordered", lists=lists)


def best_worst(lists: str) -> Build:
    """The best against the worst path of a list, at least `margin` apart."""
    return lambda lake, settings: lake.query_file("pairs_best_worst", lists=lists, margin=settings.preferences.margin)


def curriculum(lake: Lake, settings: Settings) -> pl.DataFrame:
    """The best sibling against each worse one, in three stages from the widest gap (easy) to the narrowest (hard)."""
    return lake.query_file("pairs_curriculum", method="best_first")


def reversed_stages(source: Build) -> Build:
    """Control of a curriculum: the same pairs, the hard ones first."""
    return lambda lake, settings: source(lake, settings).with_columns(stage=2 - pl.col("stage"))


def shuffled_stages(source: Build) -> Build:
    """Control of a curriculum: the same pairs and as many in each stage, but which is in which goes by hash."""

    def build(lake: Lake, settings: Settings) -> pl.DataFrame:
        pairs = source(lake, settings)
        ids = pairs.select("chosen_id", "rejected_id").rows()
        order = pl.Series("order", [unit_for("stage", *row) for row in ids], dtype=pl.Float64)
        place = pl.col("order").rank("ordinal").over("split").cast(pl.Int64) - 1
        mixed = pl.col("stage").sort().over("split", mapping_strategy="join").list.get(place)
        return pairs.with_columns(order).with_columns(stage=mixed).drop("order")

    return build


def clusters(lake: Lake, settings: Settings) -> pl.DataFrame:
    """A right whole response of a tree against one response of each wrong answer, the commonest first."""
    return lake.query_file("pairs_clusters", method="best_first", per_prompt=settings.preferences.max_pairs_per_prompt)


def regret(lake: Lake, settings: Settings) -> pl.DataFrame:
    """Steps of one tree under different parents, by how much each changed its parent's value."""
    chosen = settings.preferences
    return lake.query_file(
        "pairs_regret",
        method="best_first",
        margin=chosen.margin,
        scale=chosen.regret_scale,
        per_prompt=chosen.max_pairs_per_prompt,
    )


def _with_control(name: str, level: str, method: str, tables: tuple[str, ...], build: Build) -> tuple[Variant, Variant]:
    control = Variant(f"{name}_shuffled", level, f"{method}, labels shuffled", tables, shuffled(build), control_of=name)
    return Variant(name, level, method, tables, build), control


def _lists(name: str, tables: tuple[str, ...]) -> tuple[Variant, Variant]:
    """A list variant: its `preferences` are its lists' ordered pairs; the control's lists are shuffled themselves."""
    control = f"{name}_shuffled"
    learned: dict[str, Any] = {"loss": "list_ranking", "rows": "preference_lists"}
    return (
        replace(Variant(name, "response", "ranked lists", tables, all_ordered(name)), **learned),
        replace(
            Variant(control, "response", "ranked lists, shuffled", tables, all_ordered(control)),
            control_of=name,
            **learned,
        ),
    )


def _curriculum_control(name: str, method: str, build: Build) -> Variant:
    return Variant(name, "step", method, TREES, build, control_of="curriculum")


VARIANTS: tuple[Variant, ...] = (
    *_with_control("tot", "step", "sibling margin in a tree of thoughts", THOUGHTS, siblings_of_thoughts),
    *_lists("tpo", LISTS),
    *_lists("tpo_tot", THOUGHT_LISTS),
    *_with_control("tree_best_worst", "response", "best against worst path", LISTS, best_worst("tpo")),
    *_with_control("tree_all_pairs", "response", "all ordered pairs of paths", LISTS, all_ordered("tpo")),
    *_with_control("tree_clusters", "response", "across clusters of answers", TREES, clusters),
    *_with_control("tree_regret", "step", "regret across parents", TREES, regret),
    Variant("curriculum", "step", "easy, medium, hard", TREES, curriculum),
    _curriculum_control("curriculum_shuffled", "easy, medium, hard, stages shuffled", shuffled_stages(curriculum)),
    _curriculum_control("curriculum_reversed", "hard, medium, easy", reversed_stages(curriculum)),
)
