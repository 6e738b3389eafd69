"""Settings of selection: which of a prompt's answers a learnt reward model takes."""

from typing import Literal

from pydantic import Field

from pipeline.config.section import MOST_DRAWS, Section


class SelectionSettings(Section):
    """Reward models learn from the pairs of some variants, on equally many pairs each, and take the
    best of several answers of the base model to each test prompt; `noise` says how they learn.
    """

    # such as [tree_plv, outcome]: a step verifier, and what the same pairs' worth of whole
    # responses gives; empty: no selection
    sources: tuple[str, ...] = ()
    draws: int = Field(8, ge=2, le=MOST_DRAWS)  # answers a prompt; Tree-PLV takes 64 (second-hand)
    max_prompts: int | None = Field(None, ge=1)  # of the test prompts, by hash; null: all
    max_pairs: int = Field(2000, ge=2)  # to learn from; the smallest source decides for all
    # how the scores of a response's steps become one: of its last step, their mean, their least;
    # the paper's own is not known
    pooling: Literal["last", "mean", "min"] = "last"
