"""A policy whose weights, gradients and optimiser state are spread over several processes:
PyTorch's FSDP2.

Every forward and backward pass gathers each layer's weights when they are needed, so all processes
must make equally many passes: one with fewer rows adds some without effect (`idle`), and none can
try again after running out of memory.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from pipeline.errors import OrchardError
from pipeline.training import memory, parallel
from pipeline.training.example import Side
from pipeline.training.logps import TREE_METHOD, side_logps
from pipeline.training.policy import Policy

Result = TypeVar("Result")


def shard(policy: Policy, device: torch.device) -> None:
    """Spreads a policy, as it is on the CPU of every process,
    over the devices of all of them, layer by layer.

    Gradients are summed and not averaged: each process has its rows' share of the step's mean
    already.
    """
    mesh = init_device_mesh(device.type, (parallel.size(),))
    layers = set(getattr(policy.causal, "_no_split_modules", None) or ())
    for module in list(policy.causal.modules()):
        if type(module).__name__ in layers:
            fully_shard(module, mesh=mesh)
    # else a look without gradients leaves it whole
    fully_shard(policy.causal, mesh=mesh, reshard_after_forward=True)
    register_fsdp_forward_method(policy.causal, TREE_METHOD)
    for module in policy.causal.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)  # all that gloo has
    policy.device, policy.sharded = device, True


def whole(tensor: Tensor) -> Tensor:
    """A spread tensor in one piece, on the CPU and in every process, which must all ask;
    any other as it is.
    """
    return tensor.full_tensor().detach().cpu() if isinstance(tensor, DTensor) else tensor


def like(tensor: Tensor, other: Tensor) -> Tensor:
    """A tensor in one piece, spread as `other` of the same shape is.

    This process's own copy is read.
    """
    if not isinstance(other, DTensor) or tensor.shape != other.shape:
        return tensor
    moved = tensor.to(other.device_mesh.device_type)
    return distribute_tensor(moved, other.device_mesh, other.placements, src_data_rank=None)


def idle(policy: Policy, passes: int, side: Side) -> Callable[[], None]:
    """Agrees on the most passes that a process will make.

    What is returned makes those that this one lacks.
    """
    lacking = parallel.most(passes) - passes if policy.sharded else 0

    def make_up() -> None:
        for _ in range(lacking):
            nothing = side_logps(policy, [side]).sum() * 0.0
            if nothing.requires_grad:
                nothing.backward()

    return make_up


def retry(policy: Policy, work: Callable[[int], Result], micro_tokens: int) -> tuple[Result, int]:
    """`memory.retry` where the processes do not wait for each other's weights; else one try.

    Raises:
        OrchardError: out of memory.
    """
    if not policy.sharded:
        return memory.retry(work, micro_tokens)
    try:
        return work(micro_tokens), micro_tokens
    except RuntimeError as error:
        if memory.is_out_of_memory(error):
            raise OrchardError(
                "out of memory: lower training.micro_tokens, or raise training.processes"
            ) from error
        raise


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, object]:
    """Its `state_dict` with every tensor in one piece."""
    state = optimizer.state_dict()
    return {
        **state,
        "state": {
            i: {k: whole(v) for k, v in values.items()} for i, values in state["state"].items()
        },
    }


def set_optimizer_state(optimizer: torch.optim.Optimizer, state: dict[str, object]) -> None:
    """The reverse of `optimizer_state`."""
    parameters: list[nn.Parameter] = [
        p for group in optimizer.param_groups for p in group["params"]
    ]
    spread = {
        i: {k: like(v, parameters[i]) for k, v in values.items()}
        for i, values in state["state"].items()  # type: ignore[attr-defined]
    }
    optimizer.load_state_dict({**state, "state": spread})
