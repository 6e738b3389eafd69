"""Log-probabilities of pairs under any model, as tables: computed once per model and text."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import torch
from torch import Tensor

from pipeline import tables
from pipeline.config import TrainingSettings
from pipeline.errors import OrchardError
from pipeline.freed import trim
from pipeline.training import sharding
from pipeline.training.example import Example, Side, text_id
from pipeline.training.loading import load, load_tokenizer
from pipeline.training.logps import side_logps, spread
from pipeline.training.losses import Loss
from pipeline.training.losses.prompt_contrast import crossed
from pipeline.training.policy import Policy, Precision, halve_frozen
from pipeline.training.tokens import tokenize
from pipeline.training.tree import micro_batches


def reference_logps(
    model_dir: Path,
    rows: pl.DataFrame,
    settings: TrainingSettings,
    *,
    policy_id: str,
    known: pl.DataFrame | None = None,
    precision: Precision = "auto",
) -> pl.DataFrame:
    """Rows of `reference_logps`:
    one per different text of the rows (of all variants together, to pay once).

    Args:
        rows: of `preferences`, `preference_lists` or `unpaired`; of a pair with two contexts and
            two texts, each text counts in each context, as the prompt contrast needs it.
        known: rows of an earlier table; texts of this policy that it holds are not computed again,
            nor returned.
    """
    read = tokenize(
        rows, load_tokenizer(model_dir), settings.max_length, settings.too_long, settings.thoughts
    )
    texts = {
        text_id(*side): side for example in read.examples for side in crossed(example).compared
    }
    if known is not None:
        have = set(known.filter(pl.col("policy_id") == policy_id)["text_id"])
        texts = {key: side for key, side in texts.items() if key not in have}
    logps = (
        _under(model_dir, precision, list(texts.values()), settings.micro_tokens) if texts else []
    )
    trim()  # of the model, before the next one is read
    found = [
        {"text_id": key, "policy_id": policy_id, "logp": min(logp, 0.0), "tokens": len(text)}
        for (key, (_, text)), logp in zip(texts.items(), logps, strict=True)
    ]
    return pl.DataFrame(found, schema=tables.empty("reference_logps").schema)


def _under(
    model_dir: Path, precision: Precision, sides: Sequence[Side], micro_tokens: int
) -> list[float]:
    policy = load(model_dir, precision)
    halve_frozen(policy)
    return all_logps(policy, sides, micro_tokens)


@torch.no_grad()
def all_logps(policy: Policy, sides: Sequence[Side], micro_tokens: int) -> list[float]:
    """Log-probabilities in nats of (context, text) pairs, in order.

    What they begin with alike is computed once.
    """
    found: dict[Side, float] = {}

    def compute(budget: int) -> None:
        waiting = [side for side in dict.fromkeys(sides) if side not in found]
        for micro in micro_batches(waiting, lambda side: (side,), budget, policy.trees):
            found.update(zip(micro, side_logps(policy, micro).tolist(), strict=True))

    sharding.retry(policy, compute, micro_tokens)
    return [found[side] for side in sides]


def lookup(examples: Sequence[Example], reference: pl.DataFrame) -> Tensor:
    """(n, K) reference log-probabilities of the examples' compared texts;
    0 for every other text and where none is.

    Raises:
        OrchardError: the table holds several reference models, or lacks a text.
    """
    if reference["policy_id"].n_unique() > 1:
        names = ", ".join(sorted(reference["policy_id"].unique()))
        raise OrchardError(
            f"reference log-probabilities of several models ({names}): "
            "filter the table by policy_id"
        )
    known = dict(reference.select("text_id", "logp").iter_rows())
    keys = [[text_id(*side) for side in example.compared] for example in examples]
    missing = [
        e.row_id
        for e, texts in zip(examples, keys, strict=True)
        if not all(key in known for key in texts)
    ]
    if missing:
        raise OrchardError(
            f"reference log-probabilities are missing for {len(missing)} of {len(examples)} rows, "
            f"the first {missing[0]}: compute them with the same model folder and max_length"
        )
    return table_of(examples, [known[key] for texts in keys for key in texts])


def lookup_for(loss: Loss, examples: Sequence[Example], reference: pl.DataFrame) -> Tensor:
    """(n, K) what a loss takes off the policy's log-probabilities: see `lookup`;
    0 for a loss without a reference model, which needs no row of the table.
    """
    if loss.reference:
        return lookup(examples, reference)
    return table_of(examples, [0.0 for example in examples for _ in example.values])


def recompute(policy: Policy, examples: Sequence[Example], micro_tokens: int) -> Tensor:
    """(n, K) as `lookup`, under the policy as it is now:
    it becomes the reference of what follows.
    """
    return table_of(
        examples, all_logps(policy, [side for e in examples for side in e.compared], micro_tokens)
    )


def table_of(examples: Sequence[Example], logps: Sequence[float]) -> Tensor:
    """(n, K) of the log-probabilities of all compared texts in order.

    K is the most texts, rationales included.
    """
    width = max((len(example.texts) for example in examples), default=2)
    if not examples:
        return torch.zeros(0, width)
    table = spread(
        torch.tensor(logps, dtype=torch.float32), [len(example.values) for example in examples]
    )
    return torch.nn.functional.pad(table, (0, width - table.shape[1]))
