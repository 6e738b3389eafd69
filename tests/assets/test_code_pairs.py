"""The table of code pairs from a prompt and a mined change, with a scripted model and real execution."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from assets.codefavor import _made
from assets.produce import reject_rows

from pipeline import config, tables
from pipeline.config import SandboxSettings
from pipeline.engine.model import Model
from pipeline.store import Commit, Lake
from pipeline.verify import code
from tests.scripted import ScriptedEngine
from tests.synthesis.test_codefavor_reply import BETTER, COMMIT, DRAFT, THINKS

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
def shop(tmp_path: Path) -> Iterator[Any]:
    code.use(SandboxSettings(isolation="limits", workers=1))
    lake, engine = Lake(tmp_path), Scripted()
    answer, metadata = code.task_of(
        {"answer": "def f(n):\n    return 0", "tests": "assert f(0) == 0\nassert f(3) == 6"}
    )
    prompts = [
        {
            "prompt_id": name, "pool": "x", "task": "x", "split": "train", "answer": answer, "verifier": "code",
            "messages": [{"role": "user", "content": f"{name} the numbers."}], "metadata": metadata, "source": "s",
            "licence": "MIT",
        }
        for name in ("Sum", "Count")
    ]  # fmt: skip
    change = {
        "change_id": "c", "repository": "r", "commit": "1", "path": "a.py", "unit": "function", "name": "f",
        "message": "Faster", "old": "x = 1", "new": "x = 2", "licence": "MIT",
    }  # fmt: skip
    for table, rows in (("prompts", prompts), ("code_changes", [change])):
        lake.write(table, pl.DataFrame(rows, schema=tables.empty(table).schema), Commit("test"))
    room = SimpleNamespace(engine=lambda model: engine, critic=lambda model: engine)
    base = Model(tmp_path, engine.policy_id)
    yield SimpleNamespace(lake=lake, settings=config.load("quick"), room=room, base=base)
    code.use(SandboxSettings())


def test_prompts_and_changes_become_measured_pairs_and_the_rest_is_counted_by_reason(shop: Any) -> None:
    made = _made(shop, shop.base)
    good, bad = tables.CodePairs.filter(made.rows)
    assert not bad.counts() and good.height == 2
    evol = made.rows.filter(pl.col("method") == "evol").to_dicts()[0]
    assert (evol["naive_passed"], evol["improved_passed"]) == (False, True)  # the draft sums one number too few
    assert (evol["decided_by"], evol["correctness_margin"], evol["prompt_id"]) == ("correctness", 0.5, "Sum")
    commit = made.rows.filter(pl.col("method") == "commit").to_dicts()[0]
    assert commit["naive_passed"] is None and commit["decided_by"] is None and commit["source"] == "change c"
    counts = {key: value for key, value in made.metadata.items() if isinstance(value, int)}
    assert counts == {
        "pairs_commit": 1,
        "pairs_evol": 1,
        "decided_by_correctness": 1,
        "rejected code evol: malformed": 1,
    }
    (reject,) = made.rejects
    assert json.loads(json.dumps(reject.row))["reply"] == "I do not know."  # type: ignore[union-attr]


def test_a_pool_that_only_asks_for_code_is_drafted_too_and_the_critic_decides(shop: Any) -> None:
    prompts = shop.lake.read("prompts").with_columns(
        verifier=pl.lit(None, pl.String), metadata=pl.lit("{}"), pool=pl.col("prompt_id")
    )
    shop.lake.write("prompts", prompts, Commit("test"))
    assert "evol" not in set(_made(shop, shop.base).rows["method"])
    code_ = shop.settings.code.model_copy(update={"pools": ("Sum",)})
    shop.settings = shop.settings.model_copy(update={"code": code_})
    (evol,) = _made(shop, shop.base).rows.filter(pl.col("method") == "evol").to_dicts()
    assert (evol["prompt_id"], evol["naive_passed"], evol["decided_by"]) == ("Sum", None, None)


def test_a_change_that_two_forks_hold_is_asked_about_once(shop: Any) -> None:
    fork = shop.lake.read("code_changes").with_columns(repository=pl.lit("fork"))
    assert shop.lake.write("code_changes", fork, Commit("test"), partition={"repository": "fork"}).rows == 1
    _made(shop, shop.base)
    asked = [prompt.messages[-1]["content"] for prompt, *_ in shop.room.engine(None).calls]
    assert sum("Explain in a few sentences" in text for text in asked) == 1


def test_what_came_to_nothing_is_part_of_the_cost(shop: Any) -> None:
    made = _made(shop, shop.base)
    shop.lake.write("code_pairs", made.rows, Commit("code pairs"), rejects=reject_rows(made.rejects))
    cost = dict(shop.lake.query_file("data_tokens").select("source", "tokens").iter_rows())
    assert cost["code_pairs"] == made.rows["tokens"].sum() + len("I do not know.")
    assert cost["code_pairs"] == shop.room.engine(None).usage.sampled_tokens
