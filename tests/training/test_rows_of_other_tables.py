"""Lists, single texts, rationales and stages go through the same loop as pairs."""

from pathlib import Path

import polars as pl
import pytest
import torch

from pipeline.config import TrainingSettings
from pipeline.errors import OrchardError
from pipeline.training import loop, schedule
from pipeline.training.accuracy import reward_accuracy
from pipeline.training.data import Data, arrange
from pipeline.training.loading import load, load_tokenizer
from pipeline.training.losses.prompt_contrast import crossed
from pipeline.training.rationales import attach
from pipeline.training.reference import all_logps, lookup, reference_logps
from pipeline.training.step import backward
from pipeline.training.tokens import tokenize
from tests.training.test_train import change, run, same
from tests.training.toy import example, frame, lists, pair, ranked, reason, reasons, single, singles

ELSEWHERE = [{"role": "user", "content": "another prompt altogether"}]


def gradient(model: Path, rows: pl.DataFrame, settings: TrainingSettings) -> torch.Tensor:
    policy = load(model, "fp32")
    policy.causal.requires_grad_(True)
    examples = arrange(tokenize(rows, policy.tokenizer, 128).examples, settings.loss)
    table = reference_logps(model, rows, settings, policy_id="tiny", precision="fp32")
    data = Data.of(examples, lookup(examples, table), settings)
    backward(policy, data, range(len(examples)), len(examples), 0.0)
    return torch.cat([p.grad.flatten() for p in policy.trainable().values() if p.grad is not None])


def test_a_list_of_two_has_the_gradient_of_its_pair_in_any_order(
    tiny: Path, settings: TrainingSettings
) -> None:
    ranking = change(settings, loss="list_ranking")
    whole = gradient(tiny, frame([pair("q", "yes", "no")]), settings)
    for texts, values in ((["yes", "no"], [0.9, 0.2]), (["no", "yes"], [0.0, 1.0])):
        found = gradient(tiny, lists([ranked("q", texts, values)]), ranking)
        torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-6)


def test_steps_of_equal_rewards_have_the_gradient_of_their_whole_texts(
    tiny: Path, settings: TrainingSettings
) -> None:
    ranking = change(settings, loss="list_ranking")
    plain = ranked("q", ["a\nis 7", "a\nis 8", "b"], [1.0, 0.5, 0.0])

    def stepped(*rewards: float) -> pl.DataFrame:
        given = iter(rewards)
        items = [
            {
                **item,
                "steps": [
                    {"text": text, "value": None, "reward": next(given)}
                    for text in item["text"].splitlines(keepends=True)
                ],
            }
            for item in plain["items"]
        ]
        return lists([{**plain, "items": items}])

    whole = gradient(tiny, lists([plain]), ranking)
    same = gradient(tiny, stepped(1.3, 1.3, 1.3, 1.3, 1.3), ranking)
    torch.testing.assert_close(same, whole, rtol=1e-4, atol=1e-6)
    other = gradient(tiny, stepped(2.0, 2.0, 2.0, 0.2, 1.0), ranking)
    assert (other - whole).norm() > 0.1 * whole.norm()
    (example,) = tokenize(stepped(2.0, 2.0, 2.0, 0.2, 1.0), load_tokenizer(tiny), 128).examples
    assert example.items == (0, 0, 1, 1, 2) and example.rewards == (2.0, 2.0, 2.0, 0.2, 1.0)
    first, second = example.texts[:2]
    # the second step's context is the first's with its text, and only it ends the turn
    assert second[0] == first[0] + first[1] and len(second[1]) == len("is 7") + 1


def test_sft_has_the_gradient_of_the_cross_entropy_of_the_better_text(
    tiny: Path, settings: TrainingSettings
) -> None:
    rows = frame([pair("q", "yes, that is so", "no"), pair("another", "maybe", "never ever")])
    found = gradient(tiny, rows, change(settings, loss="sft"))
    policy = load(tiny, "fp32")
    policy.causal.requires_grad_(True)
    total = torch.zeros(())
    for one in tokenize(rows, policy.tokenizer, 128).examples:
        context, text = one.texts[0]
        logits = policy.causal(torch.tensor([context + text])).logits[0, len(context) - 1 : -1]
        total = total + torch.nn.functional.cross_entropy(logits, torch.tensor(text)) / 2
    total.backward()
    grads = [p.grad.flatten() for p in policy.trainable().values() if p.grad is not None]
    torch.testing.assert_close(found, torch.cat(grads), rtol=1e-4, atol=1e-6)


def test_lists_of_different_lengths_learn_their_order(
    tiny: Path, settings: TrainingSettings, tmp_path: Path
) -> None:
    texts = ["yes", "maybe", "no", "never"]
    rows = lists(
        [ranked(f"q{i}", texts[: 2 + i % 3], [1.0, 0.5, 0.5, 0.0][: 2 + i % 3]) for i in range(10)]
    )
    settings = change(settings, loss="list_ranking", learning_rate=3e-3, epochs=6)
    result = run(tiny, rows, settings, tmp_path / "out")
    assert result.n_pairs == 10 and result.accuracy_last == 1.0
    assert result.loss_last < result.loss_first - 0.2
    held_out = frame([pair(f"was it {i}?", "yes", worse) for i in range(3) for worse in texts[1:]])
    reference = reference_logps(tiny, held_out, settings, policy_id="tiny")
    assert reward_accuracy(result.path, held_out, reference, settings)["value"].mean() == 1.0


def test_a_list_without_an_order_is_rejected(tiny: Path) -> None:
    rows = lists([ranked("q", ["a", "b"], [0.5, 0.5]), ranked("q", ["a", "b"], [0.5, 0.6])])
    read = tokenize(rows, load_tokenizer(tiny), 128)
    assert len(read.examples) == 1
    assert read.rejects["reason"].to_list() == ["all items have the same value: nothing is better"]


def test_texts_without_a_partner_learn_which_kind_is_good(
    tiny: Path, settings: TrainingSettings, tmp_path: Path
) -> None:
    rows = singles([single(f"q{i}", "yes" if i % 3 else "no", i % 3 > 0) for i in range(12)])
    settings = change(settings, loss="bco", learning_rate=3e-3, epochs=6)
    result = run(tiny, rows, settings, tmp_path / "out")
    assert result.accuracy_last == 1.0
    assert result.length_ratio == pytest.approx(4 / 3)
    held_out = frame([pair(f"was it {i}?", "yes", "no") for i in range(6)])
    reference = reference_logps(tiny, held_out, settings, policy_id="tiny")
    assert reward_accuracy(result.path, held_out, reference, settings)["value"].mean() == 1.0
    with pytest.raises(OrchardError, match="loss bco: all texts are of one class"):
        run(tiny, rows.filter("desirable"), settings, tmp_path / "one")


def test_a_rationale_is_learned_beside_the_pair_and_only_where_the_loss_reads_it(
    tiny: Path, settings: TrainingSettings, tmp_path: Path
) -> None:
    plain = [pair(f"q{i}") for i in range(8)]
    why = [reason(row, "short is good") for row in plain[:6]]  # two pairs have none
    rows = [
        {**row, "rationale_id": w["rationale_id"]} for row, w in zip(plain, why, strict=False)
    ] + plain[6:]
    pairs = attach(frame(rows), reasons(why))
    settings = change(settings, learning_rate=3e-3, epochs=4, loss="rationale")
    learned = run(tiny, pairs, settings, tmp_path / "with")
    without = run(tiny, pairs, change(settings, loss="sigmoid"), tmp_path / "without")
    assert learned.n_tokens - without.n_tokens == 4 * 6 * (len("short is good") + 1)
    assert (
        without.curve
        == run(tiny, frame(plain), change(settings, loss="sigmoid"), tmp_path / "plain").curve
    )
    side = tokenize(pairs, load_tokenizer(tiny), 128).examples[0].texts[2]
    before, after, unread = (
        all_logps(load(p, "fp32"), [side], 256)[0] for p in (tiny, learned.path, without.path)
    )
    assert after > before + 10 and after > unread + 10
    with pytest.raises(OrchardError, match="no row has a rationale"):
        run(tiny, frame(plain), settings, tmp_path / "none")


def test_a_rationale_that_is_not_in_the_table_names_the_pair() -> None:
    row = pair("q", rationale_id="lost")
    with pytest.raises(
        OrchardError, match=f"rationales are missing for 1 of 1 pairs, the first {row['pair_id']}"
    ):
        attach(frame([row]), reasons([]))


def test_two_prompts_and_two_texts_are_four_sides_and_other_rows_stay() -> None:
    a, b, x, y = (1, 2), (3, 4), (5,), (6,)
    inter = crossed(example("inter", a, x, y, other=b))
    assert inter.texts == ((a, x), (a, y), (b, y), (b, x))
    for row in (example("plain", a, x, y), example("intra", a, x, x, other=b)):
        assert crossed(row) == row


def test_prompt_contrast_has_the_gradient_of_its_two_margins(
    tiny: Path, other: Path, settings: TrainingSettings
) -> None:
    row = pair("q", "yes", "no", rejected_messages=ELSEWHERE)
    policy = load(other, "fp32")
    (one,) = arrange(tokenize(frame([row]), policy.tokenizer, 128).examples, "prompt_contrast")
    table = reference_logps(tiny, frame([row]), settings, policy_id="tiny", precision="fp32")
    assert len(table) == 4
    known = lookup([one], table)[0].tolist()
    w, x, y, z = (
        logp - ref for logp, ref in zip(all_logps(policy, list(one.texts), 256), known, strict=True)
    )
    policy.causal.requires_grad_(True)
    data = Data.of([one], lookup([one], table), change(settings, loss="prompt_contrast"))
    loss, _, margin, *_ = backward(policy, data, [0], 1, 0.0).tolist()
    assert margin == pytest.approx(0.1 * ((w - x) - (z - y)), abs=1e-4)
    assert loss == pytest.approx(torch.tensor(-margin).exp().log1p().item(), abs=1e-4)


def staged(stages: list[int | None]) -> pl.DataFrame:
    return frame(
        [pair(f"q{i}", "yes" + "!" * (i % 3), stage=stage) for i, stage in enumerate(stages)]
    )


def test_one_stage_is_no_curriculum(tiny: Path, settings: TrainingSettings, tmp_path: Path) -> None:
    first = run(tiny, staged([None] * 8), settings, tmp_path / "a")
    ids = pl.lit(staged([None] * 8)["pair_id"])
    assert (
        run(tiny, staged([3] * 8).with_columns(pair_id=ids), settings, tmp_path / "b").curve
        == first.curve
    )


def test_a_stage_trains_as_a_call_of_its_own_with_the_last_stages_policy_as_reference(
    tiny: Path, settings: TrainingSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # so that a saved policy is exact
    monkeypatch.setattr(torch.nn.Module, "to", keep_fp32(torch.nn.Module.to))
    both = staged([0, 1] * 6)
    fp32 = {"precision": "fp32"}
    whole = run(tiny, both, settings, tmp_path / "whole", **fp32)
    first = run(tiny, both.filter(pl.col("stage") == 0), settings, tmp_path / "first", **fp32)
    rest = both.filter(pl.col("stage") == 1)
    reference = reference_logps(first.path, rest, settings, policy_id="first", precision="fp32")
    second = loop.train(
        first.path, rest, reference, settings, seed=0, out=tmp_path / "second", precision="fp32"
    )
    assert whole.n_steps == first.n_steps + second.n_steps == 8
    for found, expected in zip(whole.curve, first.curve + second.curve, strict=True):
        assert found[1:] == pytest.approx(expected[1:], abs=1e-5)
    # the policy is its own reference again
    assert whole.curve[4][1] == pytest.approx(0.6931, abs=1e-3)


def keep_fp32(to: object) -> object:
    def stay(module: torch.nn.Module, *args: object, **kwargs: object) -> object:
        return module if args == (torch.bfloat16,) else to(module, *args, **kwargs)

    return stay


# within the first stage, at the border, within the second
@pytest.mark.parametrize("stop_after", [3, 4, 6])
@pytest.mark.parametrize("loss", ["sigmoid", "lcpo"])
def test_a_curriculum_stopped_anywhere_ends_with_equal_weights(
    stop_after: int, loss: str, tiny: Path, settings: TrainingSettings, tmp_path: Path
) -> None:
    settings = change(settings, method="lora", checkpoint_every=1, loss=loss)
    pairs = staged([0, 1] * 6)
    steps = schedule.plan(tokenize(pairs, load_tokenizer(tiny), 128).examples, settings, 0)
    assert [number for number, step in enumerate(steps) if step.opens] == [4]
    whole = run(tiny, pairs, settings, tmp_path / "whole")

    def stop(done: int, total: int, values: dict[str, float]) -> None:
        if done == stop_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tiny, pairs, settings, tmp_path / "cut", progress=stop)
    assert run(tiny, pairs, settings, tmp_path / "cut").curve == whole.curve
    assert same(tmp_path / "cut", tmp_path / "whole")


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("soft", "loss soft needs the column strength, unknown in 1 of 2 rows"),
        ("margin", "loss margin needs the column margin, unknown in 2 of 2 rows"),
    ],
)
def test_a_loss_that_lacks_its_column_names_the_row(
    loss: str, message: str, tiny: Path, settings: TrainingSettings, tmp_path: Path
) -> None:
    pairs = frame([pair("a", strength=0.9), pair("b")])
    with pytest.raises(OrchardError, match=message):
        run(tiny, pairs, change(settings, loss=loss), tmp_path / "out")


def test_a_loss_on_rows_of_another_kind_names_what_it_compares(
    tiny: Path, settings: TrainingSettings, tmp_path: Path
) -> None:
    with pytest.raises(
        OrchardError, match="loss sigmoid compares 2 to 2 texts per row, row .* has 3: use another"
    ):
        run(
            tiny, lists([ranked("q", ["a", "b", "c"], [1.0, 0.5, 0.0])]), settings, tmp_path / "out"
        )
    with pytest.raises(OrchardError, match="loss list_ranking compares 2 to .* has 1"):
        run(
            tiny,
            singles([single("q", "a", True)]),
            change(settings, loss="list_ranking"),
            tmp_path / "out",
        )


def test_a_mixture_has_the_gradients_of_its_parts_each_under_its_own_loss(
    tiny: Path, settings: TrainingSettings
) -> None:
    """MAPL's joint objective: half of the sum of both data sets' mean losses."""
    intra = [pair(f"intra {i}", "yes", "yes", rejected_messages=ELSEWHERE) for i in range(2)]
    inter = [pair(f"inter {i}", "yes", "no", rejected_messages=ELSEWHERE) for i in range(2)]
    plain = [pair("plain", "yes, so", "no"), pair("and plain", "a", "b, not")]
    parts = {"sigmoid": intra, "prompt_contrast": inter, "ipo": plain}
    rows = [{**row, "loss": loss} for loss, own in parts.items() for row in own]
    whole = gradient(tiny, frame(rows), change(settings, loss="mixed"))
    alone = [gradient(tiny, frame(own), change(settings, loss=loss)) for loss, own in parts.items()]
    torch.testing.assert_close(whole, sum(alone) / 3, rtol=1e-4, atol=1e-6)


def test_a_mixture_is_trained_and_its_rows_need_a_loss(
    tiny: Path, settings: TrainingSettings, tmp_path: Path
) -> None:
    rows = [pair(f"q{i}", loss="ipo" if i % 2 else "sft") for i in range(8)]
    settings = change(settings, loss="mixed", learning_rate=3e-3, epochs=4)
    result = run(tiny, frame(rows), settings, tmp_path / "out")
    assert result.n_pairs == 8 and result.loss_last < result.loss_first
    with pytest.raises(OrchardError, match="loss mixed: a row names no loss of its own"):
        run(tiny, frame([pair("q")]), settings, tmp_path / "none")
