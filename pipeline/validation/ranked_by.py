"""What ranks the policies of a profile: what it asks for, or the first metric that it allows."""

from collections.abc import Callable, Mapping

from pipeline.config import Settings
from pipeline.errors import OrchardError
from pipeline.judge.kind import kinds_of
from pipeline.preferences.registry import variant
from pipeline.prompts.pools import verifier_of
from pipeline.sources.pair_sets import pair_sets
from pipeline.validation.sets import evaluation_sets, on_set, split_name
from pipeline.verify.instructed import InstructionsVerifier

# The settings that decide it.
SETTINGS = (
    "pools",
    "splits",
    "judge.models",
    "variants",
    "sources",
    "validation.rank_by",
    "validation.variants",
    "validation.win_prompts",
)
# What the base model has by definition where nothing measures it: half of the comparisons with
# itself won, and no pair preferred more than by itself (a tie counts half).
CHANCE = {"win_rate": 0.5, "length_controlled_wins": 0.0, "reward_accuracy": 0.5}
PAIRED = ("ranking_accuracy", "reward_accuracy")  # measured on held-out pairs

Reason = str | None  # why a profile cannot have a metric; null: it can


def ranked_by(settings: Settings) -> dict[str, float]:
    """Metric -> its weight; the weights sum to 1.

    Without `validation.rank_by` it is the first metric of NEEDS that the profile allows: on its own
    held-out prompts, else on all evaluation sets that allow it, each with the same weight.

    Raises:
        OrchardError: the profile cannot have a metric that it asks for, or any at all.
    """
    asked = settings.validation.rank_by
    weights: Mapping[str, float]
    if asked is None:
        weights = dict.fromkeys(_first_possible(settings), 1.0)
    else:
        weights = {asked: 1.0} if isinstance(asked, str) else asked
    for metric in weights if asked is not None else ():
        reason = lacks(metric, settings)
        if reason is not None:
            raise OrchardError(f"validation.rank_by: there is no {metric}: {reason}")
    total = sum(weights.values())
    return {metric: weight / total for metric, weight in weights.items()}


def named(weights: Mapping[str, float]) -> str:
    """The metric in words: its name, or the weighted sum."""
    if len(weights) == 1:
        return next(iter(weights))
    return " + ".join(f"{weight:.3g} {metric}" for metric, weight in weights.items())


def lacks(metric: str, settings: Settings) -> Reason:
    """Why a profile cannot have a metric, of a set or not; null: it can."""
    bare, name = split_name(metric)
    if name is None:
        return NEEDS[bare](settings, None)
    known = evaluation_sets(settings)
    if name not in known:
        sets = f"the sets are {', '.join(known)}" if known else "the profile has none"
        return f"no evaluation set is named {name!r}: {sets}"
    return NEEDS[bare](settings, name)


def _first_possible(settings: Settings) -> list[str]:
    reasons: dict[str, Reason] = {}
    for metric in NEEDS:
        for names in ([None], evaluation_sets(settings)):
            asked = [on_set(metric, name) for name in names]
            found = {one: lacks(one, settings) for one in asked}
            if possible := [one for one, reason in found.items() if reason is None]:
                return possible
            reasons |= found
    told = "; ".join(dict.fromkeys(reason for reason in reasons.values() if reason))
    raise OrchardError(f"validation: there is nothing to rank the variants by: {told}")


def _verifiers(settings: Settings, name: str | None) -> list[str | None]:
    """The verifiers of an evaluation set, or of the pools that are none."""
    pools = (
        [pool for pool in settings.pools if pool.name == name]
        if name is not None
        else [pool for pool in settings.pools if pool.role == "training"]
    )
    return [verifier_of(pool) for pool in pools]


def _no_prompts(settings: Settings, name: str | None) -> Reason:
    if name in pair_sets(settings):
        return f"the set {name!r} holds pairs, and no prompts to answer"
    return None


def _accuracy(settings: Settings, name: str | None) -> Reason:
    if reason := _no_prompts(settings, name):
        return reason
    if not any(_verifiers(settings, name)):
        return "no pool has a verifier" if name is None else f"the set {name!r} has no verifier"
    return _test_prompts(settings, name)


def _instructions(settings: Settings, name: str | None) -> Reason:
    if reason := _no_prompts(settings, name):
        return reason
    own = InstructionsVerifier.name
    if own not in _verifiers(settings, name):
        who = "no pool has" if name is None else f"the set {name!r} lacks"
        return f"{who} the verifier {own!r}"
    return _test_prompts(settings, name)


def _wins(settings: Settings, name: str | None) -> Reason:
    if reason := _no_prompts(settings, name):
        return reason
    if not settings.validation.win_prompts:
        return "validation.win_prompts is 0, so that no answers are judged"
    if not any(kind.compares_answers for kind in kinds_of(settings.judge)):
        return "no judge of judge.models compares answers"
    return _test_prompts(settings, name)


def _held_out(settings: Settings, name: str | None) -> Reason:
    if name is not None:
        held = name in pair_sets(settings)
        return None if held else f"the set {name!r} holds prompts, and no pairs"
    if settings.splits.validation == 0:
        return "splits.validation is 0, so that no pair is held out"
    names = settings.validation.variants
    if all(variant(name, settings).control_of is not None for name in names):
        return "only controls are compared, and held-out pairs are those of other variants"
    return None


def _test_prompts(settings: Settings, name: str | None) -> Reason:
    if name is not None or settings.splits.test:
        return None
    return "splits.test is 0, so that there is no test prompt"


# In the order in which a profile that names none gets one: our choice. What is checked comes before
# what is judged, and what a user sees, answers, before likelihoods of texts of others.
NEEDS: dict[str, Callable[[Settings, str | None], Reason]] = {
    "accuracy": _accuracy,
    "length_controlled_wins": _wins,
    "win_rate": _wins,
    "ranking_accuracy": _held_out,
    "reward_accuracy": _held_out,
    "instructions": _instructions,
}
