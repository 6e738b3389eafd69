"""Values of thoughts by a reward model."""

import asyncio
import math
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline.config import ThoughtSettings, VoterSettings, load
from pipeline.engine.base import RequestFailed
from pipeline.errors import OrchardError
from pipeline.rewards.local import Classifier
from pipeline.rewards.texts import Said
from pipeline.rewards.values import Conversation, Rewards, rewards_of
from pipeline.trees.forest import plant
from tests.noise.test_external import llama
from tests.scripted import ScriptedEngine
from tests.trees.mazes import PROBLEM, maze
from tests.trees.test_best_first import prompt_rows

NAMED = VoterSettings(name="v", model="somewhere")
VALUED = ThoughtSettings(
    value="reward", reward=NAMED, search="best_first", children=2, max_depth=4, max_expansions=3
)


class Model:
    """Likes one beginning; counts its calls."""

    def __init__(self, likes: str = "a") -> None:
        self.likes = likes
        self.sizes: list[int] = []

    def __call__(self, texts: Mapping[str, Conversation], _: object) -> Said:
        self.sizes.append(len(texts))
        said = {key: turns[-1]["content"] for key, turns in texts.items()}
        rewards = {
            k: math.log(3) if text.startswith(self.likes) else 0.0
            for k, text in said.items()
            if text != "?"
        }
        silent = [key for key, text in said.items() if text == "?"]
        return Said("model", rewards, {key: RequestFailed("it says nothing") for key in silent})


def ask(model: Model, *texts: str) -> list[float | BaseException]:
    async def all_at_once() -> list[float | BaseException]:
        rewards = Rewards(model)
        return await asyncio.gather(
            *(rewards(PROBLEM, text) for text in texts), return_exceptions=True
        )

    return asyncio.run(all_at_once())


def test_a_value_is_the_sigmoid_of_the_reward_and_who_asks_at_once_is_served_at_once() -> None:
    model = Model()
    assert ask(model, "ab", "b", "ab") == pytest.approx([0.75, 0.5, 0.75])  # 1 / (1 + 1/3)
    assert model.sizes == [2]  # the same text is scored once


def test_a_text_that_cannot_be_scored_fails_alone_and_a_broken_model_ends_everything() -> None:
    good, bad = ask(Model(), "ab", "?")
    assert (
        good == pytest.approx(0.75)
        and isinstance(bad, RequestFailed)
        and "it says nothing" in str(bad)
    )

    class Broken(Model):
        def __call__(self, texts: Mapping[str, Conversation], _: object) -> Said:
            raise OrchardError("voter 'x': no such model")

    assert all(isinstance(answer, OrchardError) for answer in ask(Broken(), "ab", "b"))


@pytest.mark.parametrize("likes", ["a", "b"])
def test_the_reward_model_leads_the_search_of_every_tree(likes: str) -> None:
    model = Model(likes)
    rows, rejects = plant(
        ScriptedEngine(maze), prompt_rows("one", "two"), VALUED, 0, reward=Rewards(model)
    )
    assert not rejects and set(rows["valuation"].drop_nulls()) == {"reward"}
    first = rows.filter(rows["expanded_order"] == 1)
    assert first.height == 2 and all(text.startswith(likes) for text in first["text"])
    assert model.sizes[0] >= 2  # both trees' first thoughts


def test_without_a_reward_model_it_is_one_clear_line() -> None:
    with pytest.raises(OrchardError, match="there is no reward model here"):
        plant(ScriptedEngine(maze), prompt_rows("one"), VALUED, 0)


def test_a_profile_that_wants_rewards_and_names_no_model_is_refused() -> None:
    with pytest.raises(ValidationError, match="value reward needs a reward model"):
        ThoughtSettings(value="reward")


def test_a_thoughts_value_is_the_sigmoid_of_a_real_classifiers_reward(tmp_path: Path) -> None:
    folder = llama(tmp_path / "model", 1)
    settings = load("quick").model_copy(
        update={
            "thoughts": VALUED.model_copy(
                update={"reward": VoterSettings(name="v", model=str(folder))}
            )
        }
    )
    rewards = rewards_of(settings)
    assert rewards is not None and rewards_of(load("quick")) is None

    async def value() -> float:
        return await rewards(PROBLEM, "a\n")

    turns = (*PROBLEM.messages, {"role": "assistant", "content": "a\n"})
    alone = Classifier(VoterSettings(name="v", model=str(folder)), tmp_path, 100)(
        {"t": turns}
    ).rewards["t"]
    assert asyncio.run(value()) == pytest.approx(1 / (1 + math.exp(-alone)), abs=1e-6)
