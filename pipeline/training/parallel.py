"""Several processes that train one policy: each takes a part of every step's rows, and they add up their gradients.

Start them with `torchrun --nproc-per-node N` or `accelerate launch`; without either, there is one process.
"""

import os
from collections.abc import Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn


def join() -> None:
    """Joins the group that torchrun or accelerate describes in the environment, if there is one: nccl on GPUs, gloo."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    if torch.cuda.is_available() and "LOCAL_RANK" in os.environ:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))


def size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def share(rows: Sequence[int]) -> list[int]:
    """This process's part of a step's rows: every size-th, so that neighbours of similar length are spread."""
    return list(rows[rank() :: size()])


def add_up(values: Tensor, parameters: Iterable[nn.Parameter]) -> Tensor:
    """The sum over all processes of `values`, and in place that of all gradients; one without rows gives zeros."""
    if size() == 1:
        return values
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    values = values.to(device)
    dist.all_reduce(values)
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        dist.all_reduce(parameter.grad)
    return values.cpu()


def wait() -> None:
    """Returns when all processes are here."""
    if size() > 1:
        dist.barrier()
