"""What to show of a forest:
counts, sizes, flat trees, and the tree whose values are spread most.
"""

from typing import Any

import polars as pl

from pipeline.figures import histogram
from pipeline.trees.facts import counts, showpiece
from pipeline.trees.picture import picture


def views(nodes: pl.DataFrame, flat: pl.DataFrame) -> dict[str, Any]:
    """Titles with numbers, tables and figures.

    `flat` is what sql/flat_trees.sql says of the nodes.
    """
    sizes = nodes.group_by("tree_id").len()["len"].to_list()
    shown = showpiece(nodes)
    example = {f"tree of prompt {shown[0]['prompt_id']}": picture(shown)} if shown else {}
    tree_sizes = histogram(sizes, "nodes per tree", "trees")
    return {**counts(nodes), "flat_trees": flat, "tree_sizes": tree_sizes, **example}
