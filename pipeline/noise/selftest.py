"""The self-test: labels flipped on purpose, then who finds them,
and which treatment mends what they did.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from pipeline import tables
from pipeline.config import NoiseSettings
from pipeline.errors import OrchardError
from pipeline.ids import content_id, seed_for, unit_for
from pipeline.noise.coding import Floats
from pipeline.noise.crossfit import out_of_fold
from pipeline.noise.features import Features
from pipeline.noise.measure import Measured, auroc, mean_of, precision_at
from pipeline.noise.strength import by_decile, label_noise, strengths
from pipeline.noise.targets import Targets
from pipeline.noise.treatments import ALIKE, OF_POLICIES, TREATMENTS, Doubts, Treated, untouched

HELD_OUT = 0.25  # share of prompts, by hash, whose labels stay as they are and measure the accuracy
FEWEST = 20  # pairs to learn from
TESTED = [name for name in TREATMENTS if name not in OF_POLICIES]
Progress = Callable[[int, int], None]
Curve = list[tuple[float, float]]


@dataclass(frozen=True)
class SelfTest:
    """Rows of `noise_tests`, and the paper's figure:
    share of right labels by decile of strength, per share flipped.
    """

    rows: pl.DataFrame
    accuracy_by_decile: dict[str, Curve]


@dataclass(frozen=True)
class _Data:
    keys: list[str]
    targets: Targets  # of all pairs, in the order of keys
    prompt: list[str]
    fold: npt.NDArray[np.int64]
    held: npt.NDArray[np.bool_]

    @property
    def groups(self) -> npt.NDArray[np.int64]:
        """Prompt of every held-out pair, as a number."""
        mine = [p for p, h in zip(self.prompt, self.held, strict=True) if h]
        return np.unique(mine, return_inverse=True)[1].astype(np.int64)


def noise_test(
    features: Features,
    pairs: pl.DataFrame,
    settings: NoiseSettings,
    seed: int,
    progress: Progress | None = None,
    others: pl.DataFrame | None = None,
) -> SelfTest:
    """Flips a share of the labels by hash, and measures scorers and treatments against that.

    Scorers are judged on the flipped pairs themselves; a treatment by the accuracy of reward heads
    trained after it, on prompts that nothing was flipped on. Controls are the same treatments with
    permuted votes (random removal and random flips of the same size among them; not rdpo, which
    treats all pairs alike), `none` (noisy labels as they are) and `oracle` (the flipped pairs
    flipped back). Labels that were wrong before count as right: the numbers say what happens to
    added noise.

    Args:
        pairs: as `features.sides` gives them: pair_id, prompt_id, and for either side its text id
            and tokens.
        others: pair_id, voter_id, margin: voters from elsewhere, which know nothing of the flips;
            scorers too. Only the order of a voter's margins counts; several on a pair (of nobody
            who was named) are averaged.

    Raises:
        OrchardError: too few pairs or prompts.
    """
    data = _data(features, pairs, settings)
    rows: list[dict[str, object]] = []
    figure: dict[str, Curve] = {}
    source = settings.source
    # none, oracle, treatments, controls
    steps = len(settings.test_shares) * (2 * len(TESTED) + 1 - len(ALIKE))
    done = 0
    for share in settings.test_shares:
        flipped = _flips(data, share)
        doubts, scores, strength = _vote(data, flipped, settings, seed)
        learn = ~data.held
        scores |= _from_elsewhere(data, flipped, others)
        figure[f"{share:.0%} flipped"] = by_decile(
            strength.with_columns(right=~pl.Series(flipped[learn])), pl.col("right")
        )
        for name, metric, found in _scorers(data, scores, flipped[learn]):
            rows.append(_row(source, share, "scorer", name, metric, found))
        for kind, name, found, gain in _treatments(data, flipped, doubts, settings, seed):
            rows.append(_row(source, share, kind, name, "accuracy", found, gain))
            done += 1
            if progress:
                progress(done, steps)
    return SelfTest(pl.DataFrame(rows, schema=tables.empty("noise_tests").schema), figure)


def _data(features: Features, pairs: pl.DataFrame, settings: NoiseSettings) -> _Data:
    rows = pairs.sort("pair_id")
    held = np.array([unit_for("noise test", p) < HELD_OUT for p in rows["prompt_id"]], dtype=bool)
    fold = folds(rows["prompt_id"].to_list(), settings.folds)
    if (~held).sum() < FEWEST or not held.any() or len(np.unique(fold[~held])) < 2:
        raise OrchardError(
            f"noise test: {(~held).sum()} pairs to learn from and {held.sum()} held out: "
            f"at least {FEWEST} pairs of several prompts are needed: "
            "sample more prompts, or set noise.source to a variant with more pairs"
        )
    targets = pair_targets(features, rows)
    return _Data(rows["pair_id"].to_list(), targets, rows["prompt_id"].to_list(), fold, held)


def folds(prompt_ids: list[str], n: int) -> npt.NDArray[np.int64]:
    """The fold of each prompt, by hash."""
    return np.array([int(unit_for("fold", prompt) * n) for prompt in prompt_ids], dtype=np.int64)


def pair_targets(features: Features, pairs: pl.DataFrame, *, use_margin: bool = False) -> Targets:
    """Plain labels of pairs with text ids and lengths;
    with `use_margin`, their margin (null: 0).
    """
    plain = Targets.plain(
        features,
        features.rows(pairs["chosen_text_id"].to_list()),
        features.rows(pairs["rejected_text_id"].to_list()),
    )
    values = {
        "length": (pairs["chosen_tokens"] - pairs["rejected_tokens"])
        .cast(pl.Float64)
        .to_numpy(writable=True)
    }
    if use_margin:
        values["margin"] = pairs["margin"].cast(pl.Float64).fill_null(0.0).to_numpy()
    return Targets(**{**vars(plain), **values})


def _flips(data: _Data, share: float) -> npt.NDArray[np.bool_]:
    """Exactly the share of the pairs to learn from, those with the smallest hashes."""
    order = np.array([unit_for("noise test flip", key) for key in data.keys])
    order[data.held] = np.inf
    chosen = np.zeros(len(order), bool)
    chosen[np.argsort(order)[: int(share * (~data.held).sum())]] = True
    return chosen


def _vote(
    data: _Data, flipped: npt.NDArray[np.bool_], settings: NoiseSettings, seed: int
) -> tuple[Doubts, dict[str, Floats], pl.DataFrame]:
    """What heads that learnt from the flipped labels say about the pairs to learn from."""
    from pipeline.noise.heads import fit_heads  # torch only where a step needs it

    learn = ~data.held
    noisy = data.targets.exchanged(flipped).take(learn)
    keys = [key for key, chosen in zip(data.keys, learn, strict=True) if chosen]
    scored = out_of_fold(
        noisy, data.fold[learn], np.ones(len(keys), bool), settings, seed, fit_heads(settings)
    )
    votes = pl.concat(
        pl.DataFrame({"pair_id": keys, "voter_id": f"head-{m}", "margin": row})
        for m, row in enumerate(scored.margins)
    )
    strength = strengths(votes)  # sorted by pair_id, as the keys are
    fit = label_noise(
        strength, pl.DataFrame({"pair_id": keys, "voter_id": "label"}), start=settings.start
    )
    noise = fit.found.pairs.sort("pair_id")["noise_score"].to_numpy()
    scores = {
        "mean margin": -strength["mean"].to_numpy(),
        "share of voters against": strength["share_against"].to_numpy(),
        # unknown where heads are no better than chance: no order at all
        "LCPO": np.nan_to_num(noise, nan=0.0),
        "spread": strength["spread"].to_numpy(),
        "length (baseline)": -noisy.length,
        "random (control)": np.array([unit_for("noise test random", key) for key in keys]),
    }
    rate = 1 - fit.found.voters.select(pl.col("reliability").fill_null(1.0)).item()
    return (
        Doubts(keys, strength["mean"].to_numpy(), noise, np.full(len(keys), rate)),
        scores,
        strength,
    )


def _from_elsewhere(
    data: _Data, flipped: npt.NDArray[np.bool_], others: pl.DataFrame | None
) -> dict[str, Floats]:
    """Scores of the pairs to learn from by voters from elsewhere.

    A pair without their vote scores 0, of two minds.
    """
    found = {}
    for (voter,), rows in (
        () if others is None else others.sort("voter_id").group_by("voter_id", maintain_order=True)
    ):
        known = dict(rows.group_by("pair_id").agg(pl.col("margin").sort().mean()).iter_rows())
        margin = np.array([known.get(key, 0.0) for key in data.keys])
        found[str(voter)] = np.where(flipped, margin, -margin)[~data.held]
    return found


def _scorers(
    data: _Data, scores: dict[str, Floats], wrong: npt.NDArray[np.bool_]
) -> Iterator[tuple[str, str, Measured]]:
    keys = [key for key, held in zip(data.keys, data.held, strict=True) if not held]
    tie_break = np.array([unit_for("tie", key) for key in keys])
    for name, score in scores.items():
        yield name, "auroc", auroc(score, wrong)
        if wrong.any():
            yield name, "precision_at_k", precision_at(score, wrong, int(wrong.sum()), tie_break)


def _treatments(
    data: _Data, flipped: npt.NDArray[np.bool_], doubts: Doubts, settings: NoiseSettings, seed: int
) -> Iterator[tuple[str, str, Measured, Measured]]:
    """(kind, name, accuracy, gain over no treatment)."""
    learn = ~data.held
    noisy = data.targets.exchanged(flipped).take(learn)
    plain = untouched(doubts)
    baseline = _accuracy(data, noisy, plain, settings, seed)
    yield "control", "none", *_compare(data, baseline, baseline, seed)
    oracle = Treated(**{**vars(plain), "flip": flipped[learn]})
    yield (
        "control",
        "oracle",
        *_compare(data, _accuracy(data, noisy, oracle, settings, seed), baseline, seed),
    )
    permuted = doubts.permuted([unit_for("permuted votes", key) for key in doubts.keys])
    for kind, votes in (("treatment", doubts), ("control", permuted)):
        for name in [
            name for name in TESTED if name not in (ALIKE if kind == "control" else {"none"})
        ]:
            found = _accuracy(data, noisy, TREATMENTS[name](votes, settings), settings, seed)
            yield (
                kind,
                name if kind == "treatment" else f"{name}, votes permuted",
                *_compare(data, found, baseline, seed),
            )


def _accuracy(
    data: _Data, noisy: Targets, treated: Treated, settings: NoiseSettings, seed: int
) -> Floats:
    """(held-out pairs,) share of the M heads, trained after the treatment,
    that rank the pair as it is labelled.
    """
    asked = noisy.exchanged(treated.flip)
    values = {"target": treated.target, "margin": treated.margin, "weight": treated.weight}
    test = data.targets.take(data.held)
    learnt = Targets(**{**vars(asked), **values}).take(treated.keep)
    learnt = learnt.asked_of(test.chosen, test.rejected)
    seeds = [seed_for(seed, "noise test head", m) for m in range(settings.models)]
    from pipeline.noise.heads import train_heads

    heads = train_heads(learnt, settings, seeds)
    d = heads.score(test.matrix[test.chosen]) - heads.score(test.matrix[test.rejected])
    shares: Floats = ((np.sign(d) + 1) / 2).mean(axis=0)
    return shares


def _compare(data: _Data, values: Floats, baseline: Floats, seed: int) -> tuple[Measured, Measured]:
    return mean_of(values, data.groups, seed), mean_of(values - baseline, data.groups, seed)


def _row(
    source: str,
    share: float,
    kind: str,
    name: str,
    metric: str,
    found: Measured,
    gain: Measured | None = None,
) -> dict[str, object]:
    return {
        "test_id": content_id(source, share, kind, name, metric),
        "source": source,
        "flipped_share": share,
        "kind": kind,
        "name": name,
        "metric": metric,
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "gain": gain.value if gain else None,
        "gain_low": gain.low if gain else None,
        "gain_high": gain.high if gain else None,
        "n": found.n,
    }
