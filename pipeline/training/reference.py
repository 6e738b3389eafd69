"""Log-probabilities of pairs under any model, as tables: computed once per model and text."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import torch
from torch import Tensor

from pipeline import tables
from pipeline.config import TrainingSettings
from pipeline.errors import OrchardError
from pipeline.training import memory
from pipeline.training.logps import group_logps
from pipeline.training.policy import Policy, Precision, load, load_tokenizer
from pipeline.training.rows import Group, micro_batches
from pipeline.training.tokens import Example, Ids, text_id, tokenize

BRANCHES = 8  # texts of one context in one row


def reference_logps(
    model_dir: Path,
    pairs: pl.DataFrame,
    settings: TrainingSettings,
    *,
    policy_id: str,
    known: pl.DataFrame | None = None,
    precision: Precision = "auto",
) -> pl.DataFrame:
    """Rows of `reference_logps`: one per different text of the pairs (of all variants together, to pay once).

    Args:
        known: rows of an earlier table; texts of this policy that it holds are not computed again, nor returned.
    """
    examples = tokenize(pairs, load_tokenizer(model_dir), settings.max_length).examples
    texts = {text_id(*side): side for example in examples for side in example.sides}
    if known is not None:
        have = set(known.filter(pl.col("policy_id") == policy_id)["text_id"])
        texts = {key: side for key, side in texts.items() if key not in have}
    logps = text_logps(load(model_dir, precision), list(texts.values()), settings.micro_tokens) if texts else []
    rows = [
        {"text_id": key, "policy_id": policy_id, "logp": min(logp, 0.0), "tokens": len(text)}
        for (key, (_, text)), logp in zip(texts.items(), logps, strict=True)
    ]
    return pl.DataFrame(rows, schema=tables.empty("reference_logps").schema)


@torch.no_grad()
def text_logps(policy: Policy, texts: Sequence[tuple[Ids, Ids]], micro_tokens: int) -> list[float]:
    """Log-probabilities in nats of (context, text) pairs, in order; texts of one context share its computation."""
    size = BRANCHES if policy.packs else 1
    by_context: dict[Ids, list[Ids]] = {}
    for context, text in dict.fromkeys(texts):
        by_context.setdefault(context, []).append(text)
    groups = [Group(c, tuple(t[i : i + size])) for c, t in by_context.items() for i in range(0, len(t), size)]
    found: dict[tuple[Ids, Ids], float] = {}

    def compute(budget: int) -> None:
        waiting = [group for group in groups if (group.context, group.branches[-1]) not in found]
        for micro in micro_batches(waiting, lambda group: (1, group.length), budget):
            keys = [(group.context, branch) for group in micro for branch in group.branches]
            found.update(zip(keys, group_logps(policy, micro).tolist(), strict=True))

    memory.retry(compute, micro_tokens)
    return [found[text] for text in texts]


def lookup(examples: Sequence[Example], reference: pl.DataFrame) -> Tensor:
    """(n, 2) reference log-probabilities of the examples' chosen and rejected texts.

    Raises:
        OrchardError: the table holds several reference models, or lacks a text.
    """
    if reference["policy_id"].n_unique() > 1:
        names = ", ".join(sorted(reference["policy_id"].unique()))
        raise OrchardError(f"reference log-probabilities of several models ({names}): filter the table by policy_id")
    known = dict(reference.select("text_id", "logp").iter_rows())
    keys = [[text_id(*side) for side in example.sides] for example in examples]
    missing = [e.pair_id for e, pair in zip(examples, keys, strict=True) if not all(key in known for key in pair)]
    if missing:
        raise OrchardError(
            f"reference log-probabilities are missing for {len(missing)} of {len(examples)} pairs, the first"
            f" {missing[0]}: compute them with the same model folder and max_length"
        )
    return torch.tensor([[known[key] for key in pair] for pair in keys], dtype=torch.float32).view(-1, 2)
