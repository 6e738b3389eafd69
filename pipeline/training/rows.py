"""Groups of texts as padded tensors: [context | text 1 | text 2 ...] in one row, the context computed once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

import torch
from torch import Tensor

from pipeline.training.example import Example, Ids

BRANCHES = 8  # texts of one context in one row: more make the mask dearer than the context that they save

Item = TypeVar("Item")


@dataclass(frozen=True)
class Group:
    """One context and the texts ('branches') that continue it, each on its own."""

    context: Ids
    branches: tuple[Ids, ...]

    @property
    def length(self) -> int:
        return len(self.context) + sum(map(len, self.branches))


@dataclass(frozen=True)
class Batch:
    """R rows of L positions, of which N predict a token of one of M branches."""

    ids: Tensor  # (R, L)
    positions: Tensor  # (R, L); each branch starts at len(context)
    mask: Tensor | None  # (R, 1, L, L), True: may attend; None: plain causal attention
    rows: Tensor  # (N,) row of a predicting position
    columns: Tensor  # (N,) its column
    targets: Tensor  # (N,) the token it predicts
    lengths: tuple[int, ...]  # M numbers that sum to N: tokens per branch, in the order of groups and branches


def groups_of(example: Example, packs: bool) -> list[Group]:
    """An example's texts in their order: neighbours that share a context are branches of one group."""
    if not packs:
        return [Group(context, (text,)) for context, text in example.texts]
    groups: list[Group] = []
    for context, run in groupby(example.texts, key=itemgetter(0)):
        texts = tuple(text for _, text in run)
        groups += [Group(context, texts[i : i + BRANCHES]) for i in range(0, len(texts), BRANCHES)]
    return groups


def pack(groups: Sequence[Group], device: torch.device) -> Batch:
    """Pads on the right: causal attention never sees the padding, which predicts nothing."""
    width = max(group.length for group in groups)
    ids = torch.zeros(len(groups), width, dtype=torch.long)
    positions = torch.arange(width).repeat(len(groups), 1)
    segments = torch.zeros(len(groups), width, dtype=torch.long)  # 0 context and padding, b + 1 branch b
    rows: list[int] = []
    columns: list[int] = []
    targets: list[int] = []
    lengths: list[int] = []
    for row, group in enumerate(groups):
        start = depth = len(group.context)
        ids[row, :depth] = torch.tensor(group.context)
        for b, branch in enumerate(group.branches):
            end = start + len(branch)
            ids[row, start:end] = torch.tensor(branch)
            positions[row, start:end] = torch.arange(depth, depth + len(branch))
            segments[row, start:end] = b + 1
            rows += [row] * len(branch)
            columns += [depth - 1, *range(start, end - 1)]  # a branch's first token is predicted by the context's last
            targets += branch
            lengths.append(len(branch))
            start = end
    mask = _mask(segments) if any(len(group.branches) > 1 for group in groups) else None
    mask = None if mask is None else mask.to(device)
    parts = (ids, positions, torch.tensor(rows), torch.tensor(columns), torch.tensor(targets))
    ids, positions, r, c, t = (part.to(device) for part in parts)
    return Batch(ids, positions, mask, r, c, t, tuple(lengths))


def _mask(segments: Tensor) -> Tensor:
    """(R, L) segments to (R, 1, L, L): a position sees the context and its own branch, up to itself."""
    width = segments.shape[1]
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    queries, keys = segments[:, :, None], segments[:, None, :]
    return (causal & ((keys == 0) | (keys == queries)))[:, None]


def micro_batches(
    items: Sequence[Item], shape: Callable[[Item], tuple[int, int]], max_tokens: int
) -> Iterator[list[Item]]:
    """Items, longest first, in lists of at most `max_tokens` padded tokens; a single item that is larger stands alone.

    `shape` gives an item's number of rows and the length of the longest.
    """
    pending: list[Item] = []
    rows = width = 0
    for item in sorted(items, key=lambda i: -shape(i)[1]):
        more, length = shape(item)
        if pending and (rows + more) * max(width, length) > max_tokens:
            yield pending
            pending, rows, width = [], 0, 0
        pending.append(item)
        rows, width = rows + more, max(width, length)
    if pending:
        yield pending


def shape_of(example: Example, packs: bool) -> tuple[int, int]:
    """Rows of an example in a batch, and the length of the longest."""
    groups = groups_of(example, packs)
    return len(groups), max(group.length for group in groups)
