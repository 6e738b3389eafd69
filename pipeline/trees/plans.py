"""How the settings of each method grow a tree.

Tree-PLV: "Advancing Process Verification for Large Language Models via Tree-Based Preference
Learning" (EMNLP 2024). From summaries of it: k candidate steps per expansion, 8 rollouts per step,
reward = share of right rollouts, expansion of the child with the highest reward until it ends the
reasoning. Our choices, because the paper's values are not published: k, the step delimiter, depth
and sampling settings, merging identical siblings, ties (the earlier draw), and a limit on tokens.
"Highest current reward" can be read as a global frontier too: `strategy: frontier` searches that
way.
"""

from functools import singledispatch

from pipeline.config import GrowthSettings, ThoughtSettings, TreeSettings
from pipeline.errors import OrchardError
from pipeline.trees import generate, search, value
from pipeline.trees.branches import branches
from pipeline.trees.growth import Plan, Search, Value
from pipeline.trees.value import Reward

VALUES: dict[str, Value] = {
    "rollouts": value.rollouts,
    "verdict": value.verdict,
    "score": value.score,
    "vote": value.vote,
}


@singledispatch
def plan_of(settings: GrowthSettings, reward: Reward | None = None) -> Plan:
    """The plan that a method's settings stand for.

    `reward` values thoughts where the settings say reward.

    Raises:
        OrchardError: values by a reward model, and there is none.
    """
    raise NotImplementedError(type(settings))


@plan_of.register
def _best_first(settings: TreeSettings, reward: Reward | None = None) -> Plan:
    chosen = search.greedy if settings.strategy == "greedy" else search.best_first
    return Plan("best_first", chosen, generate.sample, value.rollouts)


@plan_of.register
def _thoughts(settings: ThoughtSettings, reward: Reward | None = None) -> Plan:
    searches: dict[str, Search] = {
        "breadth_first": search.breadth_first(settings.beam),
        "depth_first": search.depth_first(settings.threshold),
        "best_first": search.best_first,
        "branches": branches(settings.branches),
    }
    thoughts = generate.sample if settings.generate == "sample" else generate.propose
    return Plan("tot", searches[settings.search], thoughts, _value(settings, reward))


def _value(settings: ThoughtSettings, reward: Reward | None) -> Value:
    if settings.value != "reward":
        return VALUES[settings.value]
    if reward is None:
        raise OrchardError(
            "thoughts.value is reward: there is no reward model here: "
            "take verdict, score or rollouts"
        )
    return value.reward_model(reward)


def needs_answers(settings: GrowthSettings) -> bool:
    """True where values come from rollouts, or the probe does:
    such trees need prompts with checkable answers.
    """
    return settings.probe > 0 or getattr(settings, "value", "rollouts") == "rollouts"
