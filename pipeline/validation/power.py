"""How many prompts a comparison takes, and what the ones at hand can show."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from pipeline.validation.seeds import Components, Spread

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Power:
    """What a comparison of so many variants asks of the number of prompts.

    Normal approximation of a two-sided paired test at the level (1 - confidence) / comparisons, the
    first step of Holm's correction: z^2 * (v_prompts / n + v_seeds / S) = effect^2 with z = z_level
    + z_power. The effect is one of interest and not the observed one: power at the observed effect
    only says the p-value again (Hoenig and Heisey 2001). Tables are differences from the base, (n
    prompts,) of one seed or (S seeds, n); as many seeds and draws as now are meant. With one seed
    nothing is known about others, and v_seeds is left out.
    """

    confidence: float
    power: float = 0.8
    comparisons: int = 1

    @property
    def z(self) -> float:
        level = (1 - self.confidence) / self.comparisons
        return float(stats.norm.ppf(1 - level / 2) + stats.norm.ppf(self.power))

    def prompts_needed(
        self, differences: Numbers, effect: float, spread: Spread | None = None
    ) -> int | None:
        """Prompts that show a true gain of `effect` with this power.

        Null where the spread is not known, or where only more seeds could: their part does not
        shrink with prompts.
        """
        by_prompt, by_seed = _variances(differences, spread)
        left = (effect / self.z) ** 2 - by_seed
        return max(2, int(np.ceil(by_prompt / left))) if left > 0 and by_prompt > 0 else None

    def detectable(self, differences: Numbers, spread: Spread | None = None) -> float | None:
        """The smallest true gain that this many prompts show with this power;
        null where nothing varies.
        """
        by_prompt, by_seed = _variances(differences, spread)
        variance = by_prompt / np.atleast_2d(differences).shape[1] + by_seed
        return self.z * float(np.sqrt(variance)) if variance > 0 else None


def _variances(differences: Numbers, spread: Spread | None) -> tuple[float, float]:
    """Of the mean over seeds:
    n times the part that prompts shrink, and the part that they do not.
    """
    table = np.atleast_2d(np.asarray(differences, dtype=np.float64))
    seeds, prompts = table.shape
    if prompts < 2:
        return 0.0, 0.0
    by_seed = Components.of(table, spread).seed_sd ** 2 / seeds if seeds > 1 else 0.0
    return float(table.mean(axis=0).var(ddof=1)), by_seed
