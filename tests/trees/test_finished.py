"""Items of lists are finished responses, over trees of a simulated policy."""

import polars as pl
import pytest

from pipeline.preferences.lists import endings, ranked_lists
from tests.trees.simulated import LAWS, judge, world


@pytest.mark.parametrize("law", LAWS)
def test_every_item_ends_and_no_better_one_is_wrong_where_a_worse_one_is_right(law: str) -> None:
    """A tenth of the rollouts is cut: no item is made of these."""
    grown = world(law, 40, seed=1, cut=0.1)
    steps = grown.nodes.filter(pl.col("kind") == "step")
    leaves = steps.filter(~pl.col("node_id").is_in(steps["parent_id"].to_list()))
    lists, rejects = ranked_lists(grown.nodes, grown.prompts, size=100)
    items = [item for found in lists["items"].to_list() for item in found]
    assert lists.height + len(rejects) == 40 and len(items) > 300
    assert leaves["terminal"].mean() < 0.2  # type: ignore[operator]
    assert endings(lists)["share_of_items_that_end"] == 1
    for found in lists["items"].to_list():
        right = [judge(item["text"]) for item in found]
        assert all(answer is not None for answer, _ in right)
        verdicts = [verdict for _, verdict in right]
        assert verdicts == sorted(verdicts, reverse=True)  # items stand in order of value
