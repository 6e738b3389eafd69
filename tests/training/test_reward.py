"""Fine-tuned reward models on a tiny random Llama:
the loss by hand, the order of passes, a planted preference.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel

from pipeline.config import ContrastSettings, MetaSettings, NoiseSettings, TuneSettings
from pipeline.errors import OrchardError
from pipeline.noise.contrast import Views
from pipeline.noise.crossfit import out_of_fold
from pipeline.noise.features import Features
from pipeline.noise.loss import length_correlation
from pipeline.noise.targets import Targets
from pipeline.training import reward
from pipeline.training.reward import fit_tuned, train_reward_model

GOOD, BAD = 65, 66  # the last token of every chosen and every rejected text


def planted(n: int = 40, seed: int = 0) -> tuple[list[tuple[int, ...]], Targets]:
    """n pairs of texts of 3 to 9 random tokens; the chosen one ends with GOOD."""
    rng = np.random.default_rng(seed)
    bodies = [tuple(int(t) for t in rng.integers(1, 60, rng.integers(2, 9))) for _ in range(2 * n)]
    texts = [(*body, GOOD if i < n else BAD) for i, body in enumerate(bodies)]
    unread = Features([str(i) for i in range(2 * n)], np.zeros((2 * n, 0), np.float32))
    plain = Targets.plain(unread, np.arange(n), np.arange(n) + n)
    length = np.array([len(texts[i]) - len(texts[i + n]) for i in range(n)], dtype=float)
    return texts, Targets(**{**vars(plain), "length": length})


def settings(method: str = "full", **tune: object) -> NoiseSettings:
    chosen = {
        "epochs": 3,
        "batch_pairs": 8,
        "learning_rate": 3e-3,
        "lora_rank": 4,
        "lora_alpha": 8,
        **tune,
    }
    return NoiseSettings(
        method=method, models=2, folds=2, resample=False, tune=TuneSettings(**chosen)
    )  # type: ignore[arg-type]


def plain_rewards(tiny: Path, texts: list[tuple[int, ...]], head: torch.Tensor) -> np.ndarray:
    """v . h of every text by itself, by transformers."""
    network = AutoModel.from_pretrained(tiny, dtype=torch.float32).eval()
    with torch.no_grad():
        last = [network(input_ids=torch.tensor([text])).last_hidden_state[0, -1] for text in texts]
    return (torch.stack(last) @ head).double().numpy()


def test_the_first_loss_is_bradley_terrys_with_the_asked_margins_targets_and_weights(
    tiny: Path,
) -> None:
    texts, plain = planted(8)
    rng = np.random.default_rng(1)
    asked = Targets(
        **{
            **vars(plain),
            "margin": rng.normal(size=8),
            "target": rng.uniform(0.5, 1, 8),
            "weight": rng.uniform(0, 2, 8),
        }
    )
    model = train_reward_model(
        tiny, texts, asked, settings(epochs=1, learning_rate=1e-12), 3, "fp32"
    )
    r = plain_rewards(tiny, texts, model.head.weight.detach()[0])
    d = r[:8] - r[8:]
    w = asked.weight / asked.weight.mean()
    each = asked.target * np.logaddexp(0, asked.margin - d) + (1 - asked.target) * np.logaddexp(
        0, d
    )
    assert model.losses[0] == pytest.approx(float((w * each).mean()), abs=1e-5)
    assert model.score(texts) == pytest.approx(r, abs=1e-5)  # together and padded, as one by one


@pytest.mark.parametrize("penalty", [0.0, 2.0])
def test_what_fits_into_one_pass_changes_nothing(tiny: Path, penalty: float) -> None:
    texts, targets = planted(16)
    wide = settings().model_copy(update={"length_penalty": penalty})
    narrow = wide.model_copy(update={"micro_tokens": 20})
    losses = [train_reward_model(tiny, texts, targets, s, 0, "fp32").losses for s in (wide, narrow)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
    if penalty:
        free = train_reward_model(tiny, texts, targets, settings(), 0, "fp32").losses
        assert losses[0][-1] != pytest.approx(free[-1], abs=1e-4)  # it does act


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_planted_preference_is_found_in_prompts_that_no_model_saw(
    tiny: Path, tmp_path: Path, method: str
) -> None:
    texts, targets = planted()
    chosen = settings(method, learning_rate=3e-3 if method == "full" else 2e-2)
    seen: list[tuple[int, int]] = []
    fit = fit_tuned(
        tiny, texts, chosen, tmp_path, precision="fp32", progress=lambda *at: seen.append(at)
    )
    scored = out_of_fold(targets, np.arange(40) % 2, np.ones(40, bool), chosen, 0, fit)
    assert (scored.margins > 0).mean() > 0.95
    assert all(curve[-1][1] < 0.3 < curve[0][1] for curve in scored.curves)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


ON = {
    "contrast": {"contrast": ContrastSettings(weight=0.5)},
    "difference": {
        "contrast": ContrastSettings(weight=0.5, on="difference"),
        "length_penalty": 1.0,
    },
    "meta": {"meta": MetaSettings(step=2.0, every=2)},
}


@pytest.mark.parametrize("name", ON)
def test_contrast_and_meta_act_and_what_fits_into_one_pass_changes_nothing(
    tiny: Path, name: str
) -> None:
    texts, plain = planted(16)
    targets = plain.asked_of(np.arange(8), np.arange(8) + 16)
    off = settings(epochs=2)
    wide = off.model_copy(update=ON[name])
    narrow = wide.model_copy(update={"micro_tokens": 20})
    three = [
        train_reward_model(tiny, texts, targets, s, 0, "fp32").losses for s in (off, wide, narrow)
    ]
    assert three[1] == pytest.approx(three[2], abs=1e-4)
    assert three[0][-1] != pytest.approx(three[1][-1], abs=1e-4)


def test_the_gradient_with_contrast_is_that_of_the_whole_sum(tiny: Path) -> None:
    texts, targets = planted(6)
    contrast = ContrastSettings(weight=0.5, temperature=0.2, dropout=0.3)
    chosen = settings().model_copy(
        update={"contrast": contrast, "length_penalty": 0.7, "micro_tokens": 20}
    )
    model = reward._begin(tiny, chosen, 1, "fp32")
    data = reward._Pairs.of(texts, targets, chosen, model.policy.device)
    reward._gradients(model, data, [4, 0, 2, 5], 9)
    found = [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]
    pairs = [4, 0, 2, 5]
    states = model.states([texts[i + side] for side in (0, 6) for i in pairs]).view(2, 4, -1)
    d = model.of_states(states[0]) - model.of_states(states[1])
    rows = torch.tensor([[i, i + 6] for i in pairs])[None]
    whole = torch.nn.functional.softplus(-d).mean()
    whole = whole + 0.7 * length_correlation(d, data.length[pairs])
    views = Views(contrast, [9]).loss([side[None] for side in states], rows, lambda z: z)[0]
    used = [weight for weight in model.parameters() if weight.grad is not None]
    expected = torch.autograd.grad(whole + 0.5 * views, used)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_meta_takes_the_gradient_at_the_moved_weights_and_puts_them_back(
    tiny: Path, method: str
) -> None:
    texts, plain = planted(8)
    targets = plain.asked_of(np.arange(3), np.arange(3) + 8)
    chosen = settings(method, learning_rate=1e-12, epochs=1).model_copy(
        update={"meta": MetaSettings(step=5.0)}
    )
    model = reward._begin(tiny, chosen, 3, "fp32")
    first, second = (model.rewards([texts[i + side] for i in range(3)]) for side in (0, 8))
    weights = model.parameters()
    slopes = torch.autograd.grad(
        torch.sigmoid((first - second).abs()).mean(), weights, allow_unused=True
    )
    begun = model.score(texts)
    with torch.no_grad():
        for weight, slope in zip(weights, slopes, strict=True):
            if slope is not None:
                weight += 5.0 * slope
    moved = model.score(texts)
    found = train_reward_model(tiny, texts, targets, chosen, 3, "fp32")
    assert found.losses[0] == pytest.approx(np.logaddexp(0, moved[8:] - moved[:8]).mean(), abs=1e-5)
    assert np.abs(moved - begun).max() > 1e-3  # it did move
    assert found.score(texts) == pytest.approx(begun, abs=1e-6)


def test_off_means_off_and_meta_needs_texts_to_be_scored(tiny: Path) -> None:
    texts, targets = planted(8)
    off = settings(epochs=1)
    other = off.model_copy(update={"contrast": ContrastSettings(on="difference")})
    asked = targets.asked_of(np.arange(3), np.arange(3) + 8)
    one, two = (
        train_reward_model(tiny, texts, t, s, 0, "fp32")
        for t, s in ((targets, off), (asked, other))
    )
    assert one.losses == two.losses and np.array_equal(one.score(texts), two.score(texts))
    with pytest.raises(OrchardError, match="reward models: noise.meta has no two texts"):
        train_reward_model(
            tiny, texts, targets, off.model_copy(update={"meta": MetaSettings(step=1.0)}), 0
        )


def test_seeds_decide_and_what_a_model_said_is_kept(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, targets = planted(12)
    chosen = settings(epochs=1)
    wanted = np.arange(24)
    first = fit_tuned(tiny, texts, chosen, tmp_path, precision="fp32")(targets, [1, 2], wanted)
    assert not np.allclose(first.rewards[0], first.rewards[1])
    monkeypatch.setattr(reward, "train_reward_model", lambda *_: pytest.fail("trained again"))
    again = fit_tuned(tiny, texts, chosen, tmp_path, precision="fp32")(targets, [2, 1], wanted)
    assert np.array_equal(again.rewards, first.rewards[::-1]) and np.array_equal(
        again.losses, first.losses[:, ::-1]
    )
    for changes in ({"contrast": ContrastSettings(weight=1.0)}, {"meta": MetaSettings(step=1.0)}):
        with pytest.raises(pytest.fail.Exception, match="trained again"):
            fit_tuned(tiny, texts, chosen.model_copy(update=changes), tmp_path, precision="fp32")(
                targets, [1], wanted
            )


def test_too_few_pairs_and_a_loss_that_is_not_finite_are_one_line_each(tiny: Path) -> None:
    texts, targets = planted(8)
    with pytest.raises(OrchardError, match="reward models: 1 pairs to learn from"):
        train_reward_model(tiny, texts, targets.take(np.array([0])), settings(), 0)
    endless = Targets(**{**vars(targets), "margin": np.full(8, np.inf)})
    with pytest.raises(
        OrchardError, match="reward model stopped: loss inf.*lower noise.tune's rate"
    ):
        train_reward_model(tiny, texts, endless, settings(), 0)
