"""Several processes that train one policy:
each takes a part of every step's rows, and they add up their gradients.

`training.processes` starts them (`launch`); `torchrun --nproc-per-node N` or `accelerate launch`
around a program that calls `train` do too. Without either, there is one process.
"""

import os
from collections.abc import Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from pipeline.errors import OrchardError


def join() -> None:
    """Joins the group that torchrun or accelerate describes in the environment, if there is one:
    nccl on GPUs, gloo.
    """
    if torch.cuda.is_available() and "LOCAL_RANK" in os.environ:
        own, found = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if own >= found:
            raise OrchardError(
                f"training.processes: process {own + 1} has no GPU, {found} are there: one for each"
            )
        torch.cuda.set_device(own)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


def launched() -> bool:
    """Whether torchrun or accelerate started this process."""
    return "WORLD_SIZE" in os.environ


def size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    return int(os.environ.get("RANK", "0"))


def share(rows: Sequence[int]) -> list[int]:
    """This process's part of a step's rows:
    every size-th, so that neighbours of similar length are spread.
    """
    return list(rows[rank() :: size()])


def add_up(values: Tensor, parameters: Iterable[nn.Parameter]) -> Tensor:
    """The sum over all processes of `values`, and in place that of all gradients.

    One without rows gives zeros.
    """
    if size() == 1:
        return values
    values = values.to(_device())
    dist.all_reduce(values)
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        dist.all_reduce(parameter.grad)
    return values.cpu()


def most(number: int) -> int:
    """The highest of all processes' numbers."""
    if size() == 1:
        return number
    value = torch.tensor(number, device=_device())
    dist.all_reduce(value, dist.ReduceOp.MAX)
    return int(value)


def _device() -> str:
    return "cuda" if dist.get_backend() == "nccl" else "cpu"


def wait() -> None:
    """Returns when all processes are here."""
    if size() > 1:
        dist.barrier()
