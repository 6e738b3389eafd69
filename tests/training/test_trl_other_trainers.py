"""TRL's trainers of CPO, SimPO, ORPO and KTO as oracles: one batch, one loss, one gradient."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM
from trl import KTOConfig, KTOTrainer
from trl.experimental.cpo import CPOConfig, CPOTrainer
from trl.experimental.orpo import ORPOConfig, ORPOTrainer

from pipeline.config import LossSettings, TrainingSettings
from pipeline.training import losses
from pipeline.training.checkpoint import Progress
from pipeline.training.data import Data
from pipeline.training.example import Example
from pipeline.training.loading import load
from pipeline.training.mismatched import running_of
from pipeline.training.policy import Policy
from pipeline.training.reference import lookup_for, reference_logps
from pipeline.training.step import backward
from pipeline.training.tokens import tokenize
from tests.training.toy import frame, pair, single, singles

Found = tuple[float, torch.Tensor]  # loss and gradient
NO_ROWS = pl.DataFrame(schema={"policy_id": pl.String, "text_id": pl.String, "logp": pl.Float64})
COMMON: dict[str, Any] = {
    "report_to": "none", "use_cpu": True, "bf16": False, "max_length": None,
    "gradient_checkpointing": False, "remove_unused_columns": False,
}  # fmt: skip


@pytest.fixture
def policy(other: Path) -> Policy:
    found = load(other, "fp32")
    found.causal.requires_grad_(True)
    return found


@pytest.fixture
def pairs(policy: Policy) -> list[Example]:
    """TRL's likelihood term is a mean over the batch's tokens: chosen texts of one length."""
    rows = [pair("what" * i, "yes" + "abcde"[i], "no, " + "not" * (5 - i)) for i in range(5)]
    return tokenize(frame(rows), policy.tokenizer, 128).examples


def model(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype="float32")


def ours(policy: Policy, examples: list[Example], settings: TrainingSettings) -> Found:
    """Without a row of reference log-probabilities: these losses need none."""
    known = lookup_for(losses.get(settings.loss), examples, NO_ROWS)
    data = Data.of(examples, known, settings)
    policy.causal.zero_grad()
    parts = backward(policy, data, range(len(examples)), len(examples), 0.0)
    return parts[0].item(), gradient_of(policy.causal, policy)


def gradient_of(of: Any, policy: Policy) -> torch.Tensor:
    grads = dict(of.named_parameters())
    return torch.cat([grads[name].grad.flatten() for name in policy.trainable()])


def side(example: Example, place: int, name: str) -> dict[str, list[int]]:
    context, text = example.texts[place]
    return {
        f"{name}_input_ids": [*context, *text],
        f"{name}_attention_mask": [1] * (len(context) + len(text)),
        f"{name}_labels": [-100] * len(context) + list(text),
    }


def theirs(trainer: Any, examples: list[Example], policy: Policy) -> Found:
    features = [{**side(e, 0, "chosen"), **side(e, 1, "rejected")} for e in examples]
    trainer.model.zero_grad()
    loss, _ = trainer.get_batch_loss_metrics(trainer.model, trainer.data_collator(features))
    loss.backward()
    return loss.item(), gradient_of(trainer.model, policy)


def equal(mine: Found, other: Found) -> None:
    assert mine[0] == pytest.approx(other[0], rel=1e-4)
    assert torch.cosine_similarity(mine[1], other[1], dim=0) > 0.9999
    torch.testing.assert_close(mine[1].norm(), other[1].norm(), rtol=1e-3, atol=0)


def texts(examples: list[Example], policy: Policy) -> Dataset:
    decode = policy.tokenizer.decode
    return Dataset.from_list(
        [
            {
                "prompt": decode(e.texts[0][0]),
                "chosen": decode(e.texts[0][1]),
                "rejected": decode(e.texts[1][1]),
            }
            for e in examples
        ]
    )


TRLS: dict[str, dict[str, Any]] = {
    "cpo": {"loss_type": "sigmoid", "cpo_alpha": 0.7, "beta": 0.3},
    "simpo": {"loss_type": "simpo", "cpo_alpha": 0.0, "simpo_gamma": 0.8, "beta": 2.0},
}


@pytest.mark.parametrize("name", TRLS)
def test_cpo_and_simpo_are_those_of_trls_cpo_trainer(
    name: str, other: Path, policy: Policy, pairs: list[Example], settings: TrainingSettings,
    tmp_path: Path,
) -> None:  # fmt: skip
    trainer = CPOTrainer(
        model(other),
        CPOConfig(str(tmp_path), **COMMON, **TRLS[name]),
        train_dataset=texts(pairs, policy),
        processing_class=policy.tokenizer,
    )
    options = LossSettings(nll_weight=0.7, simpo_gamma=0.8)
    chosen = {"loss": name, "beta": TRLS[name]["beta"], "losses": options}
    mine = ours(policy, pairs, settings.model_copy(update=chosen))
    equal(mine, theirs(trainer, pairs, policy))


def test_the_odds_ratio_of_orpo_is_that_of_trls_trainer(
    other: Path, policy: Policy, pairs: list[Example], settings: TrainingSettings, tmp_path: Path
) -> None:
    """TRL's likelihood term reads the prompt too: the difference of two weights is without it."""
    trainer = ORPOTrainer(
        model(other),
        args=ORPOConfig(str(tmp_path), beta=0.0, **COMMON),
        train_dataset=texts(pairs, policy),
        processing_class=policy.tokenizer,
    )

    def at(weight: float) -> tuple[Found, Found]:
        trainer.beta = weight
        chosen = settings.model_copy(
            update={"loss": "orpo", "losses": LossSettings(orpo_weight=weight)}
        )
        return ours(policy, pairs, chosen), theirs(trainer, pairs, policy)

    (mine, other_), (mine_0, other_0) = at(0.8), at(0.0)
    equal(
        (mine[0] - mine_0[0], mine[1] - mine_0[1]),
        (other_[0] - other_0[0], other_[1] - other_0[1]),
    )


def test_kto_is_trls_with_its_reference_point(
    tiny: Path, other: Path, policy: Policy, settings: TrainingSettings, tmp_path: Path
) -> None:
    rows = singles([single("what" * i, "yes" * (i + 1), desirable=i % 2 == 0) for i in range(6)])
    # TRL rotates the rows in their order, we in that of their ids
    examples = tokenize(rows.sort("unpaired_id"), policy.tokenizer, 128).examples
    args = KTOConfig(
        str(tmp_path), beta=0.3, desirable_weight=1.2, undesirable_weight=0.7,
        per_device_train_batch_size=6, train_sampling_strategy="sequential", **COMMON,
    )  # fmt: skip
    decode = policy.tokenizer.decode
    trainer = KTOTrainer(
        model(other),
        model(tiny),
        args=args,
        processing_class=policy.tokenizer,
        train_dataset=Dataset.from_list(
            [
                {"prompt": decode(e.texts[0][0]), "completion": decode(e.texts[0][1]),
                 "label": e.values[0] > 0.5}
                for e in examples
            ]
        ),
    )  # fmt: skip
    their_loss = trainer.compute_loss(
        trainer.model, trainer.data_collator(list(trainer.train_dataset))
    )
    their_loss.backward()

    weights = LossSettings(kto_desirable=1.2, kto_undesirable=0.7)
    chosen = settings.model_copy(update={"loss": "kto", "beta": 0.3, "losses": weights})
    reference = reference_logps(tiny, rows, chosen, policy_id="tiny", precision="fp32")
    known = lookup_for(losses.get("kto"), examples, reference)
    data = Data.of(examples, known, chosen).begun(load(tiny, "fp32"))
    every = range(len(examples))
    point = running_of(policy, data, every, Progress(micro_tokens=256))
    loss = backward(policy, data, every, len(examples), point)[0].item()
    metrics = trainer._metrics["train"] or trainer._metrics["eval"]
    assert point > 0.01  # the clip at 0 is not what makes both equal
    assert point == pytest.approx(0.3 * metrics["kl"][-1], rel=1e-3)
    equal(
        (loss, gradient_of(policy.causal, policy)),
        (their_loss.item(), gradient_of(trainer.model, policy)),
    )
