"""Settings of trees and of ranked lists."""

from typing import Literal

from pydantic import Field, model_validator

from pipeline.config.noise import VoterSettings
from pipeline.config.section import MOST_DRAWS, Section


class GrowthSettings(Section):
    """What every kind of tree has:
    how thoughts are drawn, how rollouts value them, and where growing ends.
    """

    children: int = Field(4, ge=1, le=MOST_DRAWS)  # k thoughts per expansion, our choice
    rollouts: int = Field(8, ge=1, le=MOST_DRAWS)  # per step; Tree-PLV, second-hand
    max_depth: int = Field(8, ge=1)  # steps, our choice
    max_expansions: int = Field(8, ge=0)  # our choice
    max_tokens: int | None = Field(None, ge=0)  # sampled tokens per tree; null: no limit
    step_tokens: int = Field(48, ge=1)  # longest step
    rollout_tokens: int = Field(64, ge=1)  # longest rollout
    delimiter: str = Field("\n", min_length=1)  # ends a step; our choice
    # A model's thought (<think>) is sampled whole, before the first step; or searched step by step
    # as a response is. Rollouts of the bare question need room for it in rollout_tokens.
    inside_thoughts: bool = False
    thought_tokens: int = Field(512, ge=1)  # longest thought that is sampled whole
    temperature: float = Field(0.8, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_prompts: int | None = Field(None, ge=1)  # train prompts that get a tree; null: all
    probe: int = Field(
        0, ge=0, le=MOST_DRAWS
    )  # rollouts of the bare question before the search; our choice
    if_flat: Literal["keep", "more", "skip"] = "keep"  # where the probe is all right or all wrong
    # A step whose rollouts are all right or all wrong is not expanded: below it nothing is left to
    # find out. Our choice.
    skip_decided: bool = True
    flat_rollouts: int = Field(
        32, ge=1, le=MOST_DRAWS
    )  # rollouts per step with `more`; `skip` grows no tree


class TreeSettings(GrowthSettings):
    """Tree-PLV best-first search.

    Paper, second-hand: 8 rollouts. k, depth and sampling are our choice.
    """

    strategy: Literal["greedy", "frontier"] = "greedy"


class ThoughtSettings(GrowthSettings):
    """Tree of thoughts (Yao et al. 2023, arXiv 2305.10601),
    and the comb of TPO's released code (`branches`).

    From the authors' public code: propose or sample, value or vote, the best b of a level. Numbers
    are our choice.
    """

    search: Literal["breadth_first", "depth_first", "best_first", "branches"] = "breadth_first"
    generate: Literal["sample", "propose"] = "sample"
    value: Literal["rollouts", "verdict", "score", "vote", "reward"] = "rollouts"
    # value reward: the reward model; its sigmoid is a thought's value
    reward: VoterSettings | None = None
    beam: int = Field(2, ge=1, le=MOST_DRAWS)  # breadth_first: thoughts kept at each depth
    threshold: float = Field(0.25, ge=0, le=1)  # depth_first: thoughts valued below are not visited
    branches: int = Field(
        3, ge=1, le=MOST_DRAWS
    )  # branches: cuts of the reference path; TPO's code has 3

    @model_validator(mode="after")
    def _has_a_reward_model(self) -> "ThoughtSettings":
        if self.value == "reward" and self.reward is None:
            raise ValueError(
                "value reward needs a reward model: "
                "thoughts.reward, with a name and a model or server"
            )
        return self

    @model_validator(mode="after")
    def _can_be_searched(self) -> "ThoughtSettings":
        if self.value == "vote" and self.search in ("best_first", "branches"):
            raise ValueError(
                "votes compare one group only: "
                "search breadth_first or depth_first, or take another value"
            )
        group = self.children * (self.beam if self.search == "breadth_first" else 1)
        if self.value == "vote" and group > 26:
            raise ValueError(
                f"a vote over {group} thoughts: at most 26 have a letter: lower children or beam"
            )
        return self


class ListSettings(Section):
    """Ranked lists of whole paths."""

    size: int = Field(5, ge=2)  # items; TPO's code has 5
    rewards: bool = True  # adaptive step rewards, which need the model's hidden states
