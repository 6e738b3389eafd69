"""What a commit promises to the next run: rows that no server has answered are asked for again, others are not."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from assets.produce import Made, Recipe, produce

from pipeline import responses
from pipeline.config import BudgetSettings, SamplingSettings
from pipeline.engine.base import Completion, Prompt, RequestFailed, Sampling, Unanswered, Usage
from pipeline.store import Lake
from tests.scripted import ScriptedEngine
from tests.test_responses import prompts

RECIPE = Recipe("responses", "responses", "code", "settings")


class Troubled(ScriptedEngine):
    """Fails the prompt "q2" for as long as `fault` is set."""

    fault: RequestFailed | None = None

    async def sample(self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        if self.fault and prompt.messages[-1]["content"] == "q2":
            raise self.fault
        return await super().sample(prompt, sampling, seeds)


def run(lake: Lake, engine: ScriptedEngine) -> dict[str, Any]:
    shop = SimpleNamespace(
        lake=lake, room=SimpleNamespace(usage=Usage), settings=SimpleNamespace(budget=BudgetSettings())
    )
    asked, settings = prompts("q1", "q2", "q3"), SamplingSettings(n=2, max_tokens=8)
    context: Any = SimpleNamespace(run_id="r", log=Mock())
    return produce(context, shop, RECIPE, lambda: Made(*responses.draw(engine, asked, settings, 0)))  # type: ignore[arg-type]


@pytest.fixture
def engine() -> Troubled:
    return Troubled(lambda prefix, sampling, n: f"7 {n}")


def test_a_fault_that_passes_is_asked_for_again_until_it_is_answered(tmp_path: Path, engine: Troubled) -> None:
    with Lake(tmp_path) as lake:
        engine.fault = Unanswered("5 tries failed, the last at server http://h: 500: oops")
        assert run(lake, engine)["status"] == "written"
        assert lake.read("rejects")["reason"].item().endswith("500: oops: the next run asks again")
        kept = lake.fingerprint("responses")
        assert run(lake, engine)["status"] == "same content"
        assert lake.fingerprint("responses") == kept  # nothing that was made from these rows is made again
        engine.fault = None
        assert run(lake, engine)["status"] == "written"
        assert set(lake.read("responses")["prompt_id"]) == {"q1", "q2", "q3"} and lake.read("rejects").is_empty()
        assert run(lake, engine)["status"] == "up to date"


def test_a_request_that_fails_for_a_reason_of_its_own_is_not_asked_for_again(tmp_path: Path, engine: Troubled) -> None:
    with Lake(tmp_path) as lake:
        engine.fault = RequestFailed("prompt of 999 tokens leaves 0 of the 8 tokens asked for")
        assert run(lake, engine)["status"] == "written" and lake.read("rejects").height == 1
        assert run(lake, engine)["status"] == "up to date"
