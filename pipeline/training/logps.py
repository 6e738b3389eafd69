"""log pi(text | context): the sum of a text's token log-probabilities, for many texts at once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.training.attention import graft, undo
from pipeline.training.example import Example, Side
from pipeline.training.head import token_logps
from pipeline.training.policy import Policy
from pipeline.training.tree import Tree, grow

# of a model that takes trees: a method, so that what wraps its forward can wrap it too
TREE_METHOD = "tree_logps"
# every vocabulary has ids below 10
_PROBE = (((3, 1, 4), (1, 5)), ((3, 1, 4), (1, 2, 6, 5)), ((3, 5), (8, 2)))


def text_logps(policy: Policy, examples: Sequence[Example]) -> Tensor:
    """(n, K) log-probabilities in nats of the texts of each example, with gradients;
    0 where one has fewer than K.
    """
    sides = [side for example in examples for side in example.texts]
    return spread(side_logps(policy, sides), [len(example.texts) for example in examples])


def spread(values: Tensor, counts: Sequence[int]) -> Tensor:
    """(sum of counts,) to (n, max(counts)): row i holds the next counts[i] values, then zeros."""
    filled = torch.arange(max(counts)) < torch.tensor(counts)[:, None]  # (n, K)
    return values.new_zeros(filled.shape).masked_scatter(filled.to(values.device), values)


def side_logps(policy: Policy, sides: Sequence[Side]) -> Tensor:
    """(M,) log-probabilities in nats of texts in their contexts, with gradients."""
    return _by_tree(policy, sides) if policy.trees else _by_rows(policy, sides)


def _by_tree(policy: Policy, sides: Sequence[Side]) -> Tensor:
    tree = grow(sides, policy.device)
    with policy.computing():
        # (N,) log-probabilities
        tokens = getattr(policy.causal, TREE_METHOD)(tree, torch.bfloat16 if policy.bf16 else None)
    return torch.stack([part.sum() for part in tokens[tree.tokens].split(tree.lengths)])


def _tree_logps(causal: Any, tree: Tree, dtype: torch.dtype | None) -> Tensor:
    """(N,) log-probabilities in nats of the tree's predicted nodes;
    the head's products in dtype, null for its own.
    """
    output = causal.base_model(
        input_ids=tree.ids, position_ids=tree.positions, use_cache=False, paths=tree.paths
    )
    states = output.last_hidden_state[0].index_select(0, tree.parents)  # (N, H)
    head = causal.get_output_embeddings().weight
    return token_logps(states, head, tree.targets, dtype or head.dtype)


def _by_rows(policy: Policy, sides: Sequence[Side]) -> Tensor:
    """One text per row, as any causal model takes it:
    padded on the right, which no token before it sees.
    """
    width = max(len(context) + len(text) for context, text in sides)
    ids = torch.tensor(
        [context + text + (0,) * (width - len(context + text)) for context, text in sides]
    )
    places = [(row, len(c) - 1 + i) for row, (c, t) in enumerate(sides) for i in range(len(t))]
    rows, columns = torch.tensor(places, device=policy.device).unbind(1)
    targets = torch.tensor([token for _, text in sides for token in text], device=policy.device)
    with policy.computing(), _head_sees(policy.causal, rows, columns):
        # (N, V) in fp32
        logits = policy.causal(input_ids=ids.to(policy.device), use_cache=False).logits[0].float()
    tokens = -F.cross_entropy(logits, targets, reduction="none")
    return torch.stack([part.sum() for part in tokens.split([len(text) for _, text in sides])])


@contextmanager
def _head_sees(causal: Any, rows: Tensor, columns: Tensor) -> Iterator[None]:
    """Within, the head reads only the positions that predict a text's token:
    (R, L, H) becomes (1, N, H).

    A hook and not a call of the head, so that what a model does after it (caps, scales) is still
    done.
    """

    def gather(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (inputs[0][rows, columns][None], *inputs[1:])

    handle = causal.get_output_embeddings().register_forward_pre_hook(gather)
    try:
        yield
    finally:
        handle.remove()


@torch.no_grad()
def takes_trees(policy: Policy) -> bool:
    """Teaches a model to take trees,
    where it then gives texts the log-probabilities that each has alone; else not.

    A probe and not a list of names: a model that ignores the positions (ALiBi), rotates in another
    way or changes its logits after the head shows it. A window of attention would not be kept in a
    tree.
    """
    config = policy.causal.config.get_text_config()
    head = policy.causal.get_output_embeddings()
    if getattr(config, "sliding_window", None) or config.vocab_size < 10:
        return False
    if not isinstance(head, nn.Linear) or head.bias is not None:
        return False
    taught = graft(policy.causal)
    setattr(policy.causal, TREE_METHOD, partial(_tree_logps, policy.causal))
    if len(taught) == config.num_hidden_layers:
        try:
            if torch.allclose(
                _by_tree(policy, _PROBE), _by_rows(policy, _PROBE), rtol=1e-4, atol=1e-3
            ):
                return True
        except (
            TypeError,
            RuntimeError,
        ):  # a forward without `paths`, or of other shapes: such a model takes rows
            pass
    undo(taught)
    return False
