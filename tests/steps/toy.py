"""A step whose rows are made for each prompt alone, without a model, and which counts its calls."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from pipeline import config
from pipeline.config import Settings
from pipeline.engine.base import Reject, RequestFailed, Unanswered
from pipeline.steps import Inputs, PerPrompt, Reads, Step, StepResult
from pipeline.store import Commit, Lake
from tests.judge.simulated import prompts, responses

SETTINGS = config.load("quick")


class Toy:
    """Makes one response to each prompt: the seed and the prompt's answer.

    `faults` fail prompts.
    """

    def __init__(self, chunk: int = 1000) -> None:
        self.calls: list[list[str]] = []
        self.faults: dict[str, RequestFailed] = {}
        self.step = Step(
            name="responses",
            table="responses",
            make=lambda inputs: self.make(inputs),
            reads=Reads(tables=("prompts",), settings=("seed",)),
            per=PerPrompt(lambda inputs: inputs.table("prompts").sort("prompt_id"), chunk),
            group="toy",
            description="Toy.",
        )

    def make(self, inputs: Inputs) -> StepResult:
        known = inputs.units.select("prompt_id", "answer").iter_rows()
        asked = {prompt: f"{inputs.settings.seed} {answer}" for prompt, answer in known}
        self.calls.append(list(asked))
        kept = {prompt: [text] for prompt, text in asked.items() if prompt not in self.faults}
        rejects = [
            Reject("responses", "x", prompt, self.faults[prompt])
            for prompt in asked
            if prompt in self.faults
        ]
        return StepResult(responses(kept), rejects)

    def asked(self) -> list[list[str]]:
        """Prompts of each call since this was last asked."""
        calls, self.calls = self.calls, []
        return calls


def lake_of(folder: Path, *names: str, **answers: str) -> Lake:
    lake = Lake(folder)
    write_prompts(lake, *names, **answers)
    return lake


def write_prompts(lake: Lake, *names: str, **answers: str) -> None:
    """Prompts of these names are all that there are; `answers` of some of them."""
    given = pl.Series([answers.get(name, "7") for name in names], dtype=pl.String)
    lake.write("prompts", prompts(*names).with_columns(answer=given), Commit("test"))


def with_seed(seed: int) -> Settings:
    return SETTINGS.model_copy(update={"seed": seed})


def passing(reason: str = "no server answers") -> RequestFailed:
    return Unanswered(reason)


def texts(lake: Lake, names: Sequence[str] = ()) -> dict[str, str]:
    """Prompt -> its response."""
    return dict(lake.read("responses").select("prompt_id", "text").sort("prompt_id").iter_rows())
