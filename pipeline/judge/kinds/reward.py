"""Reward models as judges: sequence classifiers with one output, which score texts here."""

from typing import TYPE_CHECKING

from pipeline.config import VoterSettings
from pipeline.judge.kind import JudgeKind, Known, Votes, judge_kind
from pipeline.judge.reward import votes
from pipeline.rewards import RewardModel, reward_model
from pipeline.steps.declared import Reads

if TYPE_CHECKING:
    from pipeline.steps.inputs import Inputs


@judge_kind("reward")
class Reward(JudgeKind):
    """Votes by the difference of two responses' scores; it never sees a seat."""

    reads = Reads(settings=("engine", "noise.micro_tokens"))

    def votes(self, inputs: "Inputs", number: int, known: Known) -> Votes:
        inputs.rest()  # the engine's memory, before torch takes its own
        judge_id = inputs.models("judges")[number].policy_id
        with inputs.bar(f"scores of {judge_id}") as advance:
            score = _loaded(inputs, number, judge_id)
            return votes(score, judge_id, known, inputs.settings.judge, advance)


def _loaded(inputs: "Inputs", number: int, judge_id: str) -> RewardModel:
    settings = inputs.settings.judge.models[number]
    voter = VoterSettings(
        name=judge_id,
        model=settings.name,
        revision=settings.revision,
        max_length=settings.max_model_len,
    )
    width = inputs.settings.noise.micro_tokens

    def load() -> RewardModel:
        return reward_model(voter, inputs.settings.engine, inputs.home, width)

    return inputs.once(f"reward judge {number}", load)
