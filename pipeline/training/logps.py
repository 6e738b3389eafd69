"""log pi(text | context): the sum of a text's token log-probabilities, for many texts at once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.training.example import Example
from pipeline.training.policy import Policy
from pipeline.training.rows import Batch, Group, groups_of, pack

_PROBE = Group((3, 1, 4, 1, 5), ((2, 6, 5), (3, 5, 8, 2)))  # ids below 10: every vocabulary has them


def text_logps(policy: Policy, examples: Sequence[Example]) -> Tensor:
    """(n, K) log-probabilities in nats of the texts of each example, with gradients; 0 where one has fewer than K."""
    groups = [group for example in examples for group in groups_of(example, policy.packs)]
    return spread(group_logps(policy, groups), [len(example.texts) for example in examples])


def spread(values: Tensor, counts: Sequence[int]) -> Tensor:
    """(sum of counts,) to (n, max(counts)): row i holds the next counts[i] values, then zeros."""
    filled = torch.arange(max(counts)) < torch.tensor(counts)[:, None]  # (n, K)
    return values.new_zeros(filled.shape).masked_scatter(filled.to(values.device), values)


def group_logps(policy: Policy, groups: Sequence[Group]) -> Tensor:
    """(M,) log-probabilities in nats of all branches of all groups, in order."""
    batch = pack(groups, policy.device)
    with policy.computing(), _head_sees(policy.causal, batch):
        output = policy.causal(
            input_ids=batch.ids, position_ids=batch.positions, attention_mask=batch.mask, use_cache=False
        )
    logits = output.logits[0].float()  # (N, V)
    tokens = -F.cross_entropy(logits, batch.targets, reduction="none")  # (N,)
    return torch.stack([part.sum() for part in tokens.split(batch.lengths)])


@contextmanager
def _head_sees(causal: Any, batch: Batch) -> Iterator[None]:
    """Within, the head reads only positions that predict a text's token: (R, L, H) becomes (1, N, H).

    A hook and not a call of the head, so that what a model does after it (caps, scales) is still done.
    """

    def gather(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (inputs[0][batch.rows, batch.columns][None], *inputs[1:])

    handle = causal.get_output_embeddings().register_forward_pre_hook(gather)
    try:
        yield
    finally:
        handle.remove()


@torch.no_grad()
def packs(policy: Policy) -> bool:
    """True where this model gives packed branches the log-probabilities that each has alone.

    A probe and not a list of names: a model that ignores the mask or the positions (state-space layers, ALiBi) shows
    it. A window of attention would not be kept by the mask, so such a model takes one text per row.
    """
    config = policy.causal.config.get_text_config()
    if config._attn_implementation != "sdpa" or getattr(config, "sliding_window", None) or config.vocab_size < 10:
        return False
    alone = group_logps(policy, [Group(_PROBE.context, (branch,)) for branch in _PROBE.branches])
    return torch.allclose(group_logps(policy, [_PROBE]), alone, rtol=1e-4, atol=1e-3)
