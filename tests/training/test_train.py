"""The training loop on a toy preference: it learns, it resumes, it fails in one line."""

import json
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from pipeline.config import TrainingSettings
from pipeline.errors import OrchardError
from pipeline.training import checkpoint, losses, memory, step
from pipeline.training.accuracy import reward_accuracy
from pipeline.training.checkpoint import Progress
from pipeline.training.data import Data
from pipeline.training.loading import load, load_tokenizer
from pipeline.training.loop import TrainResult, train
from pipeline.training.reference import lookup, reference_logps
from pipeline.training.tokens import tokenize
from tests.training.toy import frame, pair


def change(settings: TrainingSettings, **values: Any) -> TrainingSettings:
    return TrainingSettings(**{**settings.model_dump(), **values})


def run(
    model: Path, pairs: pl.DataFrame, settings: TrainingSettings, out: Path, **values: Any
) -> TrainResult:
    reference = reference_logps(model, pairs, settings, policy_id="tiny")
    return train(model, pairs, reference, settings, **{"seed": 0, "out": out, **values})


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "model.safetensors")


def same(first: Path, second: Path) -> bool:
    a, b = weights(first), weights(second)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def stand_in_for_hinge(monkeypatch: pytest.MonkeyPatch, loss: losses.Loss) -> None:
    known = losses.LOSSES.all()
    monkeypatch.setattr(losses.LOSSES, "_things", {**known, "hinge": loss})


@pytest.mark.parametrize("method", ["full", "lora"])
def test_training_raises_the_margin_also_on_held_out_pairs(
    method: str, tiny: Path, toy: pl.DataFrame, settings: TrainingSettings, tmp_path: Path
) -> None:
    rate = 3e-3 if method == "full" else 3e-2
    settings = change(settings, method=method, learning_rate=rate, epochs=6)
    result = run(tiny, toy, settings, tmp_path / "out")
    held_out = frame([pair(f"was it {i}?") for i in range(6)])
    reference = reference_logps(tiny, held_out, settings, policy_id="tiny")
    assert result.curve[0][1] == pytest.approx(math.log(2), abs=0.02)
    assert result.loss_last < result.loss_first - 0.2
    assert result.accuracy_last == 1.0
    assert result.curve[-1][3] > 1.0
    assert reward_accuracy(result.path, held_out, reference, settings)["value"].mean() == 1.0


def test_the_result_accounts_for_pairs_steps_and_tokens(
    tiny: Path, toy: pl.DataFrame, settings: TrainingSettings, tmp_path: Path
) -> None:
    pairs = pl.concat([toy, frame([pair("long", "x" * 200, "y")])])
    seen: list[tuple[int, int]] = []
    result = run(
        tiny,
        pairs,
        settings,
        tmp_path / "out",
        progress=lambda done, total, _: seen.append((done, total)),
    )
    examples = tokenize(toy, load_tokenizer(tiny), 128).examples
    chosen, rejected = (sum(len(e.texts[side][1]) for e in examples) for side in (0, 1))
    assert (result.n_pairs, result.n_steps, len(result.rejects), result.truncated) == (12, 6, 1, 0)
    assert result.n_tokens == 2 * (chosen + rejected)
    assert result.length_ratio == pytest.approx(chosen / rejected)
    assert seen == [(i + 1, 6) for i in range(6)]
    assert [point[0] for point in result.curve] == [1, 2, 3, 4, 5, 6]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]  # no checkpoint, no draft


@pytest.mark.parametrize(
    ("method", "at"), [("full", 3), ("lora", 1), ("lora", 2), ("lora", 3), ("lora", 6)]
)
def test_a_training_stopped_at_any_step_goes_on_and_ends_with_equal_weights(
    method: str, at: int, tiny: Path, toy: pl.DataFrame, settings: TrainingSettings, tmp_path: Path
) -> None:
    settings = change(settings, method=method)
    whole = run(tiny, toy, settings, tmp_path / "whole")
    started: list[int] = []

    def stop(done: int, total: int, values: dict[str, float]) -> None:
        if done == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tiny, toy, settings, tmp_path / "cut", progress=stop)
    assert not (tmp_path / "cut").exists()
    cut = run(tiny, toy, settings, tmp_path / "cut", progress=lambda done, *_: started.append(done))
    assert started[0] == {1: 1, 2: 3, 3: 3, 6: 5}[at]  # every second step is kept, but not the last
    assert cut.curve == whole.curve
    assert same(tmp_path / "cut", tmp_path / "whole")


def test_a_checkpoint_of_other_settings_data_or_seed_is_not_used(
    tiny: Path, toy: pl.DataFrame, settings: TrainingSettings, tmp_path: Path
) -> None:
    def stop(done: int, total: int, values: dict[str, float]) -> None:
        if done == 3:
            raise KeyboardInterrupt

    def first_step(**values: Any) -> int:
        with pytest.raises(KeyboardInterrupt):
            run(tiny, toy, settings, tmp_path / "out", progress=stop)
        steps: list[int] = []
        arguments = {"pairs": toy, "settings": settings, **values}
        run(tiny, out=tmp_path / "out", progress=lambda done, *_: steps.append(done), **arguments)
        return steps[0]

    assert first_step() == 3
    assert first_step(settings=change(settings, checkpoint_every=1, seeds=(5, 6))) == 3
    assert first_step(settings=change(settings, beta=0.2)) == 1
    assert first_step(seed=1) == 1
    assert first_step(pairs=toy.with_columns(weight=pl.lit(2.0))) == 1


def test_a_broken_checkpoint_is_ignored(
    tiny: Path, toy: pl.DataFrame, settings: TrainingSettings, tmp_path: Path
) -> None:
    checkpoint.path_for(tmp_path / "out").write_bytes(b"half a file")
    assert run(tiny, toy, settings, tmp_path / "out").n_steps == 6


def test_the_order_of_the_rows_does_not_matter_and_the_seed_does(
    tiny: Path, toy: pl.DataFrame, settings: TrainingSettings, tmp_path: Path
) -> None:
    settings = change(settings, method="lora")
    first = run(tiny, toy, settings, tmp_path / "a")
    assert run(tiny, toy.reverse(), settings, tmp_path / "b").curve == first.curve
    assert run(tiny, toy, settings, tmp_path / "c", seed=1).curve != first.curve


def gradient(model: Path, pairs: pl.DataFrame, settings: TrainingSettings) -> torch.Tensor:
    policy = load(model, "fp32")
    policy.causal.requires_grad_(True)
    examples = tokenize(pairs, policy.tokenizer, 128).examples
    table = reference_logps(model, pairs, settings, policy_id="tiny", precision="fp32")
    data = Data.of(examples, lookup(examples, table) + 1.0, settings)
    step.backward(policy, data, range(len(examples)), len(examples), 0.0)
    return torch.cat([p.grad.flatten() for p in policy.trainable().values() if p.grad is not None])


def test_a_weight_of_2_is_the_pair_twice(tiny: Path, settings: TrainingSettings) -> None:
    a, b = pair("a", "one", "two"), pair("b", "three", "four")
    weighted = gradient(tiny, frame([{**a, "weight": 2.0}, b]), settings)
    twice = gradient(tiny, frame([a, {**a, "pair_id": "again"}, b]), settings)
    torch.testing.assert_close(weighted, twice, rtol=1e-4, atol=1e-6)
    assert not torch.allclose(weighted, gradient(tiny, frame([a, b]), settings), rtol=1e-2)


def test_a_weight_of_0_takes_the_pair_out(tiny: Path, settings: TrainingSettings) -> None:
    a, b = pair("a", "one", "two"), pair("b", "three", "four")
    torch.testing.assert_close(
        gradient(tiny, frame([a, {**b, "weight": 0.0}]), settings),
        gradient(tiny, frame([a]), settings),
    )


@pytest.mark.parametrize("trees", [True, False])
def test_accumulation_does_not_change_the_step(
    trees: bool, tiny: Path, toy: pl.DataFrame, settings: TrainingSettings
) -> None:
    table = reference_logps(tiny, toy, settings, policy_id="tiny", precision="fp32")
    examples = tokenize(toy, load_tokenizer(tiny), 128).examples
    data = Data.of(examples, lookup(examples, table), settings)
    found = []
    for micro_tokens in (1, 300, 100_000):
        policy = load(tiny, "fp32")
        policy.trees = trees
        policy.causal.requires_grad_(True)
        optimizer = torch.optim.SGD(policy.causal.parameters(), lr=1.0)
        step.run_step(
            policy, optimizer, data, range(len(examples)), Progress(micro_tokens=micro_tokens)
        )
        found.append(torch.cat([p.detach().flatten() for p in policy.causal.parameters()]))
    torch.testing.assert_close(found[0], found[2], rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(found[1], found[2], rtol=1e-3, atol=1e-5)


def test_one_pair_is_enough(
    tiny: Path, toy: pl.DataFrame, settings: TrainingSettings, tmp_path: Path
) -> None:
    result = run(tiny, toy.head(1), settings, tmp_path / "out")
    assert (result.n_pairs, result.n_steps) == (1, 2)


def test_gradient_checkpointing_gives_the_same_curve(
    tiny: Path, toy: pl.DataFrame, settings: TrainingSettings, tmp_path: Path
) -> None:
    settings = change(settings, method="lora")
    plain = run(tiny, toy, settings, tmp_path / "a", precision="fp32").curve
    frugal = run(
        tiny, toy, change(settings, gradient_checkpointing=True), tmp_path / "b", precision="fp32"
    ).curve
    for first, second in zip(plain, frugal, strict=True):
        assert first == pytest.approx(second, abs=1e-4)


def test_no_pairs_and_no_weights_are_one_line(
    tiny: Path, toy: pl.DataFrame, settings: TrainingSettings, tmp_path: Path
) -> None:
    with pytest.raises(OrchardError, match="the variant is empty"):
        run(tiny, toy.clear(), settings, tmp_path / "out")
    with pytest.raises(OrchardError, match="all weights are 0"):
        run(tiny, toy.with_columns(weight=pl.lit(0.0)), settings, tmp_path / "out")
    with pytest.raises(
        OrchardError, match="all 1 were dropped, the first because a text of 201 tokens"
    ):
        run(tiny, frame([pair("long", "x" * 200, "y")]), settings, tmp_path / "out")


def test_a_loss_that_is_not_finite_names_step_and_pairs_and_keeps_the_checkpoint(
    tiny: Path,
    toy: pl.DataFrame,
    settings: TrainingSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []

    def breaks(ratios: torch.Tensor, columns: losses.Columns) -> torch.Tensor:
        calls.append(1)
        return losses.get("sigmoid")(ratios, columns) * (math.nan if len(calls) > 4 else 1.0)

    stand_in_for_hinge(monkeypatch, losses.Loss(breaks))
    with pytest.raises(OrchardError, match="stopped at step 5: loss nan") as caught:
        run(tiny, toy, change(settings, loss="hinge", micro_tokens=4096), tmp_path / "out")
    assert sum(name in str(caught.value) for name in toy["pair_id"]) == 4
    assert checkpoint.path_for(tmp_path / "out").exists()


def test_a_loss_that_explodes_stops_with_the_state_before_that_step(
    tiny: Path,
    toy: pl.DataFrame,
    settings: TrainingSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []

    def explodes(ratios: torch.Tensor, columns: losses.Columns) -> torch.Tensor:
        calls.append(1)
        return losses.get("sigmoid")(ratios, columns) * (1e3 if len(calls) == 4 else 1.0)

    stand_in_for_hinge(monkeypatch, losses.Loss(explodes))
    settings = change(settings, loss="hinge", micro_tokens=4096, checkpoint_every=20)
    with pytest.raises(OrchardError, match="stopped at step 4: loss 2"):
        run(tiny, toy, settings, tmp_path / "out")
    seen: list[int] = []
    resumed = run(
        tiny, toy, settings, tmp_path / "out", progress=lambda done, *_: seen.append(done)
    )
    assert seen[0] == 4
    stand_in_for_hinge(monkeypatch, losses.get("sigmoid"))
    assert resumed.curve == run(tiny, toy, settings, tmp_path / "whole").curve


def test_a_context_that_is_too_long_is_cut_or_its_pair_dropped(
    tiny: Path, toy: pl.DataFrame, settings: TrainingSettings, tmp_path: Path
) -> None:
    pairs = pl.concat([toy, frame([pair("long " * 30)])])
    cut = run(tiny, pairs, settings, tmp_path / "cut")
    dropped = run(tiny, pairs, change(settings, too_long="drop"), tmp_path / "dropped")
    assert (cut.n_pairs, cut.truncated, len(cut.rejects)) == (13, 1, 0)
    assert (dropped.n_pairs, dropped.truncated, len(dropped.rejects)) == (12, 0, 1)
    assert (
        dropped.rejects["reason"][0]
        == "a context of 169 tokens does not fit into max_length 128 beside its text"
    )


def test_out_of_memory_halves_the_pass(
    tiny: Path,
    toy: pl.DataFrame,
    settings: TrainingSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, sizes = step.text_logps, []

    def small(policy: Any, examples: list[Any]) -> torch.Tensor:
        sizes.append(len(examples))
        if len(examples) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(policy, examples)

    settings = change(settings, micro_tokens=4096)
    whole = run(tiny, toy, settings, tmp_path / "a", precision="fp32")
    monkeypatch.setattr(step, "text_logps", small)
    halved = run(tiny, toy, settings, tmp_path / "b", precision="fp32")
    assert [p[1] for p in halved.curve] == pytest.approx([p[1] for p in whole.curve], abs=1e-4)
    assert sizes[:2] == [4, 4] and sizes[-1] == 1


def test_memory_that_is_never_enough_is_one_line() -> None:
    def work(tokens: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(OrchardError, match="out of memory with one row per pass"):
        memory.retry(work, 4096)


def test_the_saved_policy_is_whole_and_replaces_an_older_one(
    tiny: Path, toy: pl.DataFrame, settings: TrainingSettings, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "stale").touch()
    run(tiny, toy, settings, out)
    assert not (out / "stale").exists()
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {p.name for p in out.iterdir()}
    assert json.loads((out / "config.json").read_text())["dtype"] == "bfloat16"
    assert load_tokenizer(out).chat_template == load_tokenizer(tiny).chat_template
