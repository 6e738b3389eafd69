"""Losses on pairs: each one's sign, slope, extremes, and the limits in which it is another one."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.config import LossSettings
from pipeline.training import losses
from tests.training.toy import columns

H = torch.linspace(-60, 60, 25, dtype=torch.float64)
KNOWN = {
    "strength": torch.full((25,), 0.8),
    "margin": torch.full((25,), 0.5),
    "noise_score": torch.full((25,), 0.3),
}
PAIRS = ["simpo", "cpo", "dpo_nll", "kto", "sigmoid", "soft", "conservative", "margin",
         "soft_margin", "rdpo", "lcpo", "ipo", "hinge",
         "bco", "list_ranking", "rationale", "prompt_contrast", "sft"]  # fmt: skip


def options(**values: Any) -> LossSettings:
    return LossSettings(**values)


def of(name: str, h: Tensor = H, **values: Any) -> Tensor:
    """The loss of pairs whose sides have moved by h / 2 each way."""
    known = {key: column[:1].expand(len(h)) for key, column in KNOWN.items()}
    ratios = torch.stack([h / 2, -h / 2], 1)
    return losses.get(name)(
        ratios, columns(len(h), **{**known, "running": 0.9 * (name == "lcpo"), **values})
    )


def slope(name: str, h: Tensor = H, **values: Any) -> Tensor:
    at = h.clone().requires_grad_()
    of(name, at, **values).sum().backward()
    assert at.grad is not None
    return at.grad


def equal(first: Tensor, second: Tensor) -> None:
    torch.testing.assert_close(first, second, rtol=1e-6, atol=1e-6, check_dtype=False)


@pytest.mark.parametrize("name", PAIRS)
def test_every_loss_falls_from_the_wrong_order_to_the_right_one(name: str) -> None:
    found = of(name, torch.tensor([-10.0, 0.0, 5.0], dtype=torch.float64))
    assert found[0] > found[1] > found[2]


# its label is a constant: see below
@pytest.mark.parametrize("name", [name for name in PAIRS if name != "lcpo"])
def test_slopes_are_the_numeric_ones(name: str) -> None:
    points = torch.tensor([-31.0, -3.0, 0.1, 2.0, 9.0, 44.0], dtype=torch.float64)
    numeric = (of(name, points + 1e-5) - of(name, points - 1e-5)) / 2e-5
    torch.testing.assert_close(slope(name, points), numeric, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("h", [-1e4, 1e4, -1e-30, 1e6])
def test_extreme_log_ratios_have_finite_losses_and_slopes(name: str, h: float) -> None:
    at = torch.tensor([h], dtype=torch.float32)
    assert of(name, at).isfinite().all() and slope(name, at).isfinite().all()


def test_a_soft_label_of_1_is_dpo_and_its_own_log_odds_are_at_rest() -> None:
    equal(of("soft", strength=torch.ones(25)), of("sigmoid"))
    strengths = torch.tensor([0.5, 0.6, 0.9, 0.99], dtype=torch.float64)
    at_rest = torch.logit(strengths) / 0.1
    assert slope("soft", at_rest, strength=strengths).abs().max() < 1e-9
    # an end point, not a direction
    assert (slope("soft", at_rest + 1, strength=strengths) > 0).all()
    assert (slope("soft", at_rest - 1, strength=strengths) < 0).all()


def test_conservative_dpo_is_one_soft_label_for_all() -> None:
    equal(of("conservative", options=options(label_smoothing=0.0)), of("sigmoid"))
    equal(of("conservative", options=options(label_smoothing=0.2)), of("soft"))


def test_a_margin_moves_the_loss_along_h() -> None:
    equal(of("margin", margin=torch.zeros(25)), of("sigmoid"))
    equal(of("margin", margin=torch.full((25,), 0.7)), of("sigmoid", H - 7))
    equal(of("margin", options=options(margin_scale=2.0)), of("sigmoid", H - 10))
    equal(of("soft_margin", strength=torch.ones(25)), of("margin"))
    equal(of("soft_margin", margin=torch.zeros(25)), of("soft"))


def test_a_flipped_pair_with_its_new_sign_asks_for_more_and_with_the_old_one_for_less() -> None:
    at = torch.zeros(1)  # mu was -2 before the flip
    assert (
        of("margin", at, margin=torch.tensor([2.0]))
        > of("sigmoid", at)
        > of("margin", at, margin=torch.tensor([-2.0]))
    )


def test_robust_dpo_averages_to_the_clean_loss_over_random_flips() -> None:
    e, trusting = 0.3, options(flip_trust=1.0, flip_bound=0.45)
    noise = torch.full((25,), e, dtype=torch.float64)
    mean = (1 - e) * of("rdpo", noise_score=noise, options=trusting) + e * of(
        "rdpo", -H, noise_score=noise, options=trusting
    )
    equal(mean, of("sigmoid"))


def test_robust_dpo_without_an_estimate_is_dpo_and_never_exceeds_estimate_or_bound() -> None:
    equal(of("rdpo", noise_score=torch.full((25,), math.nan)), of("sigmoid"))
    scores = torch.tensor([0.0, 0.1, 0.3, 0.5, 1.0, math.nan])
    guarded = losses.rdpo.flip_rate(
        columns(6, noise_score=scores, options=options(flip_trust=0.5, flip_bound=0.2))
    )
    assert guarded.tolist() == pytest.approx([0.0, 0.05, 0.15, 0.2, 0.2, 0.0])


def test_reliable_labels_make_lcpo_dpo_and_its_slope_is_p_minus_w() -> None:
    unknown = {"noise_score": torch.full((25,), math.nan)}
    equal(of("lcpo", running=1.0, **unknown), of("sigmoid"))
    p = torch.sigmoid(0.1 * H)
    w = p * 0.7 / (p * 0.7 + (1 - p) * 0.3)
    equal(slope("lcpo", running=0.7, **unknown), 0.1 * (p - w))


def test_what_voters_say_of_a_label_takes_the_place_of_lcpos_one_reliability() -> None:
    p = torch.sigmoid(0.1 * H)
    voted = {"noise_score": torch.full((25,), 0.3, dtype=torch.float64)}
    for running in (0.55, 0.95):
        w = p * 0.7 / (p * 0.7 + (1 - p) * 0.3)
        equal(slope("lcpo", running=running, **voted), 0.1 * (p - w))
    # two annotators of .9 and .8 for the label: w is proportional to p times .9 times .8
    odds = 0.9 * 0.8 / (0.1 * 0.2)
    both = {"noise_score": torch.full((25,), 1 / (1 + odds), dtype=torch.float64)}
    equal(slope("lcpo", **both), 0.1 * (p - p * odds / (p * odds + 1 - p)))


def test_lcpo_finds_the_reliability_of_simulated_labels() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 2.5 * torch.randn(40_000, generator=generator, dtype=torch.float64)
    better = torch.rand(40_000, generator=generator) < torch.sigmoid(logits)
    kept = torch.rand(40_000, generator=generator) < 0.8
    # of the side that the label calls better
    h = torch.where(better == kept, logits, -logits) / 0.1
    ratios, eta = torch.stack([h, 0 * h], 1), 0.9
    for step in range(1, 101):
        seen = losses.lcpo.RELIABILITY.observe(ratios, columns(40_000, running=eta)).mean().item()
        rate = losses.lcpo.RELIABILITY.rate(step, options())
        eta = (1 - rate) * eta + rate * seen
    assert eta == pytest.approx(0.8, abs=0.01)


def test_ipo_is_at_rest_where_means_per_token_differ_by_its_target() -> None:
    # 4 tokens, 1 / (2 * 0.1)
    assert of("ipo", torch.tensor([4 * 5.0])).item() == pytest.approx(0.0, abs=1e-9)
    assert of("ipo", torch.tensor([0.0])).item() == pytest.approx(25.0)


def test_hinge_ends_where_beta_h_is_1() -> None:
    equal(of("hinge", torch.tensor([-10.0, 5.0, 10.0, 50.0])), torch.tensor([2.0, 0.5, 0.0, 0.0]))


def test_bco_bounds_dpo_from_above_and_its_centre_tightens_the_bound() -> None:
    ratios = torch.tensor([[30.0, 10.0]])  # rewards 3 and 1: their mean is 2
    loss = {
        centre: losses.get("bco")(ratios, columns(running=centre)).item()
        for centre in (0.0, 1.9, 2.0, 2.1, 3.0)
    }
    dpo = losses.get("sigmoid")(ratios, columns()).item()
    assert min(loss, key=lambda centre: loss[centre]) == 2.0
    assert min(loss.values()) > dpo
    assert loss[2.0] == pytest.approx(2 * math.log1p(math.exp(-1)))


def test_a_pair_counts_in_bco_as_its_two_texts_alone() -> None:
    nan = math.nan
    alone = columns(2, values=torch.tensor([[1.0, nan], [0.0, nan]]), running=0.3)
    found = losses.get("bco")(torch.tensor([[7.0, 0.0], [4.0, 0.0]]), alone)
    whole = losses.get("bco")(torch.tensor([[7.0, 4.0]]), columns(running=0.3))
    assert found.sum().item() == pytest.approx(whole.item())
    assert losses.get("bco").margin(
        torch.tensor([[7.0, 0.0], [4.0, 0.0]]), alone
    ).tolist() == pytest.approx([4.0, -1.0])


def test_a_rationale_adds_gamma_times_its_mean_negative_log_probability() -> None:
    ratios = torch.tensor([[3.0, 1.0, -10.0], [3.0, 1.0, -20.0], [3.0, 1.0, 0.0]])
    tokens = torch.tensor([[4.0, 4.0, 5.0], [4.0, 4.0, 10.0], [4.0, 4.0, 0.0]])
    dpo = losses.get("sigmoid")(ratios, columns(3))
    found = losses.get("rationale")(
        ratios, columns(3, 3, tokens=tokens, options=options(gamma=0.5))
    )
    equal(found - dpo, torch.tensor([1.0, 1.0, 0.0]))
    equal(
        losses.get("rationale")(ratios, columns(3, 3, tokens=tokens, options=options(gamma=0.0))),
        dpo,
    )
    equal(losses.get("rationale")(ratios[:, :2], columns(3)), dpo)


def test_prompt_contrast_compares_the_margins_under_two_prompts() -> None:
    ratios = torch.tensor([[5.0, 2.0, 1.0, 2.5], [5.0, 2.0, 0.0, 0.0]])
    found = losses.get("prompt_contrast")(ratios, columns(2, 4))
    expected = [math.log1p(math.exp(-0.1 * h)) for h in ((5 - 2) - (2.5 - 1), 5 - 2)]
    assert found.tolist() == pytest.approx(expected)
