"""Variants made from trees, each with its control.

Best against worst and all ordered pairs read TPO's ranked lists; `tpo` gives a list loss the lists
themselves (table preference_lists), and any other loss their ordered pairs. Curriculum: Curry-DPO
(arXiv 2403.07230; algorithm second-hand). Clusters: CHASE-SQL (arXiv 2410.01943). Regret: arXiv
2206.02231; its form for trees is our choice. Values are shares of few rollouts, and pick the
pairs; strengths are estimated from all trees (pipeline/trees/chances.py).
"""

from dataclasses import replace

import polars as pl

from pipeline.config import Settings
from pipeline.errors import OrchardError
from pipeline.ids import unit_for
from pipeline.preferences.controls import shuffled
from pipeline.preferences.strengths import with_regret_strengths, with_strengths
from pipeline.preferences.variant import Build, Variant, register
from pipeline.steps.declared import Reads, Rows
from pipeline.store.reader import Reader


def siblings(method: str) -> Build:
    """Sibling steps of trees of one method, at least `margin` apart (Tree-PLV)."""

    def build(lake: Reader, settings: Settings) -> pl.DataFrame:
        own = settings.preferences
        pairs = lake.query_file(
            "pairs_siblings",
            method=method,
            margin=own.margin,
            continuation=own.continuation,
            per_prompt=own.max_pairs_per_prompt,
        )
        return with_strengths(pairs, lake, method)

    return build


def same_step(lake: Reader, settings: Settings) -> pl.DataFrame:
    """Control of Tree-PLV: a right against a wrong rollout of the same step.

    The trees and the verdicts are the same; that one step was chosen over another is what it lacks.
    """
    return lake.query_file(
        "pairs_same_step",
        method="best_first",
        per_prompt=settings.preferences.max_pairs_per_prompt,
    )


def all_ordered(lists: str) -> Build:
    """The pairs of a list whose values differ."""
    return lambda lake, settings: lake.query_file(
        "pairs_all_ordered", lists=lists, per_prompt=settings.preferences.max_pairs_per_prompt
    )


def best_worst(lists: str) -> Build:
    """The best against the worst item of a list, at least `margin` apart."""
    return lambda lake, settings: lake.query_file(
        "pairs_best_worst",
        lists=lists,
        margin=settings.preferences.margin,
        per_prompt=settings.preferences.max_pairs_per_prompt,
    )


def curriculum(lake: Reader, settings: Settings) -> pl.DataFrame:
    """The best sibling against each clearly worse one, in three stages from easy to hard.

    Raises:
        OrchardError: too few training pairs for three stages.
    """
    pairs = lake.query_file(
        "pairs_curriculum",
        method="best_first",
        margin=settings.preferences.margin,
        per_prompt=settings.preferences.max_pairs_per_prompt,
    )
    return staged(with_strengths(pairs, lake, "best_first"))


def staged(pairs: pl.DataFrame) -> pl.DataFrame:
    """Pairs in three equal stages of their split: the strongest first, equal ones by hash.

    Thirds by rank and not by gap, since gaps are eighths: most pairs share one of a few, and a
    third by gap may be empty (our choice).

    Raises:
        OrchardError: a split to learn from has pairs, but not one for each stage.
    """
    few = pairs.filter(pl.col("split") == "train").height
    if 0 < few < STAGES:
        raise OrchardError(
            f"curriculum: {few} training pairs make no {STAGES} stages: "
            "grow more trees, or lower preferences.margin"
        )
    ids = pairs.select("chosen_id", "rejected_id").rows()
    order = pl.Series("order", [unit_for("curriculum", *row) for row in ids], dtype=pl.Float64)
    ranked = pairs.with_columns(order).sort(
        pl.col("strength").round(9), "margin", "order", descending=[True, True, False]
    )
    place, n = pl.int_range(pl.len()).over("split"), pl.len().over("split")
    found = ranked.with_columns(stage=(STAGES * place // n).cast(pl.Int64)).drop("order")
    return found.sort("stage", "chosen_id", "rejected_id")


def reversed_stages(source: Build) -> Build:
    """Control of a curriculum: the same pairs, the hard ones first."""
    return lambda lake, settings: source(lake, settings).with_columns(
        stage=STAGES - 1 - pl.col("stage")
    )


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
    own = settings.preferences
    pairs = lake.query_file(
        "pairs_regret",
        method="best_first",
        margin=own.margin,
        per_prompt=own.max_pairs_per_prompt,
    )
    return with_regret_strengths(pairs, lake, "best_first", own.regret_scale)


STAGES = 3  # of a curriculum
TREES = Rows("tree_nodes", "method", "best_first")
THOUGHTS = Rows("tree_nodes", "method", "tot")
MARGIN, PER_PROMPT = "preferences.margin", "preferences.max_pairs_per_prompt"
SIBLINGS = Reads(
    queries=("pairs_siblings",), settings=(MARGIN, "preferences.continuation", PER_PROMPT)
)


ALL_ORDERED = Reads(queries=("pairs_all_ordered",), settings=(PER_PROMPT,))


def _reads(trees: Rows, query: str, *settings: str) -> Reads:
    return Reads(tables=(trees,), queries=(query,), settings=settings)


def _lists(name: str) -> Reads:
    """The lists of one list variant."""
    return Reads(tables=(Rows("preference_lists", "variant", name),))


def _with_control(made: Variant) -> None:
    register(made, made.control("shuffled", "labels shuffled", shuffled(made.build)))


def _list_variants(name: str) -> None:
    """A list variant: its `preferences` are its lists' ordered pairs.

    The controls' lists are shuffled themselves, or have no adaptive step rewards.
    """
    controls = {"": "", "_shuffled": ", shuffled", "_no_rewards": ", without step rewards"}
    for own, method in ((name + end, f"ranked lists{what}") for end, what in controls.items()):
        reads = _lists(own).plus(ALL_ORDERED)
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


TREE_PLV = Variant(
    "tree_plv",
    "step",
    "sibling margin",
    Reads(tables=(TREES,)).plus(SIBLINGS),
    siblings("best_first"),
)
_with_control(TREE_PLV)
register(
    replace(
        TREE_PLV.control("same_step", "", same_step),
        level="response",
        method="rollouts of one step",
        reads=_reads(TREES, "pairs_same_step", PER_PROMPT),
    )
)
_with_control(
    Variant(
        "tot",
        "step",
        "sibling margin in a tree of thoughts",
        Reads(tables=(THOUGHTS,)).plus(SIBLINGS),
        siblings("tot"),
    )
)
_list_variants("tpo")
_list_variants("tpo_tot")
_with_control(
    Variant(
        "tree_best_worst",
        "response",
        "best against worst path",
        _lists("tpo").plus(Reads(queries=("pairs_best_worst",), settings=(MARGIN, PER_PROMPT))),
        best_worst("tpo"),
    )
)
_with_control(
    Variant(
        "tree_all_pairs",
        "response",
        "all ordered pairs of paths",
        _lists("tpo").plus(ALL_ORDERED),
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
        _reads(TREES, "pairs_regret", MARGIN, "preferences.regret_scale", PER_PROMPT),
        regret,
    )
)
CURRICULUM = Variant(
    "curriculum",
    "step",
    "easy, medium, hard",
    _reads(TREES, "pairs_curriculum", MARGIN, PER_PROMPT),
    curriculum,
)
register(
    CURRICULUM,
    CURRICULUM.control("shuffled", "stages shuffled", shuffled_stages(curriculum)),
    replace(
        CURRICULUM.control("reversed", "", reversed_stages(curriculum)), method="hard, medium, easy"
    ),
)
