"""Reward models and classifiers from elsewhere, of a folder, a hub or a pooling server.

They vote on pairs, judge responses and value thoughts: whoever asks gives conversations and gets
rewards.
"""

from collections.abc import Callable
from pathlib import Path

from pipeline.config import EngineSettings, VoterSettings
from pipeline.rewards.texts import Conversations, Said

Progress = Callable[[int, int], None]
RewardModel = Callable[[Conversations, Progress | None], Said]


def reward_model(
    voter: VoterSettings, engine: EngineSettings, home: Path, micro_tokens: int
) -> RewardModel:
    """The reward model that the settings name, loaded once, or its server."""
    from pipeline.rewards.local import Classifier  # torch only where it is needed
    from pipeline.rewards.server import ask

    if voter.server is None:
        return Classifier(voter, home, micro_tokens)
    return lambda texts, progress: ask(voter, texts, engine, progress)
