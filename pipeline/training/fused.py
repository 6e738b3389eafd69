"""Layers with a forward and backward pass of their own:
fewer passes over memory, less kept between them.
"""

from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LoraLinear(torch.autograd.Function):
    """x W^T + b + scale * (x A^T) B^T for frozen W and b, in W's precision.

    Only x and x A^T are kept.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float
    ) -> Tensor:
        """x (T, I), weight (O, I), a (R, I), b (O, R); gives (T, O)."""
        low = torch.mm(x, a.to(x.dtype).t())  # (T, R)
        out = torch.mm(x, weight.t()) if bias is None else torch.addmm(bias, x, weight.t())
        out.addmm_(low, b.to(x.dtype).t(), alpha=scale)
        ctx.save_for_backward(x, weight, low, a, b)
        ctx.scale = scale
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, low, a, b = ctx.saved_tensors
        (above,) = gradients
        back = torch.mm(above, b.to(x.dtype)).mul_(ctx.scale)  # (T, R)
        db = torch.mm(low.t(), above).t().to(b.dtype).mul_(ctx.scale)
        da = torch.mm(back.t(), x).to(a.dtype)
        dx = (
            torch.mm(above, weight).addmm_(back, a.to(x.dtype)) if ctx.needs_input_grad[0] else None
        )
        return dx, None, None, da, db, None


class SwiGlu(torch.autograd.Function):
    """silu(gate) * up; of the two only they themselves are kept."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        return F.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        gate, up = ctx.saved_tensors
        (above,) = gradients
        return torch.ops.aten.silu_backward(above * up, gate), F.silu(gate).mul_(above)


class RmsNorm(torch.autograd.Function):
    """x / sqrt(mean(x^2) + eps) * weight over the last dimension,
    in x's precision, rounded once at the end.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        scale = x.square().mean(-1, keepdim=True).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        return (x * scale).mul_(weight).to(dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, scale = ctx.saved_tensors
        above = gradients[0].to(x.dtype)
        slope = above * weight
        along = (slope * x).mean(-1, keepdim=True).mul_(scale.pow(3)).neg_()
        dw = (above * x).mul_(scale).flatten(0, -2).sum(0) if ctx.needs_input_grad[1] else None
        return slope.mul_(scale).addcmul_(x, along), dw, None, None


def fuse_layers(causal: nn.Module) -> None:
    """Gives every RMS norm `RmsNorm` and every gated MLP `SwiGlu`,
    where that does what the layer does.

    A comparison and not a list of names: some norms add 1 to their weight.
    """
    for module in causal.modules():
        if type(module).__name__.endswith("RMSNorm") and hasattr(module, "variance_epsilon"):
            weight = cast(Tensor, module.weight)
            probe = torch.linspace(-3, 5, weight.numel(), device=weight.device)[None]
            with torch.no_grad():
                same = torch.allclose(_norm(module, probe), module(probe), rtol=1e-5, atol=1e-6)
            if same:
                _replace(module, _norm)
        if _is_swiglu(module):
            _replace(module, _swiglu)


def fuse_adapter(causal: nn.Module) -> None:
    """Gives every LoRA layer around a frozen linear one `LoraLinear`."""
    from peft.tuners.lora import Linear

    for module in causal.modules():
        if isinstance(module, Linear) and isinstance(module.base_layer, nn.Linear):
            _replace(module, _lora)


def _replace(module: nn.Module, forward: Any) -> None:
    module.forward = partial(forward, module)


def _norm(module: Any, x: Tensor) -> Tensor:
    """Where autocast is on, the layers behind it would each round the result: it is done once."""
    device = x.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
    found: Tensor = RmsNorm.apply(x.float(), module.weight, module.variance_epsilon, dtype)  # type: ignore[no-untyped-call]
    return found


def _lora(module: Any, x: Tensor) -> Tensor:
    base, a, b = module.base_layer, module.lora_A["default"].weight, module.lora_B["default"].weight
    flat = x.to(base.weight.dtype).reshape(-1, x.shape[-1])
    with torch.autocast(x.device.type, enabled=False):
        out: Tensor = LoraLinear.apply(
            flat, base.weight, base.bias, a, b, module.scaling["default"]
        )  # type: ignore[no-untyped-call]
    return out.view(*x.shape[:-1], -1)


def _is_swiglu(module: Any) -> bool:
    if {name for name, _ in module.named_children()} != {
        "gate_proj",
        "up_proj",
        "down_proj",
        "act_fn",
    }:
        return False
    probe = torch.linspace(-3, 5, 9)
    return torch.equal(module.act_fn(probe), F.silu(probe))


def _swiglu(module: Any, x: Tensor) -> Tensor:
    found: Tensor = module.down_proj(SwiGlu.apply(module.gate_proj(x), module.up_proj(x)))  # type: ignore[no-untyped-call]
    return found
