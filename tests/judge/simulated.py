"""Judges whose bias and accuracy are known, and the rows they judge."""

import math
import re
from collections.abc import Callable, Sequence

import polars as pl

from pipeline import tables
from pipeline.engine.base import Completion, Prompt, RequestFailed, Sampling
from tests.scripted import ScriptedEngine

SHOWN = re.compile(r"Response A:\n(.*?)\n\nResponse B:\n(.*?)\n\n", re.DOTALL)
# log-odds that the first text is better, the seat's share included
Odds = Callable[[str, str], float]


class SimulatedJudge(ScriptedEngine):
    """Answers by `odds(first, second)`; `says` is its own first token, for judges that refuse."""

    def __init__(self, odds: Odds, policy_id: str = "judge@0", says: str = "A") -> None:
        super().__init__(lambda prefix, sampling, n: says)
        self.policy_id = policy_id
        self.odds = odds
        self.asked: list[str] = []

    async def sample(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        return [self._complete(self.script("", sampling, n), sampling) for n in range(len(seeds))]

    async def verdict(self, prompt: Prompt, words: Sequence[str]) -> list[float]:
        content = prompt.messages[-1]["content"]
        if "too long" in content:
            raise RequestFailed("prompt of 999 tokens is longer than model.max_model_len")
        shown = SHOWN.search(content)
        if not shown:
            return [1 / len(words)] * len(words)
        self.asked.append(content)
        odds = self.odds(*shown.groups())
        return [sigmoid(odds), sigmoid(-odds)]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if not math.isnan(x) else x


def frame(table: str, rows: list[dict[str, object]], **common: object) -> pl.DataFrame:
    return pl.DataFrame([{**common, **row} for row in rows], schema=tables.empty(table).schema)


def prompts(*ids: str) -> pl.DataFrame:
    rows = [
        {"prompt_id": one, "messages": [{"role": "user", "content": f"question {one}"}]}
        for one in ids
    ]
    return frame("prompts", rows, pool="p", task="t", split="train", source="test", licence="none")


def responses(
    texts: dict[str, list[str]], right: Callable[[str], bool | None] = lambda text: None
) -> pl.DataFrame:
    """Ids are `prompt-draw`."""
    rows = [
        {
            "response_id": f"{prompt}-{n}",
            "prompt_id": prompt,
            "draw": n,
            "text": text,
            "correct": right(text),
        }
        for prompt, own in texts.items()
        for n, text in enumerate(own)
    ]
    return frame(
        "responses",
        rows,
        policy_id="policy@0",
        on_policy=True,
        sampling="{}",
        tokens=1,
        prompt_tokens=1,
        logprob_mean=-1.0,
        finish_reason="stop",
    )


def votes(rows: list[tuple[str, str, float]], **common: object) -> pl.DataFrame:
    """Votes (first, second, p_first) of one judge on one prompt."""
    told = {
        "prompt_id": "p",
        "judge_id": "j",
        "criterion": "c",
        "method": "pairwise",
        "source": "model",
    }
    common = {**told, "origin": "responses", "tokens": 1, **common}
    given = [
        {"vote_id": f"{n}{common}", "first_id": first, "second_id": second, "p_first": p}
        for n, (first, second, p) in enumerate(rows)
    ]
    return frame("votes", given, **common)
