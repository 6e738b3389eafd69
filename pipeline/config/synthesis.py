"""Settings of synthetic preferences: MAPL and CodeFavor."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline.config.engine import ModelSettings, ServerSettings, check_served
from pipeline.config.section import Section


class MaplSettings(Section):
    """MAPL's synthetic instructions.

    None of these numbers was found in the paper: all are our choice.
    """

    max_instructions: int = Field(3, ge=1)  # k: 1 to this many are added to a prompt
    # responses, and pairs of responses, that are used of each prompt
    max_per_prompt: int = Field(4, ge=1)
    kinds: tuple[str, ...] = ()  # names of instruction types; empty: all
    # the model says added instructions in its own words; what fails the check keeps its template
    reword: bool = False
    reword_tokens: int = Field(64, ge=1)
    reword_temperature: float = Field(0.7, ge=0)
    # words of a rewording over those of its template, at most; and at least 1/it
    reword_ratio: float = Field(2.0, ge=1)


class CodeSettings(Section):
    """CodeFavor: pairs of code from commits and from a critic, and what execution says of them."""

    # the model that reads commits and revises drafts; null: the policy itself
    critic: ModelSettings | None = None
    # where the critic is served; none: it is loaded in the process
    critic_servers: tuple[ServerSettings, ...] = ()
    draft_tokens: int = Field(1024, ge=1)  # paper's code
    draft_temperature: float = Field(0.8, ge=0)  # paper's code
    critic_tokens: int = Field(2048, ge=1)  # paper's code, both methods
    commit_temperature: float = Field(0.8, ge=0)  # paper's code
    evol_temperature: float = Field(0.5, ge=0)  # paper's code
    # worked examples shown to the critic; the paper shows five
    examples: int = Field(2, ge=0, le=2)
    # a draft that passes its tests is made faster or safer, or no pair: two that pass say nothing
    passing: Literal["improve", "skip"] = "improve"
    # pools without tests that ask for code, as the paper's: there the critic decides alone
    pools: tuple[str, ...] = ()
    # mined changes that the critic reads, by hash; null: all
    max_changes: int | None = Field(None, ge=1)
    # code prompts that get a draft and a revision, by hash; null: all
    max_prompts: int | None = Field(None, ge=1)
    timing_runs: int = Field(3, ge=1)  # the least CPU time of these counts; our choice
    # times that the tests run in each (once where that fails); our choice
    timing_repeat: int = Field(20, ge=1)
    speed_ratio: float = Field(1.3, gt=1)  # a version this much faster is better; our choice
    # and faster by this many seconds of CPU time; our choice
    speed_seconds: float = Field(0.005, ge=0)

    @model_validator(mode="after")
    def _servers_serve_a_critic(self) -> Self:
        if self.critic_servers and self.critic is None:
            raise ValueError(
                "critic_servers needs critic: the folder or hub id of the model that they serve"
            )
        if self.critic is not None:
            check_served(self.critic, self.critic_servers, "critic_servers")
        return self


class MiningSettings(Section):
    """Which commits `orchard mine-commits` takes.

    All values are our choice, the licences are the paper's.
    """

    licences: tuple[str, ...] = ("Apache-2.0", "MIT", "BSD-3-Clause", "BSD-2-Clause")
    max_commits: int = Field(20_000, ge=1)  # newest first
    max_file_bytes: int = Field(200_000, ge=1)  # of either side; larger files are not read
    max_lines: int = Field(120, ge=1)  # of a taken function or file, either side


class OverlapSettings(Section):
    """From which measures on a text and an evaluation text overlap (pipeline/synthesis/overlap.py);
    our choice.
    """

    n: int = Field(8, ge=1)  # tokens of a run
    ngrams: float = Field(0.8, gt=0, le=1)  # share of the evaluation text's runs
    edits: float = Field(0.9, gt=0, le=1)  # similarity
    # share of evaluation texts from which a run is their template
    common: float = Field(0.05, gt=0, le=1)
