"""Texts as one tree of tokens: what several of them begin with is computed once.

A node is a token in its context: its hidden state depends on itself and its ancestors only, so that
texts with a common beginning (the two sides of a pair, the steps of one solution, the examples of a
prompt) share the nodes of it. Nothing is padded.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor

from pipeline.training.example import Ids, Side

Item = TypeVar("Item")


@dataclass(frozen=True)
class Path:
    """A way from the root to the end of a sequence,
    and the nodes at its end that no earlier path has.
    """

    start: int  # its own nodes are start..stop - 1, each the child of the one before it
    stop: int
    # all its nodes from the root, as runs of neighbours; the last one ends at stop
    spans: tuple[tuple[int, int], ...]
    later: Tensor  # (n, n) of its own nodes, true where the second comes after the first


@dataclass(frozen=True)
class Tree:
    """T nodes in depth-first order; N of them, predicted by their parents, make up M texts."""

    ids: Tensor  # (1, T)
    positions: Tensor  # (1, T) depth
    paths: tuple[Path, ...]  # their own nodes follow each other and are all T nodes
    parents: Tensor  # (N,)
    targets: Tensor  # (N,) tokens of the predicted nodes
    # (sum of lengths,) the predicted nodes of every text, one after another, as indices of 0..N - 1
    tokens: Tensor
    lengths: tuple[int, ...]  # M tokens per text, in the order of the sides


def grow(sides: Sequence[Side], device: torch.device) -> Tree:
    """The tree of all sides: contexts and the texts that continue them."""
    ids: list[int] = []
    paths: list[Path] = []
    trails: dict[Ids, list[int]] = {}  # nodes of each sequence
    before: Ids = ()
    trail: list[int] = []
    for sequence in sorted({context + text for context, text in sides}):
        shared, start = common(before, sequence), len(ids)
        ids += sequence[shared:]
        trail = [*trail[:shared], *range(start, len(ids))]
        own = len(ids) - start
        later = torch.ones(own, own, dtype=torch.bool, device=device).triu_(1)
        paths.append(Path(start, len(ids), _spans(trail), later))
        trails[sequence], before = trail, sequence
    predicted: dict[int, int] = {}  # node to its parent
    nodes: list[int] = []
    for context, text in sides:
        trail = trails[context + text]
        predicted.update(zip(trail[len(context) :], trail[len(context) - 1 : -1], strict=True))
        nodes += trail[len(context) :]
    places = {node: place for place, node in enumerate(predicted)}
    depths = {node: depth for trail in trails.values() for depth, node in enumerate(trail)}
    positions = [depths[node] for node in range(len(ids))]
    return Tree(
        ids=torch.tensor([ids], device=device),
        positions=torch.tensor([positions], device=device),
        paths=tuple(paths),
        parents=torch.tensor(list(predicted.values()), device=device),
        targets=torch.tensor([ids[node] for node in predicted], device=device),
        tokens=torch.tensor([places[node] for node in nodes], device=device),
        lengths=tuple(len(text) for _, text in sides),
    )


def common(first: Ids, second: Ids) -> int:
    """How many tokens two sequences begin with alike."""
    for place, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return place
    return min(len(first), len(second))


def micro_batches(
    items: Sequence[Item], sides: Callable[[Item], Sequence[Side]], max_tokens: int, trees: bool
) -> Iterator[list[Item]]:
    """Items in lists of at most `max_tokens`: nodes of their tree, or padded tokens of rows.

    A single item that is larger stands alone. Neighbours are items that share most, for rows those
    of similar length.
    """
    sequences = [sorted({context + text for context, text in sides(item)}) for item in items]
    longest = [max(map(len, each)) for each in sequences]
    size, order = _nodes, sorted(range(len(items)), key=lambda i: sequences[i])
    if not trees:
        size, order = _padded, sorted(order, key=lambda i: -longest[i])
    pending: list[int] = []
    for place in order:
        if (
            pending
            and size([s for other in (*pending, place) for s in sequences[other]]) > max_tokens
        ):
            yield [items[other] for other in pending]
            pending = []
        pending.append(place)
    if pending:
        yield [items[other] for other in pending]


def _nodes(sequences: Sequence[Ids]) -> int:
    """Nodes of their tree."""
    ordered = sorted(set(sequences))
    return sum(map(len, ordered)) - sum(common(a, b) for a, b in pairwise(ordered))


def _padded(sequences: Sequence[Ids]) -> int:
    return len(sequences) * max(map(len, sequences))


def _spans(trail: Sequence[int]) -> tuple[tuple[int, int], ...]:
    spans: list[tuple[int, int]] = []
    for node in trail:
        if spans and spans[-1][1] == node:
            spans[-1] = (spans[-1][0], node + 1)
        else:
            spans.append((node, node + 1))
    return tuple(spans)
