"""Words that several tables have as values."""

from typing import Literal

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
METHODS = ("best_first", "tot")
VALUATIONS = ("rollouts", "answer", "verdict", "score", "vote", "reward")
