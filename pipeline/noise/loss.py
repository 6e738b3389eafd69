"""What every reward model of ours is trained with, heads and fine-tuned ones alike."""

import torch
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


def info_nce(first: Tensor, second: Tensor, key: Tensor, temperature: float) -> Tensor:
    """(...,) mean, over n texts, of how hard a text's second view is to find among all of them:
    -log softmax_j(cos(first_i, second_j) / temperature) at j = i.

    SimCSE's loss (arXiv 2104.08821, eq. 1), as Secrets of RLHF II adds it to a reward model's
    (second-hand). 0 where a batch has one text. What has the same key is one text that the batch
    holds twice; it is no negative of itself (our choice).

    Args:
        first, second: (..., n, D) two views.
        key: (..., n) integers.
    """
    a, b = F.normalize(first, dim=-1), F.normalize(second, dim=-1)
    alike = (a @ b.transpose(-1, -2)) / temperature
    again = (key[..., :, None] == key[..., None, :]) & ~torch.eye(
        key.shape[-1], dtype=torch.bool, device=key.device
    )
    scores = alike.masked_fill(again, -torch.inf)
    return -F.log_softmax(scores, dim=-1).diagonal(dim1=-2, dim2=-1).mean(dim=-1)


def told_apart(d: Tensor) -> Tensor:
    """(...,) mean of sigmoid(|d|) over the last dimension: how far a reward model tells two texts
    of one prompt apart, whichever is better; .5: not at all, 1: always.

    MetaRM's difference loss (Secrets of RLHF II, second-hand). At d = 0 its slope is 0.
    """
    return d.abs().sigmoid().mean(dim=-1)
