"""Does the policy prefer what was preferred? The implicit reward on held-out pairs."""

from pathlib import Path

import polars as pl
import torch

from pipeline.config import TrainingSettings
from pipeline.training import losses
from pipeline.training.loading import load
from pipeline.training.losses.base import compared
from pipeline.training.losses.columns import columns_of
from pipeline.training.policy import Precision, halve_frozen
from pipeline.training.reference import lookup, recompute
from pipeline.training.tokens import tokenize


def log_ratios(
    model_dir: Path,
    pairs: pl.DataFrame,
    reference: pl.DataFrame,
    settings: TrainingSettings,
    *,
    precision: Precision = "auto",
) -> pl.DataFrame:
    """(pair_id, chosen, rejected):
    log pi(text) - log pi_ref(text) in nats under the model of a folder.

    A pair with a text that is too long for max_length is left out, as it is in training.
    """
    policy = load(model_dir, precision)
    halve_frozen(policy)
    read = tokenize(
        pairs, policy.tokenizer, settings.max_length, settings.too_long, settings.thoughts
    )
    examples = [compared(example) for example in read.examples]
    ratios = (
        recompute(policy, examples, settings.micro_tokens) - lookup(examples, reference)
    ).tolist()
    rows = [
        {"pair_id": e.row_id, "chosen": chosen, "rejected": rejected}
        for e, (chosen, rejected) in zip(examples, ratios, strict=True)
    ]
    return pl.DataFrame(
        rows, schema={"pair_id": pl.String, "chosen": pl.Float64, "rejected": pl.Float64}
    )


def preference_accuracy(
    model_dir: Path, pairs: pl.DataFrame, reference: pl.DataFrame, settings: TrainingSettings
) -> pl.DataFrame:
    """(pair_id, value): `reward_accuracy`, or for a loss without a reference model
    the same of the score that it learns: 1 where that of the chosen text is higher.
    """
    loss = losses.get(settings.loss)
    if loss.reference:
        return reward_accuracy(model_dir, pairs, reference, settings)
    policy = load(model_dir)
    halve_frozen(policy)
    read = tokenize(
        pairs, policy.tokenizer, settings.max_length, settings.too_long, settings.thoughts
    )
    examples = [compared(example) for example in read.examples]
    values: list[float] = []
    if examples:
        logps = recompute(policy, examples, settings.micro_tokens)
        columns = columns_of(examples, settings.beta, settings.losses, 0.0, torch.zeros_like(logps))
        values = ((loss.margin(logps, columns).sign() + 1) / 2).tolist()
    return pl.DataFrame(
        {"pair_id": [example.row_id for example in examples], "value": values},
        schema={"pair_id": pl.String, "value": pl.Float64},
    )


def reward_accuracy(
    model_dir: Path,
    pairs: pl.DataFrame,
    reference: pl.DataFrame,
    settings: TrainingSettings,
    *,
    precision: Precision = "auto",
) -> pl.DataFrame:
    """(pair_id, value): 1 where the implicit reward of the chosen text is higher,
    0.5 where equal, 0 otherwise.

    The implicit reward is beta * log(pi / pi_ref), Rafailov et al. 2023, section 5.1.
    """
    ratios = log_ratios(model_dir, pairs, reference, settings, precision=precision)
    margin = pl.col("chosen") - pl.col("rejected")
    return ratios.select("pair_id", ((margin.sign() + 1) / 2).alias("value"))
