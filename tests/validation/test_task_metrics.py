"""A test prompt is scored by its verifier:
pass@1 of code in the sandbox, and instructions by their checkers.
"""

import json

import polars as pl

from pipeline.config import SamplingSettings, SandboxSettings
from pipeline.engine.base import Prompt
from pipeline.validation.evaluate import Candidate, accuracy, answers, checkable
from pipeline.verify import code
from tests.scripted import ScriptedEngine

RIGHT = "```python\ndef f(n):\n    return n + 1\n```"
WRONG = "```python\ndef f(n):\n    return n\n```"


def test_code_and_instructions_are_task_metrics_of_a_pool_with_their_verifier() -> None:
    code.use(SandboxSettings(isolation="limits", workers=1))
    answer, tests = code.task_of(
        {"answer": "def f(n):\n    return n + 1", "tests": "assert f(1) == 2\nassert f(2) == 3"}
    )
    asked = json.dumps({"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]})
    prompts = pl.DataFrame(
        [
            {"prompt_id": "program", "answer": answer, "verifier": "code", "metadata": tests},
            {"prompt_id": "prose", "answer": "all", "verifier": "instructions", "metadata": asked},
            {"prompt_id": "free", "answer": None, "verifier": None, "metadata": None},
        ]
    ).with_columns(messages=pl.concat_list(pl.struct(role=pl.lit("user"), content="prompt_id")))

    class Engine(ScriptedEngine):
        def __init__(self) -> None:
            super().__init__(lambda prefix, sampling, n: self.say(self.calls[-1][0], n))

        def say(self, prompt: Prompt, n: int) -> str:
            if prompt.messages[-1]["content"] == "program":
                return RIGHT if n == 0 else WRONG  # one of four
            return "no, never" if n == 0 else "no comma here"  # three of four

    found = accuracy(
        Candidate("m", "base", 0), answers(Engine(), checkable(prompts), SamplingSettings(n=4), 0)
    )
    values = dict(found.select("unit_id", "value").iter_rows())
    assert values == {"program": 0.25, "prose": 0.75}
