"""Settings of validation: what is compared, and how."""

from collections import Counter
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from pipeline.config.section import MOST_DRAWS, Section

RANKED_BY = (
    "accuracy",
    "instructions",
    "win_rate",
    "length_controlled_wins",
    "ranking_accuracy",
    "reward_accuracy",
)


class ValidationSettings(Section):
    """What is compared, and how."""

    variants: tuple[str, ...] = Field(("outcome", "tree_plv", "tree_plv_shuffled"), min_length=1)
    # what ranks them: a metric of RANKED_BY, or several with weights, such as
    # {accuracy: 0.5, win_rate: 0.5}; of an evaluation set with its name, such as
    # accuracy@gsm8k_test; null: the first that the profile allows (the order is ours:
    # pipeline/validation/ranked_by.py)
    rank_by: str | dict[str, float] | None = None
    max_pairs: int = Field(96, ge=1)  # per variant, whatever the budget
    # equal: as many pairs for all of a group as the smallest of it has. own: each recipe at what it
    # yields. curve: equal, and an eighth, a quarter and a half of that besides, which are variants
    # of their own (tree_plv_1of8, ...), each trained
    budget: Literal["equal", "own", "curve"] = "equal"
    # name: variants whose budgets are made equal; the others are one group. A control that is in
    # none is in the group of the variant that it controls
    groups: dict[str, tuple[str, ...]] = {}
    # train all again when more of one's pairs changed: our choice
    retrain_share: float = Field(0.05, ge=0, le=1)
    # pairs only of prompts that every variant has a training pair of: our choice
    common_prompts: bool = False
    # the same number of trained tokens too, where the variants' texts allow it
    equal_tokens: bool = True
    draws: int = Field(4, ge=1, le=MOST_DRAWS)  # sampled answers per test prompt
    greedy: bool = True  # one more answer per test prompt, at temperature 0
    pass_at: tuple[int, ...] = (2,)  # k of pass@k; those below `draws` are measured
    # test prompts, by hash, whose answers measure the KL to the reference; 0: none
    kl_prompts: int = Field(32, ge=0)
    # test prompts, by hash, whose answers are judged against the base's, so many of each evaluation
    # set besides; 0: none
    win_prompts: int = Field(0, ge=0)
    # worth finding: the report says how many prompts that takes; our choice
    smallest_gain: float = Field(0.05, gt=0, le=1)
    power: float = Field(0.8, gt=0, lt=1)  # with which probability they show it
    bootstrap: int = Field(10_000, ge=100, le=1_000_000)  # resamples
    confidence: float = Field(0.95, gt=0, lt=1)

    @field_validator("rank_by", mode="before")
    @classmethod
    def _ranks_by_metrics_with_weights(cls, asked: Any) -> Any:
        """Refuses a metric that does not rank, and weights that are no positive numbers."""
        weights = {asked: 1.0} if isinstance(asked, str) else asked
        if weights is None:
            return asked
        if not isinstance(weights, dict) or not weights:
            raise ValueError(f"name one of {', '.join(RANKED_BY)}, or some with weights")
        for metric, weight in weights.items():
            if str(metric).partition("@")[0] not in RANKED_BY:
                raise ValueError(f"{metric!r} ranks nothing: use {', '.join(RANKED_BY)}")
            number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
            if not number or not 0 < weight < float("inf"):
                raise ValueError(f"the weight of {metric} is {weight!r}: give a positive number")
        return asked

    @model_validator(mode="after")
    def _groups_hold_variants_once(self) -> Self:
        if self.groups and self.budget == "own":
            what = "each variant learns from its own yield, and nothing is made equal"
            raise ValueError(f"groups: {what}: leave them out, or set budget to equal")
        counts = Counter(name for names in self.groups.values() for name in names)
        if unknown := sorted(set(counts) - set(self.variants)):
            raise ValueError(f"groups: {unknown[0]!r} is not in validation.variants")
        if twice := [name for name, n in counts.items() if n > 1]:
            raise ValueError(f"groups: {twice[0]!r} is in two groups: leave it in one")
        return self
