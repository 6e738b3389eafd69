"""Contrast and MetaRM: losses by hand, limits, and worlds whose test set is shifted."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from pydantic import ValidationError

from pipeline import config
from pipeline.config import ContrastSettings, MetaSettings, NoiseSettings
from pipeline.errors import OrchardError
from pipeline.noise.contrast import Views
from pipeline.noise.crossfit import Fitted, out_of_fold
from pipeline.noise.features import Features
from pipeline.noise.heads import Heads, train_heads
from pipeline.noise.loss import info_nce, told_apart
from pipeline.noise.outside import score_outside
from pipeline.noise.selftest import noise_test
from pipeline.noise.targets import Places, Targets
from tests.noise.test_heads import SETTINGS, drawn
from tests.noise.test_selftest import drawn as drawn_pairs

HIDDEN = SETTINGS.model_copy(update={"hidden": 8, "min_steps": 40})


def changed(base: NoiseSettings, **changes: object) -> NoiseSettings:
    return base.model_copy(update=changes)


def test_info_nce_is_the_cross_entropy_of_cosines_over_the_temperature() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 5, 4))
    unit = [x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (a, b)]
    scores = np.einsum("mid,mjd->mij", *unit) / 0.3
    each = np.log(np.exp(scores).sum(axis=2)) - np.einsum("mii->mi", scores)
    found = info_nce(torch.tensor(a), torch.tensor(b), torch.arange(5).expand(3, 5), 0.3)
    assert found.numpy() == pytest.approx(each.mean(axis=1))


def test_info_nce_by_its_limits_and_its_derivatives() -> None:
    a, b = torch.randn(2, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    places = torch.arange(6)
    views = a.clone().requires_grad_(True), b.clone().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x, y: info_nce(x, y, places, 0.5), views)
    assert float(info_nce(a[:1], b[:1], places[:1], 0.5)) == 0.0  # one text: nothing to confuse
    assert float(info_nce(a, b, places, 1e9)) == pytest.approx(np.log(6))  # too warm to tell
    apart = torch.eye(6, dtype=torch.float64)  # equal views, at right angles to the others
    closed = np.log(1 + 5 * np.exp(-1 / 0.5))
    assert float(info_nce(apart, apart, places, 0.5)) == pytest.approx(closed)
    # all places hold one text
    assert float(info_nce(a, b, torch.zeros(6, dtype=torch.long), 0.5)) == 0.0


def test_two_texts_are_told_apart_by_the_size_of_their_difference_whatever_its_sign() -> None:
    d = torch.tensor([-2.0, 0.5, 3.0], dtype=torch.float64, requires_grad=True)
    p = 1 / (1 + np.exp(-np.array([2.0, 0.5, 3.0])))
    assert told_apart(d).item() == pytest.approx(p.mean()) and told_apart(-d) == told_apart(d)
    assert torch.autograd.gradcheck(told_apart, d)
    told_apart(d).backward()
    assert d.grad is not None
    assert d.grad.numpy() == pytest.approx(np.array([-1, 1, 1]) * p * (1 - p) / 3)
    equal = torch.zeros(4, requires_grad=True)
    told_apart(equal).backward()
    assert told_apart(equal).item() == 0.5 and equal.grad is not None and not equal.grad.any()


def same(one: Heads, other: Heads) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.weights, other.weights, strict=True))


def test_off_means_off_to_the_last_bit() -> None:
    targets = drawn(60).asked_of(np.arange(30), np.arange(30) + 60)
    off = {
        "contrast": ContrastSettings(temperature=9.0, on="difference"),
        "meta": MetaSettings(every=3),
    }
    plain = train_heads(replace(targets, unlabelled=np.zeros((0, 2), np.int64)), HIDDEN, [1, 2])
    assert same(plain, train_heads(targets, changed(HIDDEN, **off), [1, 2]))
    for on in ({"contrast": ContrastSettings(weight=1.0)}, {"meta": MetaSettings(step=1.0)}):
        assert not same(plain, train_heads(targets, changed(HIDDEN, **on), [1, 2]))


@pytest.mark.parametrize("on", ["text", "difference"])
def test_all_heads_at_once_are_the_same_as_each_by_itself(on: str) -> None:
    targets = drawn(60).asked_of(np.arange(30), np.arange(30) + 60)
    settings = changed(
        HIDDEN, min_steps=5, contrast=ContrastSettings(weight=0.5, on=on), meta=MetaSettings(step=1)
    )
    together = train_heads(targets, settings, [5, 6]).weights
    for place, seed in enumerate((5, 6)):
        for a, b in zip(together, train_heads(targets, settings, [seed]).weights, strict=True):
            assert torch.allclose(a[place], b[0], atol=1e-4)


def test_a_step_with_meta_is_the_gradient_at_the_moved_weights_applied_to_the_old_ones() -> None:
    # A linear head, by hand: Adam's first step goes by the sign of the gradient, so that both the
    # recorded loss and the direction tell where the gradient was taken.
    targets = drawn(40, width=5, noise=0.3).asked_of(np.arange(10), np.arange(10) + 40)
    once = changed(
        SETTINGS, resample=False, batch_pairs=40, min_steps=1, epochs=1, weight_decay=0.0
    )
    begun = train_heads(targets, changed(once, learning_rate=1e-12), [1])
    w = begun.weights[0][0, 0].double().numpy()
    z = begun.standardised(torch.from_numpy(targets.matrix)).double().numpy()
    apart = z[targets.unlabelled[:, 0]] - z[targets.unlabelled[:, 1]]
    p = 1 / (1 + np.exp(-np.abs(apart @ w)))
    moved = w + 30.0 * (apart * (np.sign(apart @ w) * p * (1 - p))[:, None]).mean(axis=0)
    pair = z[targets.chosen] - z[targets.rejected]
    slope = -(pair / (1 + np.exp(pair @ moved))[:, None]).mean(axis=0)
    plain = -(pair / (1 + np.exp(pair @ w))[:, None]).mean(axis=0)
    assert (np.sign(slope) != np.sign(plain)).any()  # the move is seen
    found = train_heads(targets, changed(once, meta=MetaSettings(step=30.0)), [1])
    assert float(found.losses[0][0]) == pytest.approx(np.logaddexp(0, -pair @ moved).mean())
    step = found.weights[0][0, 0].double().numpy() - w
    assert step == pytest.approx(-SETTINGS.learning_rate * np.sign(slope), abs=1e-5)


def test_every_says_in_which_steps_the_weights_are_moved() -> None:
    targets = drawn(40).asked_of(np.arange(10), np.arange(10) + 40)

    def losses(steps: int, **meta: float) -> torch.Tensor:
        chosen = changed(SETTINGS, min_steps=steps, epochs=1, meta=MetaSettings(**meta))
        return torch.stack(train_heads(targets, chosen, [1]).losses)[:, 0]

    often, seldom, never = (losses(3, step=s, every=e) for s, e in ((5, 1), (5, 9), (0, 1)))
    assert often[0] == seldom[0] != never[0] and often[1] != seldom[1]


def test_the_term_keeps_the_hidden_layers_of_different_texts_apart() -> None:
    targets = drawn(200)
    for on in ("text", "difference"):
        contrast = ContrastSettings(weight=1.0, on=on)

        def confused(settings: NoiseSettings, measure: ContrastSettings = contrast) -> float:
            heads = train_heads(targets, settings, [1])
            z = heads.standardised(torch.from_numpy(targets.matrix))
            sides = [z[s][None] for s in (targets.chosen, targets.rejected)]
            rows = torch.from_numpy(np.stack([targets.chosen, targets.rejected], axis=1))[None]
            views = Views(measure, [7])
            return float(views.loss(sides, rows, lambda x: heads.hidden(x).transpose(1, 2)))

        assert confused(changed(HIDDEN, contrast=contrast)) < 0.8 * confused(HIDDEN)


def test_what_is_to_be_told_apart_says_nothing_of_the_labels() -> None:
    given: list[Targets] = []

    def remember(learnt: Targets, seeds: list[int], wanted: Places) -> Fitted:
        given.append(learnt)
        return Fitted(np.zeros((len(seeds), len(wanted))), np.zeros((1, len(seeds))))

    targets, fold = drawn(40), np.arange(40) % 2
    for labels in (targets, targets.exchanged(np.arange(40) % 3 == 0)):
        out_of_fold(labels, fold, np.ones(40, bool), SETTINGS, 0, remember)
    for one, other in zip(given[:2], given[2:], strict=True):
        assert np.array_equal(one.unlabelled, other.unlabelled) and len(one.unlabelled) == 20
        # texts that the model does not learn from
        assert not np.intersect1d(one.unlabelled, [one.chosen, one.rejected]).size


def test_held_out_and_recorded_pairs_are_what_their_models_tell_apart() -> None:
    features, pairs = drawn_pairs(120)
    settings = changed(
        SETTINGS, models=2, hidden=4, min_steps=5, epochs=1, test_shares=(0.2,),
        contrast=ContrastSettings(weight=0.1), meta=MetaSettings(step=1.0),
    )  # fmt: skip
    found = noise_test(features, pairs, settings, 0).rows
    other = noise_test(features, pairs, changed(settings, meta=MetaSettings()), 0).rows
    assert found.height == other.height and not found["value"].equals(other["value"])
    given: list[Targets] = []

    def remember(learnt: Targets, seeds: list[int], wanted: Places) -> Fitted:
        given.append(learnt)
        return Fitted(np.zeros((len(seeds), len(wanted))), np.zeros((1, len(seeds))))

    whole = config.load("quick").model_copy(update={"noise": settings})
    asked = pairs.tail(20)
    score_outside(features, pairs.head(100), asked, whole, remember)
    both = [features.rows(asked[f"{side}_text_id"].to_list()) for side in ("chosen", "rejected")]
    assert np.array_equal(given[0].unlabelled, np.sort(np.stack(both, axis=1), axis=1))


def test_what_cannot_work_is_one_line() -> None:
    with pytest.raises(ValidationError, match="contrast.weight: a linear reward head has no"):
        NoiseSettings(contrast={"weight": 1.0})
    with pytest.raises(OrchardError, match="reward heads: noise.meta has no two texts of a prompt"):
        train_heads(drawn(10), changed(SETTINGS, meta=MetaSettings(step=1.0)), [1])


# Worlds: 24 features, of which 8 say how good a text is, and 4 are tied to that or not. At home all
# of them do. "weak": the 8 say half as much, the 4 nothing. "loud": the 4 say nothing, three times
# as loud.
HOME, WEAK, LOUD = (0.5, 0.5, 1.0), (0.25, 0.0, 1.0), (0.5, 0.0, 3.0)
WORLD = NoiseSettings(hidden=16, min_steps=30, batch_pairs=64, learning_rate=3e-2, epochs=1)
ARMS = {
    "plain": {},
    "text": {"contrast": ContrastSettings(weight=1.0)},
    "difference": {"contrast": ContrastSettings(weight=1.0, on="difference")},
    "meta, weak": {"meta": MetaSettings(step=5.0)},
    "meta, loud": {"meta": MetaSettings(step=5.0)},
}
Found = npt.NDArray[np.float64]


def world(seed: int) -> tuple[Features, list[tuple[Places, Places]]]:
    """Texts, and pairs of them: 200 to learn from, 400 each of home, weak and loud."""
    rng = np.random.default_rng(seed)
    parts, sides, start = [], [], 0
    for n, (useful, tied, loud) in ((200, HOME), (400, HOME), (400, WEAK), (400, LOUD)):
        quality, part = rng.normal(size=2 * n), rng.normal(size=(2 * n, 24))
        part[:, 8:12] = part[:, 8:12] * loud + tied * quality[:, None]
        part[:, :8] += useful * quality[:, None]
        a, b = np.arange(n) + start, np.arange(n) + start + n
        first = quality[:n] > quality[n:]
        sides.append((np.where(first, a, b), np.where(first, b, a)))
        parts.append(part)
        start += 2 * n
    matrix = np.concatenate(parts).astype(np.float32)
    return Features([str(i) for i in range(start)], matrix), sides


def measured(seed: int, name: str, hidden: int) -> list[float]:
    """Accuracy at home, weak and loud, and how far texts are told apart, weak and loud."""
    texts, (learnt, *asked) = world(seed)
    targets = Targets.plain(texts, *learnt).asked_of(*asked[2 if name == "meta, loud" else 1])
    settings = changed(WORLD, hidden=hidden, **ARMS[name])
    reward = train_heads(targets, settings, [seed]).score(texts.matrix)[0]
    d = [reward[a] - reward[b] for a, b in asked]
    apart = [float(told_apart(torch.from_numpy(x))) for x in d[1:]]
    return [float((x > 0).mean()) for x in d] + apart


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, int], Found]:
    """(arm, hidden units) -> (worlds, 5); worlds on which no setting was chosen."""
    wanted = [(name, 16) for name in ARMS] + [("plain", 0), ("meta, weak", 0), ("meta, loud", 0)]
    return {
        (name, hidden): np.array([measured(5000 + i, name, hidden) for i in range(40)])
        for name, hidden in wanted
    }


def gain(found: dict[tuple[str, int], Found], name: str, hidden: int = 16) -> tuple[Found, Found]:
    """What an arm has more than plain, mean over the worlds, in standard errors too."""
    apart = found[name, hidden] - found["plain", hidden]
    mean = apart.mean(axis=0)
    return mean, mean / (apart.std(axis=0, ddof=1) / len(apart) ** 0.5)


def test_the_contrast_changes_how_far_texts_are_told_apart_and_hardly_which_is_better(
    found: dict[tuple[str, int], Found],
) -> None:
    home, weak, _, _, _ = found["plain", 16].mean(axis=0)
    assert home > weak + 0.1  # the shift does harm
    for name in ("text", "difference"):
        mean, errors = gain(found, name)
        # seen: at most .003, no gain above one standard error
        assert (np.abs(mean[:3]) < 0.012).all() and (np.abs(errors[:3]) < 3.5).all()
        assert (mean[3:] < -0.03).all()


def test_meta_turns_from_what_varies_among_the_scored_texts_for_better_or_worse(
    found: dict[tuple[str, int], Found],
) -> None:
    # The pair loss is content at the moved weights, which are larger where the scored texts vary:
    # there the weights themselves stay smaller. Good where that is noise, bad where it is not.
    for hidden, least in ((0, 0.02), (16, 0.0)):
        mean, errors = gain(found, "meta, loud", hidden)
        assert mean[2] > least and errors[2] > 2
        assert mean[0] < -0.01 and errors[0] < -2  # paid for at home
        mean, errors = gain(found, "meta, weak", hidden)
        assert -0.03 < mean[1] < 0 and errors[1] < -1.5
        for name in ("meta, weak", "meta, loud"):  # told apart less, not more
            assert (gain(found, name, hidden)[0][3:] < -0.02).all()
