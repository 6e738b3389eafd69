"""Who is compared with whom: each pairing is a coroutine over `compare(a, b)`, which gives P(a is better)."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from itertools import combinations

Compare = Callable[[str, str], Awaitable[float]]
Pairing = Callable[[Sequence[str], Compare], Awaitable[None]]


async def baseline(ids: Sequence[str], compare: Compare) -> None:
    """Everyone against the first: n - 1 comparisons. OSP's ranked pairing (one fixed baseline: second-hand)."""
    await asyncio.gather(*(compare(other, ids[0]) for other in ids[1:]))


async def round_robin(ids: Sequence[str], compare: Compare) -> None:
    """Everyone against everyone: n (n - 1) / 2 comparisons."""
    await asyncio.gather(*(compare(a, b) for a, b in combinations(ids, 2)))


async def swiss(ids: Sequence[str], compare: Compare) -> None:
    """ceil(log2 n) rounds of neighbours by points who have not met: about n log2(n) / 2 comparisons.

    A win is one point, a draw half; who finds no partner left sits out. Our choice of rounds and of ties: given order.
    """
    points = dict.fromkeys(ids, 0.0)
    met: set[frozenset[str]] = set()
    for _ in range(max(1, math.ceil(math.log2(max(len(ids), 2))))):
        pairs = _neighbours(sorted(ids, key=lambda one: -points[one]), met)
        for (a, b), p in zip(pairs, await asyncio.gather(*(compare(a, b) for a, b in pairs)), strict=True):
            gained = 1.0 if p > 0.5 else 0.5 if p == 0.5 else 0.0
            points[a] += gained
            points[b] += 1 - gained
            met.add(frozenset((a, b)))


async def knockout(ids: Sequence[str], compare: Compare) -> None:
    """Losers leave: n - 1 comparisons find one best. A draw lets the earlier one go on; an odd one out waits."""
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


def _neighbours(ranked: list[str], met: set[frozenset[str]]) -> list[tuple[str, str]]:
    waiting, pairs = list(ranked), []
    while waiting:
        one = waiting.pop(0)
        partner = next((other for other in waiting if frozenset((one, other)) not in met), None)
        if partner is not None:
            waiting.remove(partner)
            pairs.append((one, partner))
    return pairs
