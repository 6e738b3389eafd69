"""What a tree asset shows in the UI."""

import dagster as dg
import polars as pl

from assets import plots
from assets.produce import Metadata, preview
from pipeline import config
from pipeline.store import Lake
from pipeline.trees.facts import counts, showpiece
from pipeline.trees.picture import picture


def tree_metadata(lake: Lake, nodes: pl.DataFrame) -> Metadata:
    """Counts, sizes, flat trees of each pool, and a picture of the tree whose values are spread most."""
    sizes = nodes.group_by("tree_id").len()["len"].to_list()
    shown = showpiece(nodes)
    query = (config.SHIPPED / "sql" / "flat_trees.sql").read_text(encoding="utf-8")
    flat = lake.sql(query, frames={"tree_nodes": nodes})
    return {
        **counts(nodes),
        "flat_trees": dg.MetadataValue.md(preview(flat, flat.height)),
        "tree_sizes": plots.histogram(sizes, "nodes per tree", "trees"),
        **({"example": plots.inline(picture(shown), f"tree of prompt {shown[0]['prompt_id']}")} if shown else {}),
    }
