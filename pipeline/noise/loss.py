"""What every reward model of ours is trained with, heads and fine-tuned ones alike."""

from torch import Tensor
from torch.nn import functional as F


def bradley_terry(d: Tensor, target: Tensor, margin: Tensor) -> Tensor:
    """Loss of each pair, nats: -target log sigmoid(d - margin) - (1 - target) log sigmoid(-d);
    all of one shape.

    d is the reward of the first side minus that of the second. Target 1 and margin 0 are Bradley
    and Terry's; the margin is Llama 2's (arXiv 2307.09288, eq. 2); a target between 0 and 1 is a
    soft label, one above 1 is rDPO's correction.
    """
    return -target * F.logsigmoid(d - margin) - (1 - target) * F.logsigmoid(-d)


def length_correlation(d: Tensor, length: Tensor) -> Tensor:
    """(...,) squared Pearson correlation, over the last dimension,
    of margins d with differences in length.

    0 where one is constant. Our choice, after ODIN (arXiv 2402.07319), which penalises the absolute
    correlation.
    """
    a, b = d - d.mean(dim=-1, keepdim=True), length - length.mean(dim=-1, keepdim=True)
    norm = (a.square().sum(dim=-1) * b.square().sum(dim=-1)).sqrt()
    return ((a * b).sum(dim=-1) / norm.clamp_min(1e-9)).square()
