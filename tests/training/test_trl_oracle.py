"""TRL's DPOTrainer as the oracle: the same loss and gradient on the same batch."""

from pathlib import Path

import polars as pl
import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM
from trl import DPOConfig, DPOTrainer

from pipeline.config import LossSettings, TrainingSettings
from pipeline.training.data import Data
from pipeline.training.example import Example
from pipeline.training.loading import load
from pipeline.training.reference import lookup, reference_logps
from pipeline.training.step import backward
from pipeline.training.tokens import tokenize
from tests.training.toy import frame, pair

BETA = 0.3


@pytest.fixture
def pairs() -> pl.DataFrame:
    return frame(
        [
            pair(
                "what" * i,
                "yes" * (i + 1),
                "no, " + "not" * (5 - i),
                prefix="So: ",
                noise_score=0.2,
            )
            for i in range(5)
        ]
    )


def trainer_of(
    policy_dir: Path, reference_dir: Path, rows: list[dict[str, str]], out: Path
) -> DPOTrainer:
    model, reference = (
        AutoModelForCausalLM.from_pretrained(p, dtype="float32")
        for p in (policy_dir, reference_dir)
    )
    args = DPOConfig(
        str(out), beta=BETA, loss_type="sigmoid", report_to="none", use_cpu=True, bf16=False,
        max_length=None, gradient_checkpointing=False, per_device_train_batch_size=len(rows),
    )  # fmt: skip
    tokenizer = load(policy_dir, "fp32").tokenizer
    return DPOTrainer(
        model,
        reference,
        args=args,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )


def text_rows(examples: list[Example], tokenizer: object) -> list[dict[str, str]]:
    return [
        {
            name: tokenizer.decode(ids)
            for name, ids in zip(("prompt", "chosen", "rejected"), parts, strict=True)
        }
        for parts in ((e.texts[0][0], e.texts[0][1], e.texts[1][1]) for e in examples)
    ]


# our loss, our settings for it, TRL's name; TRL's label_smoothing acts in its robust loss and not
# in its sigmoid
LOSSES = [
    ("sigmoid", {}, "sigmoid"),
    ("ipo", {}, "ipo"),
    ("hinge", {}, "hinge"),
    ("rdpo", {"flip_trust": 1.0, "flip_bound": 0.45}, "robust"),
    ("bco", {}, "bco_pair"),
    ("dpo_nll", {"nll_weight": 0.7}, "sigmoid"),
]


@pytest.mark.parametrize(("ours", "options", "theirs"), LOSSES)
def test_loss_and_gradient_are_trls(
    ours: str, options: dict[str, float], theirs: str, tiny: Path, other: Path, pairs: pl.DataFrame,
    settings: TrainingSettings, tmp_path: Path,
) -> None:  # fmt: skip
    policy = load(other, "fp32")
    policy.causal.requires_grad_(True)
    if ours == "dpo_nll":
        pairs = frame([{**row, "chosen": "yes, that"} for row in pairs.to_dicts()])
    examples = tokenize(pairs, policy.tokenizer, 128).examples
    trainer = trainer_of(other, tiny, text_rows(examples, policy.tokenizer), tmp_path)
    trainer.loss_types, trainer.label_smoothing = [theirs], 0.2
    if "nll_weight" in options:  # TRL's is the mean over the batch's tokens: texts of one length
        trainer.loss_types, trainer.loss_weights = [theirs, "sft"], [1.0, options["nll_weight"]]
    tokenized = list(trainer.train_dataset)
    for row, example in zip(tokenized, examples, strict=True):
        assert tuple(row["prompt_ids"]) == example.texts[0][0]
        assert tuple(row["chosen_ids"]) == example.texts[0][1]
        assert tuple(row["rejected_ids"]) == example.texts[1][1]
    their_loss = trainer.compute_loss(trainer.model, trainer.data_collator(tokenized))
    their_loss.backward()

    reference = reference_logps(tiny, pairs, settings, policy_id="tiny", precision="fp32")
    chosen = settings.model_copy(
        update={"beta": BETA, "loss": ours, "losses": LossSettings(**options)}
    )
    data = Data.of(examples, lookup(examples, reference), chosen)
    loss, accuracy, margin, *_ = backward(
        policy, data, range(len(examples)), len(examples), 0.0
    ).tolist()

    assert loss == pytest.approx(their_loss.item(), rel=1e-4)
    if ours != "bco":  # ours reports how far texts lie on their right side of the centre
        metrics = trainer._metrics["train"] or trainer._metrics["eval"]
        assert accuracy == pytest.approx(metrics["rewards/accuracies"][-1])
        assert margin == pytest.approx(metrics["rewards/margins"][-1], abs=1e-4)
    their_grads = dict(trainer.model.named_parameters())
    found = torch.cat([p.grad.flatten() for p in policy.trainable().values()])
    wanted = torch.cat([their_grads[name].grad.flatten() for name in policy.trainable()])
    assert torch.cosine_similarity(found, wanted, dim=0) > 0.9999
    torch.testing.assert_close(found.norm(), wanted.norm(), rtol=1e-3, atol=0)
