"""Log-probabilities of tokens from the last hidden states, without a table of all logits."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

# positions whose logits are held at once: a vocabulary of 50,000 takes 25 MB in fp32, about a cache
ROWS = 128


class FrozenHead(torch.autograd.Function):
    """log softmax(h W^T)[target] for frozen W.

    Its gradient by h is W[target] - p W, times one number per row that only the backward pass
    knows: it is computed with the logits at hand, so that neither they nor p are kept or computed
    again (the idea of Liger's fused linear cross-entropy, arXiv 2410.10989).
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, learns: bool) -> Tensor:
        """hidden (N, H), weight (V, H), targets (N,); gives (N,) in nats, fp32."""
        logps = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        slopes = torch.empty_like(hidden) if learns else None
        for start in range(0, len(hidden), ROWS):
            part = slice(start, start + ROWS)
            logits = torch.mm(hidden[part], weight.t()).float()
            wanted = logits.gather(1, targets[part, None])[:, 0]
            highest, place = logits.max(1, keepdim=True)
            p = torch.softmax(logits, 1)
            # the highest p is never 0
            logps[part] = wanted - highest[:, 0] + p.gather(1, place)[:, 0].log()
            if slopes is not None:
                slopes[part] = weight[targets[part]] - torch.mm(p.to(weight.dtype), weight)
        ctx.save_for_backward(slopes)
        return logps

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (slopes,) = ctx.saved_tensors
        return (gradients[0][:, None] * slopes).to(slopes.dtype), None, None, None


def token_logps(hidden: Tensor, weight: Tensor, targets: Tensor, dtype: torch.dtype) -> Tensor:
    """(N,) log-probabilities in nats of tokens given the hidden states (N, H) that predict them;
    products in dtype.
    """
    if weight.requires_grad and torch.is_grad_enabled():
        return -F.cross_entropy(F.linear(hidden, weight).float(), targets, reduction="none")
    learns = torch.is_grad_enabled() and hidden.requires_grad
    with torch.autocast(hidden.device.type, enabled=False):
        found: Tensor = FrozenHead.apply(hidden.to(dtype), weight.to(dtype), targets, learns)  # type: ignore[no-untyped-call]
    return found
