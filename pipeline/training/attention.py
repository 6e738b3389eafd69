"""Attention over a tree of tokens: each path's own nodes see all of the path, up to themselves."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.training.tree import Path

PROJECTIONS = {"q_proj", "k_proj", "v_proj", "o_proj"}


class TreeAttention(torch.autograd.Function):
    """softmax(scale * Q K^T) V of rotated Q and K, path by path, in plain matrix products.

    On a CPU in bfloat16 they took half the time of torch's flash attention forward and a quarter of
    it backward. The probabilities are computed again in the backward pass: kept, they would be a
    large part of a step's memory.
    """

    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        cos: Tensor,
        sin: Tensor,
        paths: Sequence[Path],
        scale: float,
    ) -> Tensor:
        """q (T, H, D), k and v (T, G, D), H a multiple of G, cos and sin (T, D);
        gives (T, H, D).
        """
        q, k, v = rotated(q, cos, sin), rotated(k, cos, sin), v.transpose(0, 1).contiguous()
        out = q.new_empty(q.shape[1], q.shape[0], q.shape[2])
        for path in paths:
            seen = _probabilities(_rows(q, path, len(k)), _gather(k, path), path, scale)
            found = torch.bmm(seen, _gather(v, path)).view(len(q), path.stop - path.start, -1)
            out[path.start : path.stop] = found.transpose(0, 1)
        ctx.save_for_backward(q, k, v, cos, sin)
        ctx.paths, ctx.scale = paths, scale
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, cos, sin = ctx.saved_tensors
        above = gradients[0].transpose(0, 1)  # (H, T, D)
        dq, dk, dv = torch.empty_like(q), _zeros(k), _zeros(v)
        for path in ctx.paths:
            rows, keys, values = _rows(q, path, len(k)), _gather(k, path), _gather(v, path)
            seen = _probabilities(rows, keys, path, ctx.scale)
            back = _rows(above, path, len(k))
            _scatter(dv, path, torch.bmm(seen.transpose(1, 2), back))
            scores = torch.bmm(back, values.transpose(1, 2))
            scores = torch.ops.aten._softmax_backward_data(scores, seen, -1, seen.dtype).mul_(
                ctx.scale
            )
            dq[:, path.start : path.stop] = torch.bmm(scores, keys).view(
                len(q), path.stop - path.start, -1
            )
            _scatter(dk, path, torch.bmm(scores.transpose(1, 2), rows))
        slopes = [_turned_back(gradient, cos, sin, q.dtype) for gradient in (dq, dk)]
        return *slopes, dv.to(v.dtype).transpose(0, 1), None, None, None, None


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions (Su et al. 2021), halves as Llama has them:
    (T, H, D) to (H, T, D), computed in cos' precision.

    [x1, x2] becomes [x1 cos - x2 sin, x2 cos + x1 sin].
    """
    half, wide = x.shape[-1] // 2, x.transpose(0, 1).to(cos.dtype)
    out = wide * cos
    out[..., :half].addcmul_(wide[..., half:], sin[:, :half], value=-1)
    out[..., half:].addcmul_(wide[..., :half], sin[:, half:])
    return out.to(x.dtype).contiguous()


def _turned_back(gradient: Tensor, cos: Tensor, sin: Tensor, dtype: torch.dtype) -> Tensor:
    """The gradient of `rotated`: (H, T, D) to (T, H, D)."""
    half, wide = gradient.shape[-1] // 2, gradient.to(cos.dtype)
    out = wide * cos
    out[..., :half].addcmul_(wide[..., half:], sin[:, half:])
    out[..., half:].addcmul_(wide[..., :half], sin[:, :half], value=-1)
    return out.to(dtype).transpose(0, 1)


def _zeros(like: Tensor) -> Tensor:
    """Gradients of a shared node are summed over its paths: in fp32 at least."""
    return torch.zeros_like(like, dtype=torch.promote_types(like.dtype, torch.float32))


def _rows(q: Tensor, path: Path, groups: int) -> Tensor:
    """(H, T, D) to (G, H / G * n, D): a path's own n nodes.

    The heads that share keys are one product.
    """
    own = q[:, path.start : path.stop]
    return own.reshape(groups, -1, own.shape[-1])


def _gather(keys: Tensor, path: Path) -> Tensor:
    """(G, T, D) to (G, L, D): all nodes of a path."""
    parts = [keys[:, start:stop] for start, stop in path.spans]
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def _scatter(total: Tensor, path: Path, values: Tensor) -> None:
    begin = 0
    for start, stop in path.spans:
        total[:, start:stop] += values[:, begin : begin + stop - start]
        begin += stop - start


def _probabilities(rows: Tensor, keys: Tensor, path: Path, scale: float) -> Tensor:
    """(G, H / G * n, L): the last n of L keys are the own ones,
    of which a node sees those up to itself.
    """
    n = path.stop - path.start
    scores = torch.bmm(rows, keys.transpose(1, 2)).mul_(scale)
    scores.view(-1, n, keys.shape[1])[:, :, keys.shape[1] - n :].masked_fill_(
        path.later, -torch.inf
    )
    return torch.softmax(scores, -1)


def graft(causal: nn.Module) -> list[nn.Module]:
    """Teaches the attention layers to take `paths` in the call of the model;
    returns them, to be asked or undone.

    Takes what is built as Llama's: four projections, norms of queries and keys or none, rotary
    positions.
    """
    taught = []
    for module in causal.modules():
        if PROJECTIONS <= {name for name, _ in module.named_children()} and hasattr(
            module, "head_dim"
        ):
            module.forward = partial(_attend, module)
            taught.append(module)
    return taught


def undo(taught: list[nn.Module]) -> None:
    for module in taught:
        del module.forward


def _attend(
    module: Any, hidden_states: Tensor, *args: Any, **values: Any
) -> tuple[Tensor, Tensor | None]:
    """An attention layer as transformers calls it; without `paths` it is the ordinary one."""
    paths = values.pop("paths", None)
    if paths is None:
        found: tuple[Tensor, Tensor | None] = type(module).forward(
            module, hidden_states, *args, **values
        )
        return found
    cos, sin = (table[0] for table in values["position_embeddings"])
    nodes = hidden_states.shape[1]
    q, k, v = (
        project(hidden_states).view(nodes, -1, module.head_dim)
        for project in (module.q_proj, module.k_proj, module.v_proj)
    )
    if hasattr(module, "q_norm"):
        q, k = module.q_norm(q), module.k_norm(k)
    with torch.autocast(q.device.type, enabled=False):
        q, k = q.to(v.dtype), k.to(v.dtype)
        out = TreeAttention.apply(q, k, v, cos, sin, paths, module.scaling)  # type: ignore[no-untyped-call]
    return module.o_proj(out.view(1, nodes, -1)), None
