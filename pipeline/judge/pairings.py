"""Who is compared with whom:
each pairing is a coroutine over `compare(a, b)`, which gives P(a is better).
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import combinations

import networkx as nx

Compare = Callable[[str, str], Awaitable[float]]
Pairing = Callable[[Sequence[str], Compare], Awaitable[None]]
BYE = ""  # no response has this id


async def baseline(ids: Sequence[str], compare: Compare) -> None:
    """Everyone against the first: n - 1 comparisons.

    OSP's ranked pairing (one fixed baseline: second-hand).
    """
    await asyncio.gather(*(compare(other, ids[0]) for other in ids[1:]))


async def round_robin(ids: Sequence[str], compare: Compare) -> None:
    """Everyone against everyone: n (n - 1) / 2 comparisons."""
    await asyncio.gather(*(compare(a, b) for a, b in combinations(ids, 2)))


async def swiss(ids: Sequence[str], compare: Compare) -> None:
    """ceil(log2 n) rounds of responses with alike points who have not met:
    about n log2(n) / 2 comparisons.

    A win is one point, a draw half. Of an odd number one that had no bye yet sits out, the fewer
    points the sooner, and gets a point. Our choice of rounds. Each round is a matching of smallest
    point differences (networkx).
    """
    points = dict.fromkeys(ids, 0.0)
    met: set[frozenset[str]] = set()
    for _ in range(max(1, math.ceil(math.log2(max(len(ids), 2))))):
        pairs, rests = _round(ids, points, met)
        for (a, b), p in zip(
            pairs, await asyncio.gather(*(compare(a, b) for a, b in pairs)), strict=True
        ):
            gained = 1.0 if p > 0.5 else 0.5 if p == 0.5 else 0.0
            points[a] += gained
            points[b] += 1 - gained
            met.add(frozenset((a, b)))
        for one in rests:
            points[one] += 1
            met.add(frozenset((one, BYE)))


async def knockout(ids: Sequence[str], compare: Compare) -> None:
    """Losers leave: n - 1 comparisons find one best.

    A draw lets the earlier one go on; an odd one out waits.
    """
    left = list(ids)
    while len(left) > 1:
        pairs = list(zip(left[::2], left[1::2], strict=False))
        found = await asyncio.gather(*(compare(a, b) for a, b in pairs))
        winners = [a if p >= 0.5 else b for (a, b), p in zip(pairs, found, strict=True)]
        left = winners + left[2 * len(pairs) :]


PAIRINGS: dict[str, Pairing] = {
    "baseline": baseline,
    "round_robin": round_robin,
    "swiss": swiss,
    "knockout": knockout,
}


def _round(
    ids: Sequence[str], points: Mapping[str, float], met: set[frozenset[str]]
) -> tuple[list[tuple[str, str]], list[str]]:
    """The pairs of a Swiss round, and who sits out."""
    table = sorted(ids, key=lambda one: -points[one])
    players = table + [BYE] * (len(table) % 2)
    graph = nx.Graph()
    for (i, a), (j, b) in combinations(enumerate(players), 2):
        if frozenset((a, b)) not in met:
            apart = points[a] if b == BYE else abs(points[a] - points[b])
            graph.add_edge(i, j, weight=-(apart * len(players) ** 2 + (j - i)))
    matched = sorted(sorted(pair) for pair in nx.max_weight_matching(graph, maxcardinality=True))
    chosen = [(players[i], players[j]) for i, j in matched]
    return [(a, b) for a, b in chosen if b != BYE], [a for a, b in chosen if b == BYE]
