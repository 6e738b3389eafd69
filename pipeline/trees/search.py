"""Searches: which node is expanded next. Each ends when nothing is open or the budget is spent.

Ties go to the earlier draw. Breadth-first and depth-first are those of tree of thoughts (Yao et al.
2023, arXiv 2305.10601): the best b of a level, and the best child first with pruning. What the
paper's code does with thoughts that end early was not looked up: here a finished thought keeps its
place in the beam (our choice).
"""

from pipeline.trees.growth import Search, Tree
from pipeline.trees.node import Node


def worth(node: Node) -> float:
    """A node's value; nodes without one come last."""
    return -1.0 if node.value is None else node.value


async def greedy(tree: Tree) -> None:
    """Expands the best child of the last expansion,
    until that child ends the response or its value is decided.
    """
    node: Node | None = tree.root
    while node is not None and tree.is_open(node) and tree.left > 0:
        children = await tree.expand(node)
        node = max(
            (child for child in children if _counts(tree, child)),
            key=worth,
            default=None,
        )


def _counts(tree: Tree, child: Node) -> bool:
    return child.terminal or tree.is_decided(child) or tree.is_open(child)


async def best_first(tree: Tree) -> None:
    """Expands the best open node anywhere in the tree."""
    frontier = [tree.root]
    while frontier and tree.left > 0:
        best = max(frontier, key=worth)
        frontier.remove(best)
        frontier += [child for child in await tree.expand(best) if tree.is_open(child)]


def breadth_first(beam: int) -> Search:
    """Expands the best `beam` thoughts of each depth, all at once."""

    async def search(tree: Tree) -> None:
        level = [tree.root]
        while level and tree.left > 0:
            children = await tree.expand(*level[: tree.left])
            kept = sorted(children, key=worth, reverse=True)[:beam]
            level = [child for child in kept if tree.is_open(child)]

    return search


def depth_first(threshold: float) -> Search:
    """Goes down to the best child first, never to one valued below `threshold`.

    Ends at the first finished thought, and at one whose rollouts are all right.
    """

    async def search(tree: Tree) -> None:
        stack = [tree.root]
        while stack and tree.left > 0:
            node = stack.pop()
            if node.terminal or (tree.is_decided(node) and node.value == 1):
                return
            if tree.is_open(node):
                kept = [child for child in await tree.expand(node) if worth(child) >= threshold]
                # the best, and of equals the earlier, is popped first
                stack += sorted(reversed(kept), key=worth)

    return search
