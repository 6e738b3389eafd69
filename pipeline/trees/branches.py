"""Branches from random steps of a reference path:
the tree of TPO's released code, without its known faults.

From that code: three cuts, drawn without repetition from the steps of a reference path (again only
where there are fewer steps); each keeps the steps before its cut and samples the rest in one go.
Our choices: the reference is the best of `children` whole responses of the policy itself (the
released recipe takes a data set's), the others stay in the tree as its rejected paths; each branch
has a context of its own (the released code let branches read one another); leaves alone are valued;
a cut at step 0 is a fresh response and counts as a branch.
"""

import asyncio

from pipeline.engine.base import Completion
from pipeline.ids import unit_for
from pipeline.trees.growth import Search, Thought, Tree
from pipeline.trees.node import Node
from pipeline.trees.search import worth
from pipeline.trees.steps import share_tokens, split_path

Path = list[Node]


def branches(n: int) -> Search:
    """Samples whole responses, then continues the best one anew from `n` of its steps."""

    async def search(tree: Tree) -> None:
        if tree.left < 1:
            return
        tree.root.expanded_order, tree.expansions = 0, 1
        known: dict[str, Node] = {}
        drawn = await tree.sample(tree.root, "path", tree.rollout_sampling, tree.settings.children)
        paths = [
            path
            for draw, rest in enumerate(drawn)
            if (path := _graft(tree, [tree.root], rest, draw, known))
        ]
        await _value_leaves(tree, paths, known)
        if paths:
            reference = max(paths, key=lambda path: worth(path[-1]))
            await _branch(
                tree, reference, cut_points(tree.problem.tree_id, len(reference), n), known
            )

    return search


async def _branch(tree: Tree, reference: Path, cuts: list[int], known: dict[str, Node]) -> None:
    """Samples the rest of the reference path anew from each cut, as far as the budget allows."""
    stems = [[tree.root, *reference][: cut + 1] for cut in cuts[: max(0, tree.left)]]
    for stem in stems:
        if stem[-1].expanded_order is None:
            stem[-1].expanded_order = tree.expansions
        tree.expansions += 1
    drawn = [
        tree.sample(stem[-1], f"branch {n}", tree.rollout_sampling, 1)
        for n, stem in enumerate(stems)
    ]
    rests = [rest for (rest,) in await asyncio.gather(*drawn)]
    grown, before = dict(known), set(known)
    numbered = zip(
        range(tree.settings.children, tree.settings.children + len(rests)),
        stems,
        rests,
        strict=True,
    )
    paths = [
        path for draw, stem, rest in numbered if (path := _graft(tree, stem, rest, draw, grown))
    ]
    await _value_leaves(
        tree, paths, {text: node for text, node in grown.items() if text not in before}
    )


def cut_points(tree_id: str, steps: int, n: int) -> list[int]:
    """`n` of the steps 0 to steps - 1 in an order by hash.

    Each comes again only after all were taken.
    """
    order = sorted(range(steps), key=lambda step: unit_for("cut", tree_id, step))
    return [order[number % steps] for number in range(n)]


def _graft(tree: Tree, stem: Path, rest: Completion, draw: int, known: dict[str, Node]) -> Path:
    """The path (without the root) of a sampled rest below a stem.

    Steps that are known are shared, new ones noted.
    """
    text, thinking = tree.apart(stem[-1], rest.text.rstrip())
    steps = split_path(text, tree.settings.delimiter)
    thoughts = [thinking, *[None] * len(steps)]
    spoken = [(thought or "") + step for thought, step in zip(thoughts, steps, strict=False)]
    shares = share_tokens(len(rest.token_ids), spoken)
    path = list(stem)
    for number, text in enumerate(steps):
        last, stopped = number == len(steps) - 1, rest.finish_reason == "stop"
        step = Thought(
            text, last and stopped, shares[number], last and not stopped, thoughts[number]
        )
        child = tree.child(path[-1], draw, step)
        if child.terminal:
            child.tokens += sum(shares[number + 1 :])  # talk after the answer was sampled too
        if child.node_id in known:
            known[child.node_id].merged += 1
            known[child.node_id].tokens += child.tokens
        path.append(known.setdefault(child.node_id, child))
        if child.terminal:
            break
    return path[1:] if len(path) > len(stem) else []


async def _value_leaves(tree: Tree, paths: list[Path], new: dict[str, Node]) -> None:
    leaves = {path[-1].node_id: path[-1] for path in paths if path[-1].value is None}
    await tree.value(list(leaves.values()), new=list(new.values()))
