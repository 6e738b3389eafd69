"""A contrastive term for reward models: two views of one text, among those of other texts."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pipeline.config import ContrastSettings
from pipeline.ids import seed_for
from pipeline.noise.loss import info_nce

Represent = Callable[[Tensor], Tensor]  # (M, B, D) to (M, B, H)


class Views:
    """Two views of what M models read of a batch of pairs: other numbers are left out each time.

    SimCSE (arXiv 2104.08821) passes a text twice through a model with dropout. Ours is on the
    features (heads) or on the last hidden state (fine-tuned models), for features are computed
    once, and most of today's models have no dropout (our choice).
    """

    def __init__(self, contrast: ContrastSettings, seeds: Sequence[int]) -> None:
        self._contrast = contrast
        self._generators = [torch.Generator().manual_seed(seed_for(s, "views")) for s in seeds]

    def loss(self, sides: Sequence[Tensor], rows: Tensor, represent: Represent) -> Tensor:
        """(M,) `info_nce` of all texts of a batch, or of the differences of its pairs.

        Args:
            sides: (M, B, D) of the first texts, and of the second ones.
            rows: (M, B, 2) which texts these are, by number.
        """
        pair = self._contrast.on == "difference"
        views = []
        for _ in range(2):
            a, b = (represent(self._dropped(z)) for z in sides)
            views.append(a - b if pair else torch.cat([a, b], dim=1))
        first, second = rows.unbind(dim=-1)
        key = first * (1 + rows.max()) + second if pair else torch.cat([first, second], dim=1)
        return info_nce(views[0], views[1], key, self._contrast.temperature)

    def _dropped(self, z: Tensor) -> Tensor:
        share = self._contrast.dropout
        kept = [torch.rand(z.shape[1:], generator=g) >= share for g in self._generators]
        return z * torch.stack(kept).to(z.device) / (1 - share)
