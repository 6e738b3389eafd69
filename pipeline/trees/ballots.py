"""Leaves of a tree whose thoughts were voted on, in the order that its votes give.

A vote compares the thoughts of one group: a breadth-first search holds it over a whole depth, a
depth-first one over a node's children. Two leaves compare by the last vote that both their paths
were in. Our choices: a leaf that no vote sets apart from the thoughts that went on beside it (equal
to one of them, or between two of them) has no place; places are spaced evenly between 0 and 1,
since the votes of different groups have no common scale.
"""

from collections.abc import Mapping, Sequence

from pipeline.trees.node import Row

Below = Mapping[str, Sequence[Row]]  # a node's id to its children

# of a value: what differs by less was rounded differently, and is equal in the trainer's precision
DIGITS = 6


def placed(steps: Sequence[Row]) -> dict[str, float]:
    """Leaf ids with their values: of n different places the k-th worst has k / (n + 1).

    Leaves without are left out.
    """
    below: dict[str, list[Row]] = {}
    for step in steps:
        below.setdefault(step["parent_id"], []).append(step)
    known = {step["node_id"] for step in steps}
    first = [step for step in steps if step["parent_id"] not in known]
    tiers = _tiers(first, below) if first else []
    return {leaf: place / (len(tiers) + 1) for place, tier in enumerate(tiers, 1) for leaf in tier}


def _tiers(group: Sequence[Row], below: Below) -> list[list[str]]:
    """Ids of the leaves at and below one group, the worst first; those of one tier are equal."""
    blocks = _blocks([node for node in group if node["node_id"] in below], below)
    spans = [(min(map(_votes, block)), max(map(_votes, block))) for block in blocks]
    found: dict[float, list[list[str]]] = {}
    for (_, high), block in zip(spans, blocks, strict=True):
        # two children of a depth-first search with equal votes: the one drawn earlier
        if high not in found:
            found[high] = _tiers(
                [child for node in block for child in below[node["node_id"]]], below
            )
    for node in group:
        votes = _votes(node)
        if node["node_id"] not in below and not any(low <= votes <= high for low, high in spans):
            found.setdefault(votes, [[]])[0].append(node["node_id"])
    return [tier for votes in sorted(found) for tier in found[votes]]


def _blocks(carried: Sequence[Row], below: Below) -> list[list[Row]]:
    """The nodes that went on, those together whose children were one group:
    a group's votes sum to 1.
    """
    children = [child for node in carried for child in below[node["node_id"]]]
    if round(sum(map(_votes, children))) == 1:
        return [list(carried)]
    return [[node] for node in sorted(carried, key=lambda node: (node["draw"], node["node_id"]))]


def _votes(node: Row) -> float:
    return round(node["value"] or 0.0, DIGITS)
