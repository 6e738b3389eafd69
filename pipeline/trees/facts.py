"""What a forest shows of itself:
sizes, flat trees, missing answers, and the tree most worth a look.
"""

from typing import Any

import polars as pl

from pipeline.trees.node import Row


def counts(nodes: pl.DataFrame) -> dict[str, Any]:
    """Trees, steps, rollouts, texts without an answer, and share of trees that learned nothing."""
    steps = nodes.filter(pl.col("kind") == "step")
    flat = _spread(nodes)["flat"].mean()
    judged = nodes.filter(pl.col("correct").is_not_null())
    return {
        "trees": nodes["tree_id"].n_unique(),
        "steps": steps.height,
        "rollouts": int((nodes["kind"] == "rollout").sum()),
        "share_of_trees_all_right_or_all_wrong": round(flat, 4)
        if isinstance(flat, float)
        else None,
        "judged_texts": judged.height,
        "judged_texts_without_an_answer": judged["answer"].null_count(),
    }


def showpiece(nodes: pl.DataFrame, most: int = 24) -> list[Row]:
    """The rows of the tree whose values are spread most, of those with at most `most` steps;
    of equals by id.
    """
    small = nodes.filter(((pl.col("kind") == "step").sum() <= most).over("tree_id"))
    if small.is_empty():
        return []
    ordered = _spread(small).sort(["spread", "tree_id"], descending=[True, False], nulls_last=True)
    return small.filter(pl.col("tree_id") == ordered["tree_id"][0]).to_dicts()


def _spread(nodes: pl.DataFrame) -> pl.DataFrame:
    """(tree_id, spread of its steps' values, flat: all of them 0, or all 1).

    A root's value counts without steps.
    """
    low, high, step = pl.col("value").min(), pl.col("value").max(), pl.col("kind") == "step"
    valued = nodes.filter((pl.col("kind") != "rollout") & pl.col("value").is_not_null())
    valued = valued.filter(step | ~step.any().over("tree_id"))
    return valued.group_by("tree_id").agg(spread=high - low, flat=(high == 0) | (low == 1))
