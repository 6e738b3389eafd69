"""What ranks the policies of a profile: what it asks for, or the first metric that it allows."""

from collections.abc import Callable, Mapping

from pipeline.config import Settings
from pipeline.errors import OrchardError
from pipeline.judge.kind import kinds_of
from pipeline.preferences.registry import variant
from pipeline.prompts.pools import verifiers_of
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

    Without `validation.rank_by` it is the first metric of NEEDS that the profile allows.

    Raises:
        OrchardError: the profile cannot have a metric that it asks for, or any at all.
    """
    asked = settings.validation.rank_by
    if asked is None:
        return {_first_possible(settings): 1.0}
    weights: Mapping[str, float] = {asked: 1.0} if isinstance(asked, str) else asked
    for metric in weights:
        reason = NEEDS[metric](settings)
        if reason is not None:
            raise OrchardError(f"validation.rank_by: there is no {metric}: {reason}")
    total = sum(weights.values())
    return {metric: weight / total for metric, weight in weights.items()}


def named(weights: Mapping[str, float]) -> str:
    """The metric in words: its name, or the weighted sum."""
    if len(weights) == 1:
        return next(iter(weights))
    return " + ".join(f"{weight:.3g} {metric}" for metric, weight in weights.items())


def _first_possible(settings: Settings) -> str:
    reasons = {metric: need(settings) for metric, need in NEEDS.items()}
    possible = [metric for metric, reason in reasons.items() if reason is None]
    if possible:
        return possible[0]
    told = "; ".join(dict.fromkeys(reason for reason in reasons.values() if reason))
    raise OrchardError(f"validation: there is nothing to rank the variants by: {told}")


def _accuracy(settings: Settings) -> Reason:
    if not verifiers_of(settings):
        return "no pool has a verifier"
    return _test_prompts(settings)


def _instructions(settings: Settings) -> Reason:
    if InstructionsVerifier.name not in verifiers_of(settings):
        return f"no pool has the verifier {InstructionsVerifier.name!r}"
    return _test_prompts(settings)


def _wins(settings: Settings) -> Reason:
    if not settings.validation.win_prompts:
        return "validation.win_prompts is 0, so that no answers are judged"
    if not any(kind.compares_answers for kind in kinds_of(settings.judge)):
        return "no judge of judge.models compares answers"
    return _test_prompts(settings)


def _held_out(settings: Settings) -> Reason:
    if settings.splits.validation == 0:
        return "splits.validation is 0, so that no pair is held out"
    names = settings.validation.variants
    if all(variant(name, settings).control_of is not None for name in names):
        return "only controls are compared, and held-out pairs are those of other variants"
    return None


def _test_prompts(settings: Settings) -> Reason:
    return "splits.test is 0, so that there is no test prompt" if not settings.splits.test else None


# In the order in which a profile that names none gets one: our choice. What is checked comes before
# what is judged, and what a user sees, answers, before likelihoods of texts of others.
NEEDS: dict[str, Callable[[Settings], Reason]] = {
    "accuracy": _accuracy,
    "length_controlled_wins": _wins,
    "win_rate": _wins,
    "ranking_accuracy": _held_out,
    "reward_accuracy": _held_out,
    "instructions": _instructions,
}
