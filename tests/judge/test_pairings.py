"""Who meets whom, counted."""

import asyncio

import pytest

from pipeline.judge.pairings import PAIRINGS


def run(name: str, n: int) -> list[tuple[str, str]]:
    """Comparisons among n responses whose true order is their number, the last one the best."""
    met: list[tuple[str, str]] = []

    async def compare(a: str, b: str) -> float:
        met.append((a, b))
        return 0.9 if int(a) > int(b) else 0.1

    asyncio.run(PAIRINGS[name]([str(i) for i in range(n)], compare))
    return met


@pytest.mark.parametrize("n", [2, 5, 8])
def test_the_baseline_and_the_round_robin_make_as_many_comparisons_as_they_say(n: int) -> None:
    assert run("baseline", n) == [(str(i), "0") for i in range(1, n)]
    assert (
        len({frozenset(pair) for pair in run("round_robin", n)})
        == len(run("round_robin", n))
        == n * (n - 1) // 2
    )


@pytest.mark.parametrize("n", [2, 3, 7, 8])
def test_a_knockout_loses_one_per_comparison_and_the_best_never_loses(n: int) -> None:
    met = run("knockout", n)
    losers = [min(pair, key=int) for pair in met]
    assert len(met) == n - 1 and sorted(losers, key=int) == [str(i) for i in range(n - 1)]


@pytest.mark.parametrize(("n", "most"), [(2, 1), (4, 4), (8, 12), (7, 9)])
def test_swiss_rounds_repeat_no_pair_and_leave_nobody_out(n: int, most: int) -> None:
    met = run("swiss", n)
    assert len({frozenset(pair) for pair in met}) == len(met) <= most
    played = [sum(str(i) in pair for pair in met) for i in range(n)]
    rounds = max(1, (n - 1).bit_length())
    # of an odd number one rests a round
    assert min(played) >= rounds - 1 and (n % 2 or set(played) == {rounds})
