"""How fast noise is found: `python benchmarks/noise.py` (about a minute on two cores).

EM over a million votes by 50 voters, labels and probabilities, and ten reward heads on 100,000
pairs of features, each with its goal.
"""

import sys
import time

import numpy as np
import polars as pl

VOTES, VOTERS, EM_GOAL = 1_000_000, 50, 10.0  # seconds
PAIRS, HEADS, DIM, HEADS_GOAL = 100_000, 10, 576, 30.0  # the default model's width


def em(soft: bool) -> bool:
    """EM over votes on a fifth as many pairs as votes,
    against a pass in plain Python over a hundredth of them.

    soft: each vote is a probability of its own, drawn as LCPO's likelihood has it: with density 2 p
    where the voter saw
        the chosen side as the better one, and 2 (1 - p) where the other.
    """
    from pipeline.noise.reliability import one_coin

    rng = np.random.default_rng(0)
    pairs = VOTES // 5
    right = rng.random(pairs) < 0.7
    eta = rng.uniform(0.55, 0.95, VOTERS)
    pair, voter = np.repeat(np.arange(pairs), 5), rng.integers(0, VOTERS, VOTES)
    says = np.where(rng.random(VOTES) < eta[voter], right[pair], ~right[pair])
    high = np.sqrt(rng.random(VOTES))
    p = np.where(says, high, 1 - high) if soft else says.astype(float)
    votes = pl.DataFrame({"pair_id": pair, "voter_id": voter, "p": p}).with_columns(
        pl.col("pair_id").cast(pl.String), pl.col("voter_id").cast(pl.String)
    )
    start = time.perf_counter()
    found = one_coin(votes)
    seconds = time.perf_counter() - start
    error = max(
        abs(v - eta[int(k)]) for k, v in found.voters.select("voter_id", "reliability").iter_rows()
    )
    loop = _loop(votes.head(VOTES // 100), found.iterations) * 100
    name = "EM, probabilities" if soft else "EM, labels"
    print(
        f"{name}: {VOTES:,} votes, {VOTERS} voters, {found.iterations} iterations: {seconds:.1f} s,"
    )
    print(f"    largest error of a reliability {error:.3f};")
    print(
        f"    a Python loop over rows would take {loop:.0f} s: {loop / seconds:.0f} times as long"
    )
    return _goal(name, seconds, EM_GOAL)


def _loop(votes: pl.DataFrame, iterations: int) -> float:
    """Seconds that so many E- and M-steps take row by row, measured on one."""
    rows = votes.rows()
    start = time.perf_counter()
    odds: dict[str, float] = {}
    hits: dict[str, float] = {}
    for pair, _, p in rows:
        odds[pair] = odds.get(pair, 0.0) + (2.2 if p else -2.2)
    for pair, voter, p in rows:
        w = 1 / (1 + np.exp(-odds[pair]))
        hits[voter] = hits.get(voter, 0.0) + (w if p else 1 - w)
    return (time.perf_counter() - start) * iterations


def heads() -> bool:
    """Ten heads, each trained on four fifths of the pairs and scoring the fifth it never saw."""
    import torch

    from pipeline.config import NoiseSettings
    from pipeline.noise.crossfit import out_of_fold
    from pipeline.noise.features import Features
    from pipeline.noise.heads import fit_heads
    from pipeline.noise.targets import Targets

    generator = torch.Generator().manual_seed(0)
    sides = torch.randn(2 * PAIRS, DIM, generator=generator)
    truth = torch.randn(DIM, generator=generator) / DIM**0.5
    better = sides[:PAIRS] @ truth > sides[PAIRS:] @ truth
    first = torch.where(better, torch.arange(PAIRS), torch.arange(PAIRS) + PAIRS)
    second = torch.where(better, torch.arange(PAIRS) + PAIRS, torch.arange(PAIRS))
    features = Features([str(i) for i in range(2 * PAIRS)], sides.numpy())
    fold = np.arange(PAIRS) % NoiseSettings().folds
    targets = Targets.plain(features, first.numpy(), second.numpy())
    start = time.perf_counter()
    settings = NoiseSettings(models=HEADS)
    scored = out_of_fold(targets, fold, np.ones(PAIRS, bool), settings, 0, fit_heads(settings))
    seconds = time.perf_counter() - start
    accuracy = float((scored.margins > 0).mean())
    trained = HEADS * NoiseSettings().folds
    print(
        f"heads: {trained} trainings ({HEADS} heads, {NoiseSettings().folds} folds) "
        f"on {PAIRS:,} pairs of {DIM}"
    )
    print(f"    numbers a side: {seconds:.1f} s, held-out accuracy {accuracy:.3f}")
    return _goal("heads", seconds, HEADS_GOAL)


def _goal(name: str, seconds: float, goal: float) -> bool:
    met = seconds <= goal
    print(f"{'GOAL MET' if met else 'GOAL MISSED'}: {name} {seconds:.1f} s of at most {goal:.0f} s")
    return met


if __name__ == "__main__":
    sys.exit(0 if all([em(False), em(True), heads()]) else 1)
