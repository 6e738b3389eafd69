"""What a commit promises to the next run:
rows that no server has answered are asked for again, others are not.
"""

from collections.abc import Sequence
from pathlib import Path

import pytest

from assets.sampling import RESPONSES
from pipeline import config
from pipeline.config import SamplingSettings
from pipeline.engine.base import Completion, Prompt, RequestFailed, Sampling, Unanswered
from pipeline.steps import StepReport
from pipeline.store import Commit, Lake
from tests.runs import ScriptedRun, make
from tests.scripted import ScriptedEngine
from tests.test_responses import prompts

SETTINGS = config.load("quick").model_copy(update={"sampling": SamplingSettings(n=2, max_tokens=8)})


class Troubled(ScriptedEngine):
    """Fails the prompt "q2" for as long as `fault` is set."""

    fault: RequestFailed | None = None

    async def sample(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        if self.fault and prompt.messages[-1]["content"] == "q2":
            raise self.fault
        return await super().sample(prompt, sampling, seeds)


@pytest.fixture
def engine() -> Troubled:
    return Troubled(lambda prefix, sampling, n: f"7 {n}")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path)
    lake.write("prompts", prompts("q1", "q2", "q3"), Commit("test"))
    return lake


def sample(lake: Lake, engine: ScriptedEngine) -> StepReport:
    return make(ScriptedRun(lake, SETTINGS, engine), RESPONSES)["responses"]


def test_a_fault_that_passes_is_asked_for_again_until_it_is_answered(
    lake: Lake, engine: Troubled
) -> None:
    engine.fault = Unanswered("5 tries failed, the last at server http://h: 500: oops")
    assert sample(lake, engine).status == "written"
    (reject,) = lake.read("rejects").to_dicts()
    assert reject["reason"].endswith("500: oops: the next run asks again")
    assert (reject["prompt_id"], reject["passing"]) == ("q2", True)
    kept = lake.version("responses")
    assert sample(lake, engine).status == "same content"
    assert lake.version("responses") == kept  # nothing that was made from these rows is made again
    engine.fault = None
    before = len(engine.calls)
    assert sample(lake, engine).status == "written"
    assert len(engine.calls) == before + 1  # those that were answered are not asked for again
    assert (
        set(lake.read("responses")["prompt_id"]) == {"q1", "q2", "q3"}
        and lake.read("rejects").is_empty()
    )
    assert sample(lake, engine).status == "up to date"


def test_a_request_that_fails_for_a_reason_of_its_own_is_not_asked_for_again(
    lake: Lake, engine: Troubled
) -> None:
    engine.fault = RequestFailed("prompt of 999 tokens leaves 0 of the 8 tokens asked for")
    assert sample(lake, engine).status == "written"
    (reject,) = lake.read("rejects").to_dicts()
    assert (reject["prompt_id"], reject["passing"]) == ("q2", False)
    assert sample(lake, engine).status == "up to date"
