"""SimPO, CPO, ORPO, KTO and DPO with a likelihood term: closed forms, limits, slopes, and what they
need of the base model.
"""

import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from torch import Tensor

from pipeline.config import LossSettings, TrainingSettings
from pipeline.errors import OrchardError
from pipeline.training import losses
from pipeline.training.checkpoint import Progress
from pipeline.training.data import Data, arrange
from pipeline.training.loading import load, load_tokenizer
from pipeline.training.logps import side_logps
from pipeline.training.loop import TrainResult, train
from pipeline.training.losses.orpo import log_odds
from pipeline.training.mismatched import exchanged, running_of
from pipeline.training.reference import lookup_for, reference_logps
from pipeline.training.tokens import tokenize
from tests.training.toy import columns, example, frame, pair, single, singles

REFERENCE_FREE = ["simpo", "cpo", "orpo"]
NO_ROWS = pl.DataFrame(schema={"policy_id": pl.String, "text_id": pl.String, "logp": pl.Float64})
TOKENS = torch.tensor([[4.0, 8.0]])


def of(name: str, logps: Tensor, tokens: Tensor = TOKENS, **values: Any) -> Tensor:
    return losses.get(name)(logps, columns(len(logps), tokens=tokens, **values))


def slope(name: str, logps: Tensor, **values: Any) -> Tensor:
    at = logps.clone().requires_grad_()
    of(name, at, **values).sum().backward()
    assert at.grad is not None
    return at.grad


@pytest.mark.parametrize("name", [*REFERENCE_FREE, "dpo_nll"])
def test_it_falls_as_the_chosen_text_gets_likelier_and_the_rejected_one_less_so(name: str) -> None:
    found = slope(name, torch.tensor([[-6.0, -5.0]], dtype=torch.float64))
    assert found[0, 0] < 0 < found[0, 1]


@pytest.mark.parametrize("name", [*REFERENCE_FREE, "dpo_nll"])
@pytest.mark.parametrize("logps", [[-6.0, -5.0], [-0.01, -40.0], [-90.0, -2.0], [-9.0, -9.0]])
def test_slopes_are_the_numeric_ones(name: str, logps: list[float]) -> None:
    at = torch.tensor([logps], dtype=torch.float64)
    numeric = [
        (of(name, at + move) - of(name, at - move)).item() / 2e-6
        for move in 1e-6 * torch.eye(2, dtype=torch.float64)[:, None]
    ]
    assert slope(name, at)[0].tolist() == pytest.approx(numeric, rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("name", REFERENCE_FREE)
@pytest.mark.parametrize("logps", [[-1e-30, -1e4], [0.0, 0.0], [-1e5, 0.0], [-1e-9, -1e-9]])
def test_extreme_log_probabilities_have_finite_losses_and_slopes(
    name: str, logps: list[float]
) -> None:
    at = torch.tensor([logps])
    assert of(name, at).isfinite().all() and slope(name, at).isfinite().all()


def test_simpo_is_undecided_where_the_means_differ_by_its_margin() -> None:
    options = LossSettings(simpo_gamma=1.0)
    logps = torch.tensor([[-4.0, -12.0]])  # means of -1 and -1.5
    assert of("simpo", logps, beta=2.0, options=options).item() == pytest.approx(math.log(2))
    without = of("simpo", logps, beta=2.0, options=LossSettings(simpo_gamma=0.0))
    assert without.item() == pytest.approx(math.log1p(math.exp(-1.0)))


def test_simpo_does_not_see_how_long_a_text_is() -> None:
    longer = of("simpo", torch.tensor([[-8.0, -12.0]]), torch.tensor([[8.0, 8.0]]), beta=2.0)
    shorter = of("simpo", torch.tensor([[-4.0, -12.0]]), beta=2.0)
    assert longer.item() == pytest.approx(shorter.item())
    summed = of("cpo", torch.tensor([[-8.0, -12.0]]), options=LossSettings(nll_weight=0.0))
    assert summed.item() != of(
        "cpo", torch.tensor([[-4.0, -12.0]]), options=LossSettings(nll_weight=0.0)
    )


def test_without_their_likelihood_term_cpo_and_dpo_nll_are_dpo() -> None:
    ratios, plain = torch.tensor([[3.0, -1.0], [-2.0, 5.0]]), LossSettings(nll_weight=0.0)
    for name in ("cpo", "dpo_nll"):
        torch.testing.assert_close(
            of(name, ratios, options=plain), losses.get("sigmoid")(ratios, columns(2))
        )


def test_the_likelihood_term_is_of_the_policys_own_probability_per_token() -> None:
    ratios, base = torch.tensor([[3.0, -1.0]]), torch.tensor([[-20.0, -9.0]])
    options = LossSettings(nll_weight=0.5)
    more = of("dpo_nll", ratios, options=options, reference=base) - of(
        "dpo_nll", ratios, options=LossSettings(nll_weight=0.0)
    )
    assert more.item() == pytest.approx(0.5 * 17 / 4)


def test_orpo_without_its_odds_is_fine_tuning() -> None:
    found = of("orpo", torch.tensor([[-6.0, -5.0]]), options=LossSettings(orpo_weight=0.0))
    assert found.item() == pytest.approx(1.5)


def test_the_slope_of_orpo_is_the_papers() -> None:
    """Equations 8 to 10: delta = 1 / (1 + odds ratio), times 1 / (1 - p) of each text."""
    logps = torch.tensor([[-2.0, -8.0]], dtype=torch.float64)
    p = (logps / TOKENS).exp()[0]
    delta = 1 / (1 + (p[0] / (1 - p[0])) / (p[1] / (1 - p[1])))
    weight = 0.7
    expected = [(-1 - weight * delta / (1 - p[0])) / 4, weight * delta / (1 - p[1]) / 8]
    found = slope("orpo", logps, options=LossSettings(orpo_weight=weight))
    assert found[0].tolist() == pytest.approx([x.item() for x in expected])
    half = torch.tensor([math.log(0.5)], dtype=torch.float64)
    assert log_odds(half).item() == pytest.approx(0.0)


def test_margins_are_of_means_where_the_loss_is() -> None:
    logps = torch.tensor([[-4.0, -4.8]])  # the sum prefers the first text, the mean the second
    known = columns(tokens=TOKENS)
    assert losses.get("cpo").margin(logps, known).item() == pytest.approx(0.8)
    for name in ("simpo", "orpo"):
        assert losses.get(name).margin(logps, known).item() == pytest.approx(-0.4)


GOOD, BAD = torch.tensor([[1.0]]), torch.tensor([[0.0]])


def test_kto_is_a_half_at_its_reference_point_and_ends_on_both_sides() -> None:
    options = LossSettings(kto_desirable=1.2, kto_undesirable=0.6)

    def at(ratio: float, value: Tensor) -> float:
        known = columns(k=1, values=value, running=0.5, options=options)
        return losses.get("kto")(torch.tensor([[ratio]]), known).item()

    assert at(5.0, GOOD) == pytest.approx(0.6) and at(5.0, BAD) == pytest.approx(0.3)
    assert at(1e4, GOOD) == pytest.approx(0.0) and at(-1e4, GOOD) == pytest.approx(1.2)
    assert at(-1e4, BAD) == pytest.approx(0.0) and at(1e4, BAD) == pytest.approx(0.6)
    assert at(7.0, GOOD) == pytest.approx(1.2 / (1 + math.exp(0.2)))


def test_the_slope_of_kto_is_steepest_at_the_reference_point() -> None:
    def steepness(ratio: float, value: Tensor) -> float:
        at = torch.tensor([[ratio]], requires_grad=True)
        losses.get("kto")(at, columns(k=1, values=value, running=0.5)).sum().backward()
        assert at.grad is not None
        return at.grad.item()

    assert steepness(5.0, GOOD) == pytest.approx(-0.1 / 4)
    assert steepness(5.0, BAD) == pytest.approx(0.1 / 4)
    assert 0 > steepness(60.0, GOOD) > -0.001 < 0 < steepness(-60.0, BAD) < 0.001


def test_a_pair_counts_in_kto_as_its_two_texts_alone() -> None:
    nan = math.nan
    alone = columns(2, values=torch.tensor([[1.0, nan], [0.0, nan]]), running=0.3)
    found = losses.get("kto")(torch.tensor([[7.0, 0.0], [4.0, 0.0]]), alone)
    whole = losses.get("kto")(torch.tensor([[7.0, 4.0]]), columns(running=0.3))
    assert found.sum().item() == pytest.approx(whole.item())


@pytest.mark.parametrize("single_prompt", [True, False])
def test_kto_refuses_texts_of_one_prompt_or_class(single_prompt: bool) -> None:
    rows = [example(str(i), (1, 1 if single_prompt else i), (2,), (3,)) for i in range(3)]
    rows = [type(r)(r.row_id, r.texts[:1], (float(single_prompt and i % 2),))
            for i, r in enumerate(rows)]  # fmt: skip
    with pytest.raises(OrchardError, match="one prompt" if single_prompt else "one class"):
        arrange(rows, "kto")


def test_mismatched_texts_answer_another_prompt_and_fit() -> None:
    rows = [example(str(i), (7, i // 2), (10 + i, 5), (20 + i,)) for i in range(6)]
    found = exchanged(rows, max_length=3)
    for row, sides in zip(rows, found, strict=True):
        for (context, text), (own, _) in zip(sides, row.texts, strict=True):
            (source,) = [r for r in rows if text in [t for _, t in r.texts]]
            assert source.texts[0][0] != own and own[-len(context) :] == context
            assert len(context) + len(text) <= 3
    assert found == list(reversed(exchanged(rows[::-1], max_length=3)))


def test_the_reference_point_is_the_mean_log_ratio_and_not_below_zero(
    tiny: Path, other: Path, settings: TrainingSettings
) -> None:
    rows = singles([single(f"what {i}?", "yes" * (i + 1), i % 2 == 0) for i in range(5)])
    chosen = settings.model_copy(update={"loss": "kto", "beta": 0.2, "micro_tokens": 40})
    base, policy = load(tiny, "fp32"), load(other, "fp32")
    examples = tokenize(rows, base.tokenizer, 128).examples

    def point(before: Any, now: Any) -> tuple[float, float]:
        known = torch.zeros(len(examples), 1)
        data = Data.of(examples, known, chosen).begun(before)
        sides = [side for texts in exchanged(examples, 128) for side in texts]
        with torch.no_grad():
            moved = [(side_logps(now, [s]) - side_logps(before, [s])).item() for s in sides]
        return running_of(now, data, range(5), Progress(micro_tokens=40)), sum(moved) / 5

    forth, mean = point(base, policy)
    back, negative = point(policy, base)
    assert negative == pytest.approx(-mean, rel=1e-4) and mean != pytest.approx(0, abs=0.1)
    assert (forth, back) == (
        pytest.approx(0.2 * max(mean, 0), rel=1e-4),
        pytest.approx(0.2 * max(-mean, 0), rel=1e-4),
    )


def learn(model: Path, rows: pl.DataFrame, settings: TrainingSettings, out: Path) -> TrainResult:
    loss = losses.get(settings.loss)
    known = reference_logps(model, rows, settings, policy_id="tiny") if loss.reference else NO_ROWS
    return train(model, rows, known, settings, seed=0, out=out)


def of_loss(settings: TrainingSettings, **values: Any) -> TrainingSettings:
    return TrainingSettings(**{**settings.model_dump(), **values})


@pytest.mark.parametrize(("name", "beta"), [("simpo", 2.0), ("cpo", 0.1), ("orpo", 0.1)])
def test_a_policy_is_trained_without_any_reference_log_probability(
    name: str, beta: float, tiny: Path, toy: pl.DataFrame, settings: TrainingSettings,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def refused(*_: Any) -> None:
        raise AssertionError("the base model was asked")

    monkeypatch.setattr("pipeline.training.reference.all_logps", refused)
    monkeypatch.setattr("pipeline.training.data.all_logps", refused)
    rows = toy.filter(pl.col("rejected_messages").is_null())
    chosen = of_loss(
        settings, loss=name, beta=beta, epochs=4, learning_rate=3e-3, patience=9, evaluate_every=3
    )
    held = frame([pair(f"was it {i}?", split="validation") for i in range(4)])
    result = learn(tiny, pl.concat([rows, held]), chosen, tmp_path / "out")
    assert result.accuracy_last == 1.0 and result.loss_last < result.loss_first
    assert result.looks[-1][1] < result.looks[0][1]


def test_kto_learns_from_single_texts_and_goes_on_where_it_stopped(
    tiny: Path, settings: TrainingSettings, tmp_path: Path
) -> None:
    rows = singles(
        [single(f"is it {i}?", text, text == "yes") for i in range(6) for text in ("yes", "no")]
    )
    chosen = of_loss(settings, loss="kto", epochs=4, learning_rate=3e-3)
    whole = learn(tiny, rows, chosen, tmp_path / "whole")
    assert whole.curve[0][1] == pytest.approx(0.5, abs=1e-3)  # where the policy is the base model
    assert whole.loss_last < 0.45 and whole.accuracy_last == 1.0

    def stop(done: int, *_: Any) -> None:
        if done == 5:
            raise KeyboardInterrupt

    known = reference_logps(tiny, rows, chosen, policy_id="tiny")
    with pytest.raises(KeyboardInterrupt):
        train(tiny, rows, known, chosen, seed=0, out=tmp_path / "cut", progress=stop)
    assert train(tiny, rows, known, chosen, seed=0, out=tmp_path / "cut").curve == whole.curve


def test_a_mixture_gives_a_loss_without_reference_the_policys_own_log_probabilities(
    tiny: Path, toy: pl.DataFrame, settings: TrainingSettings, tmp_path: Path
) -> None:
    alone = of_loss(settings, loss="cpo", epochs=1)
    mixed = toy.with_columns(loss=pl.lit("cpo"))
    plain = learn(tiny, toy, alone, tmp_path / "alone")
    found = learn(tiny, mixed, of_loss(alone, loss="mixed"), tmp_path / "mixed")
    for point, expected in zip(found.curve, plain.curve, strict=True):
        assert point[1:] == pytest.approx(expected[1:], rel=1e-4)


def test_curves_show_displacement_and_that_a_likelihood_term_ends_it(
    tiny: Path, settings: TrainingSettings, tmp_path: Path
) -> None:
    """Sides that begin alike: DPO lowers both, as long as the rejected one falls faster."""
    rows = frame([pair(f"is it {i}?", "no, not so", "no, not at all, never") for i in range(12)])
    common = {"learning_rate": 3e-3, "epochs": 4, "batch_pairs": 12, "beta": 0.1}

    def ends(**values: Any) -> tuple[float, float, float]:
        chosen = of_loss(settings, **{**common, **values})
        curve = learn(tiny, rows, chosen, tmp_path / chosen.loss).curve
        first, last = curve[0], curve[-1]
        assert first[4] is not None and first[5] is not None
        return last[4] - first[4], last[5] - first[5], last[3] - first[3]

    better, others, margin = ends(loss="sigmoid")
    assert others < better < 0 < margin
    kept, _, _ = ends(loss="dpo_nll")
    assert kept > 0


def test_curve_points_hold_the_mean_log_probability_of_both_sides(
    tiny: Path, toy: pl.DataFrame, settings: TrainingSettings, tmp_path: Path
) -> None:
    chosen = of_loss(settings, batch_pairs=100, epochs=1)
    (point,) = learn(tiny, toy, chosen, tmp_path / "out").curve
    examples = tokenize(toy, load_tokenizer(tiny), 128).examples
    known = lookup_for(
        losses.get("sigmoid"), examples, reference_logps(tiny, toy, chosen, policy_id="tiny")
    )
    tokens = torch.tensor([[len(text) for _, text in e.texts] for e in examples])
    assert point[4:] == pytest.approx((known / tokens).mean(0).tolist(), rel=1e-4)
