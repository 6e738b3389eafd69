"""Variants made from trees, each with its control.

Best against worst and all ordered pairs read TPO's ranked lists; `tpo` gives a list loss the lists
themselves (table preference_lists), and any other loss their ordered pairs. Curriculum: Curry-DPO
(arXiv 2403.07230; algorithm second-hand). Clusters: CHASE-SQL (arXiv 2410.01943). Regret: arXiv
2206.02231; its form for trees is our choice.
"""

from dataclasses import replace

import polars as pl

from pipeline.config import Settings
from pipeline.ids import unit_for
from pipeline.preferences.controls import shuffled
from pipeline.preferences.variant import Build, Variant, register
from pipeline.steps.declared import Reads, Rows
from pipeline.store.reader import Reader


def tree_plv(lake: Reader, settings: Settings) -> pl.DataFrame:
    """Sibling steps at least `margin` apart (Tree-PLV)."""
    return _siblings(lake, settings, "best_first")


def siblings_of_thoughts(lake: Reader, settings: Settings) -> pl.DataFrame:
    """Sibling thoughts at least `margin` apart, from trees of thoughts."""
    return _siblings(lake, settings, "tot")


def _siblings(lake: Reader, settings: Settings, method: str) -> pl.DataFrame:
    margin, continuation = settings.preferences.margin, settings.preferences.continuation
    return lake.query_file(
        "pairs_siblings", method=method, margin=margin, continuation=continuation
    )


def all_ordered(lists: str) -> Build:
    """Every pair of a list whose values differ."""
    return lambda lake, settings: lake.query_file("pairs_all_ordered", lists=lists)


def best_worst(lists: str) -> Build:
    """The best against the worst path of a list, at least `margin` apart."""
    return lambda lake, settings: lake.query_file(
        "pairs_best_worst", lists=lists, margin=settings.preferences.margin
    )


def curriculum(lake: Reader, settings: Settings) -> pl.DataFrame:
    """The best sibling against each worse one,
    in three stages from the widest gap (easy) to the narrowest (hard).
    """
    return lake.query_file("pairs_curriculum", method="best_first")


def reversed_stages(source: Build) -> Build:
    """Control of a curriculum: the same pairs, the hard ones first."""
    return lambda lake, settings: source(lake, settings).with_columns(stage=2 - pl.col("stage"))


def shuffled_stages(source: Build) -> Build:
    """Control of a curriculum:
    the same pairs and as many in each stage, but which is in which goes by hash.
    """

    def build(lake: Reader, settings: Settings) -> pl.DataFrame:
        pairs = source(lake, settings)
        ids = pairs.select("chosen_id", "rejected_id").rows()
        order = pl.Series("order", [unit_for("stage", *row) for row in ids], dtype=pl.Float64)
        place = pl.col("order").rank("ordinal").over("split").cast(pl.Int64) - 1
        mixed = pl.col("stage").sort().over("split", mapping_strategy="join").list.get(place)
        return pairs.with_columns(order).with_columns(stage=mixed).drop("order")

    return build


def clusters(lake: Reader, settings: Settings) -> pl.DataFrame:
    """A right whole response of a tree against one response of each wrong answer,
    the commonest first.
    """
    return lake.query_file(
        "pairs_clusters", method="best_first", per_prompt=settings.preferences.max_pairs_per_prompt
    )


def regret(lake: Reader, settings: Settings) -> pl.DataFrame:
    """Steps of one tree under different parents, by how much each changed its parent's value."""
    chosen = settings.preferences
    return lake.query_file(
        "pairs_regret",
        method="best_first",
        margin=chosen.margin,
        scale=chosen.regret_scale,
        per_prompt=chosen.max_pairs_per_prompt,
    )


TREES = Rows("tree_nodes", "method", "best_first")
THOUGHTS = Rows("tree_nodes", "method", "tot")
PER_PROMPT = "preferences.max_pairs_per_prompt"
SIBLINGS = Reads(
    queries=("pairs_siblings",), settings=("preferences.margin", "preferences.continuation")
)


def _reads(trees: Rows, query: str, *settings: str) -> Reads:
    return Reads(tables=(trees,), queries=(query,), settings=settings)


def _lists(name: str) -> Reads:
    """The lists of one list variant."""
    return Reads(tables=(Rows("preference_lists", "variant", name),))


def _with_control(made: Variant) -> None:
    register(made, made.control("shuffled", "labels shuffled", shuffled(made.build)))


def _list_variants(name: str) -> None:
    """A list variant: its `preferences` are its lists' ordered pairs.

    The control's lists are shuffled themselves.
    """
    for own, method in ((name, "ranked lists"), (f"{name}_shuffled", "ranked lists, shuffled")):
        reads = _lists(own).plus(Reads(queries=("pairs_all_ordered",)))
        control_of = None if own == name else name
        register(
            Variant(
                own,
                "response",
                method,
                reads,
                all_ordered(own),
                loss="list_ranking",
                control_of=control_of,
                rows="preference_lists",
            )
        )


_with_control(
    Variant("tree_plv", "step", "sibling margin", Reads(tables=(TREES,)).plus(SIBLINGS), tree_plv)
)
_with_control(
    Variant(
        "tot",
        "step",
        "sibling margin in a tree of thoughts",
        Reads(tables=(THOUGHTS,)).plus(SIBLINGS),
        siblings_of_thoughts,
    )
)
_list_variants("tpo")
_list_variants("tpo_tot")
_with_control(
    Variant(
        "tree_best_worst",
        "response",
        "best against worst path",
        _lists("tpo").plus(Reads(queries=("pairs_best_worst",), settings=("preferences.margin",))),
        best_worst("tpo"),
    )
)
_with_control(
    Variant(
        "tree_all_pairs",
        "response",
        "all ordered pairs of paths",
        _lists("tpo").plus(Reads(queries=("pairs_all_ordered",))),
        all_ordered("tpo"),
    )
)
_with_control(
    Variant(
        "tree_clusters",
        "response",
        "across clusters of answers",
        _reads(TREES, "pairs_clusters", PER_PROMPT),
        clusters,
    )
)
_with_control(
    Variant(
        "tree_regret",
        "step",
        "regret across parents",
        _reads(TREES, "pairs_regret", "preferences.margin", "preferences.regret_scale", PER_PROMPT),
        regret,
    )
)
CURRICULUM = Variant(
    "curriculum", "step", "easy, medium, hard", _reads(TREES, "pairs_curriculum"), curriculum
)
register(
    CURRICULUM,
    CURRICULUM.control("shuffled", "stages shuffled", shuffled_stages(curriculum)),
    replace(
        CURRICULUM.control("reversed", "", reversed_stages(curriculum)), method="hard, medium, easy"
    ),
)
