"""The table of code pairs from a prompt and a mined change,
with a scripted model and real execution.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from assets.synthesis import CODE_PAIRS
from pipeline import config, tables
from pipeline.config import SandboxSettings, Settings
from pipeline.steps import StepReport
from pipeline.store import Commit, Lake
from pipeline.verify import code
from tests.runs import ScriptedRun, cost_of, make
from tests.scripted import ScriptedEngine
from tests.synthesis.test_codefavor_reply import BETTER, COMMIT, DRAFT, THINKS

SETTINGS = config.load("quick").model_copy(
    update={"sandbox": SandboxSettings(isolation="limits", workers=1)}
)
WRONG = DRAFT.replace("n + 1", "n")
ANSWERS = {  # by a part of the last turn
    "Sum the numbers.": f"```python\n{WRONG}\n```",
    "Count the numbers.": "I do not know.",
    "[ATTEMPT_1]": THINKS + BETTER,
    "Explain in a few sentences": "It is faster.",
    "Does the new code clearly improve": "[YES]",
    "Now write the change": COMMIT,
}


class Scripted(ScriptedEngine):
    """Answers by what the last turn says."""

    def __init__(self) -> None:
        super().__init__(lambda prefix, sampling, n: self._say())

    def _say(self) -> str:
        said = self.calls[-1][0].messages[-1]["content"]
        keys = [key for key in ANSWERS if key in said]
        return ANSWERS["[ATTEMPT_1]" if "[ATTEMPT_1]" in keys else keys[0]]


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    lake = Lake(tmp_path)
    answer, metadata = code.task_of(
        {"answer": "def f(n):\n    return 0", "tests": "assert f(0) == 0\nassert f(3) == 6"}
    )
    prompts = [
        {
            "prompt_id": name, "pool": "x", "task": "x", "split": "train", "answer": answer,
            "verifier": "code",
            "messages": [{"role": "user", "content": f"{name} the numbers."}], "metadata": metadata,
            "source": "s", "licence": "MIT",
        }
        for name in ("Sum", "Count")
    ]  # fmt: skip
    change = {
        "change_id": "c", "repository": "r", "commit": "1", "path": "a.py", "unit": "function",
        "name": "f", "message": "Faster", "old": "x = 1", "new": "x = 2", "licence": "MIT",
    }  # fmt: skip
    for table, rows in (("prompts", prompts), ("code_changes", [change])):
        lake.write(table, pl.DataFrame(rows, schema=tables.empty(table).schema), Commit("test"))
    yield lake
    code.use(SandboxSettings())


def made(lake: Lake, engine: Scripted, settings: Settings = SETTINGS) -> StepReport:
    return make(ScriptedRun(lake, settings, engine), CODE_PAIRS)["code_pairs"]


def test_prompts_and_changes_become_measured_pairs_and_the_rest_is_counted_by_reason(
    lake: Lake,
) -> None:
    report = made(lake, Scripted())
    rows = lake.read("code_pairs")
    assert (rows.height, report.rows, report.rejected) == (2, 2, 1)
    evol = rows.filter(pl.col("method") == "evol").to_dicts()[0]
    # the draft sums one number too few
    assert (evol["naive_passed"], evol["improved_passed"]) == (False, True)
    assert (evol["decided_by"], evol["correctness_margin"], evol["prompt_id"]) == (
        "correctness",
        0.5,
        "Sum",
    )
    commit = rows.filter(pl.col("method") == "commit").to_dicts()[0]
    assert (
        commit["naive_passed"] is None
        and commit["decided_by"] is None
        and commit["source"] == "change c"
    )
    counts = {key: value for key, value in report.shown.items() if isinstance(value, int)}
    assert counts == {"pairs_commit": 1, "pairs_evol": 1, "decided_by_correctness": 1}
    told = {key: value for key, value in report.shown.items() if key.startswith("lost")}
    assert told == {
        "lost_commit": 0,
        "lost_evol": 0.5,
        "lost_evol, the draft holds no program": 0.5,
    }
    (reject,) = lake.read("rejects").to_dicts()
    assert json.loads(reject["row"])["reply"] == "I do not know."


def test_a_pool_that_only_asks_for_code_is_drafted_too_and_the_critic_decides(lake: Lake) -> None:
    prompts = lake.read("prompts").with_columns(
        verifier=pl.lit(None, pl.String), metadata=pl.lit("{}"), pool=pl.col("prompt_id")
    )
    lake.write("prompts", prompts, Commit("test"))
    made(lake, Scripted())
    assert "evol" not in set(lake.read("code_pairs")["method"])
    code_ = SETTINGS.code.model_copy(update={"pools": ("Sum",)})
    made(lake, Scripted(), SETTINGS.model_copy(update={"code": code_}))
    (evol,) = lake.read("code_pairs").filter(pl.col("method") == "evol").to_dicts()
    assert (evol["prompt_id"], evol["naive_passed"], evol["decided_by"]) == ("Sum", None, None)


def test_a_change_that_two_forks_hold_is_asked_about_once(lake: Lake) -> None:
    fork = lake.read("code_changes").with_columns(repository=pl.lit("fork"))
    assert (
        lake.write("code_changes", fork, Commit("test"), partition={"repository": "fork"}).rows == 1
    )
    engine = Scripted()
    made(lake, engine)
    asked = [prompt.messages[-1]["content"] for prompt, *_ in engine.calls]
    assert sum("Explain in a few sentences" in text for text in asked) == 1


def test_what_came_to_nothing_is_part_of_the_cost(lake: Lake) -> None:
    engine = Scripted()
    made(lake, engine)
    cost = cost_of("codefavor", lake, SETTINGS)
    assert cost == lake.read("code_pairs")["tokens"].sum() + len("I do not know.")
    assert cost == engine.usage.sampled_tokens
