"""Values of thoughts by a reward model, asked for many thoughts at once."""

import asyncio
import math
from collections.abc import Callable, Mapping

from pipeline.config import Settings, home
from pipeline.conversation import answered
from pipeline.engine.base import RequestFailed, Turn
from pipeline.ids import content_id
from pipeline.rewards import reward_model
from pipeline.rewards.texts import Said
from pipeline.trees.node import Problem

Conversation = tuple[Turn, ...]  # the prompt's turns and the response so far
ScoreAll = Callable[[Mapping[str, Conversation], None], Said]


class Rewards:
    """The value of a response so far: the sigmoid of its reward (our choice: values lie in [0, 1]).

    For a classifier's log-odds that is its probability. Whatever many trees ask for at the same
    moment goes to `score_all` in one call, in a thread of its own, so that sampling goes on; a text
    is scored once.
    """

    def __init__(self, score_all: ScoreAll) -> None:
        self._score_all = score_all
        self._waiting: dict[str, tuple[Conversation, asyncio.Future[float]]] = {}
        self._asked: dict[str, asyncio.Future[float]] = {}
        self._server: asyncio.Task[None] | None = None

    async def __call__(self, problem: Problem, so_far: str) -> float:
        """The value of one response so far.

        Raises:
            RequestFailed: the reward model could not read this text.
            OrchardError: whatever ends the reward model's work.
        """
        turns = answered(problem.messages, so_far)
        key = content_id([dict(turn) for turn in turns])
        if key not in self._asked:
            self._asked[key] = asyncio.get_running_loop().create_future()
            self._asked[key].add_done_callback(_seen)
            self._waiting[key] = (turns, self._asked[key])
            if self._server is None or self._server.done():
                self._server = asyncio.create_task(self._serve())
        return await asyncio.shield(self._asked[key])

    async def _serve(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # whoever is ready to ask asks first
            batch, self._waiting = self._waiting, {}
            try:
                texts = {key: turns for key, (turns, _) in batch.items()}
                said = await asyncio.to_thread(self._score_all, texts, None)
            except Exception as error:  # every one who waits gets it, and so the run ends with it
                for _, answer in batch.values():
                    answer.set_exception(error)
                continue
            for key, (_, answer) in batch.items():
                if key in said.rewards:
                    answer.set_result(1 / (1 + math.exp(-max(-60.0, min(60.0, said.rewards[key])))))
                else:
                    unknown = RequestFailed("the reward model gave no reward")
                    answer.set_exception(said.faults.get(key, unknown))


def rewards_of(settings: Settings) -> Rewards | None:
    """The reward model that values thoughts; null where `thoughts.value` says otherwise."""
    voter = settings.thoughts.reward
    if settings.thoughts.value != "reward" or voter is None:
        return None
    return Rewards(reward_model(voter, settings.engine, home(), settings.noise.micro_tokens))


def _seen(answer: asyncio.Future[float]) -> None:
    """Where the run ends with another error first, nobody looks at this one any more:
    that is no fault to report.
    """
    if not answer.cancelled():
        answer.exception()
