"""Settings of prompt pools, sources of preference data, splits, sampling and the sandbox."""

from typing import Any, Literal

from pydantic import Field, field_validator

from pipeline.config.section import MOST_DRAWS, Section


class ExampleSettings(Section):
    """A question and its answer, shown before the prompt as turns of the chat (few-shot)."""

    question: str
    answer: str


# training: to learn from, with a share for tests. evaluation: all of it is for tests, and nothing
# is learned from it
DataRole = Literal["training", "evaluation"]


class PoolSettings(Section):
    """One prompt pool."""

    name: str
    # evaluation: a test set of this name (accuracy@NAME), whatever `splits` says
    role: DataRole = "training"
    source: str = "reasoning_gym"  # one of pipeline/prompts, or of an extension
    task: str = "chain_sum"  # reasoning_gym: data set name; else a label
    params: dict[str, Any] = {}  # reasoning_gym: its configuration
    # file: JSONL, Parquet or CSV; datasets: hub id or local folder; relative to the profile
    path: str | None = None
    config: str | None = None  # datasets: configuration name
    split: str = "train"  # datasets: which split to read, or a part of one: train[:10%]
    prompt_column: str = "question"  # or a place inside of a column, such as turns.0
    answer_column: str = "answer"
    # the tools that the model may call, beside a prompt of chat turns; any prompt where it is set
    tools_column: str = "tools"
    # a prompt that ends with an assistant's turn: the response goes on with it; the turn is left
    # out, so that the response takes its place (whole conversations); or the row is a reject
    last_answer: Literal["continue", "drop", "reject"] = "continue"
    verifier: str | None = None  # default: reasoning_gym for its pools, number for others
    template: str = "{question}"  # what the user turn says; {question} is the pool's text
    system: str | None = None
    examples: tuple[ExampleSettings, ...] = ()  # few-shot turns, through the same template
    size: int | None = Field(None, ge=1)  # rows to take; null: all (reasoning_gym needs one)
    seed: int = 0
    licence: str = "unknown"


class SourceSettings(Section):
    """Preference data from elsewhere: what `orchard import` reads, as a setting."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$")  # what its rows carry as origin
    # evaluation: no variant; its pairs are a test set of this name (ranking_accuracy@NAME)
    role: DataRole = "training"
    # a file, a folder of files or a saved data set, relative to the profile; or hf:ID of the hub
    # null: what `orchard import --as` brought under that name
    path: str | None = Field(None, min_length=1)
    config: tuple[str, ...] = ()  # configurations of a data set of the hub; none: its only one
    split: tuple[str, ...] = ()  # none: all of them
    limit: int | None = Field(None, ge=1)  # rows in all, from the first; null: every row
    # ours: theirs, for an unknown layout; theirs may lead into objects, such as output.best
    map: dict[str, str] = {}


class SplitSettings(Section):
    """Shares of the prompts, by hash of the prompt; the rest is train."""

    validation: float = Field(0.1, ge=0, lt=1)
    test: float = Field(0.2, ge=0, lt=1)


PersonalKind = Literal["email", "phone", "ip", "credit_card", "iban"]


class PersonalDataSettings(Section):
    """Rows of pools and imports that hold personal data: `reject` makes rejects of them."""

    mode: Literal["off", "reject"] = "off"
    kinds: tuple[PersonalKind, ...] = ("email", "phone", "ip", "credit_card", "iban")
    # two letters (ISO 3166): numbers as they are written there; else only those with a +
    phone_regions: tuple[str, ...] = ()

    @field_validator("phone_regions")
    @classmethod
    def _have_telephones(cls, regions: tuple[str, ...]) -> tuple[str, ...]:
        """Refuses a region of which no rules of its numbers are known."""
        if regions:
            from phonenumbers import SUPPORTED_REGIONS  # takes a tenth of a second

            if unknown := sorted(set(regions) - set(SUPPORTED_REGIONS)):
                raise ValueError(f"no region is named {unknown[0]!r}: use two letters such as US")
        return regions


class SamplingSettings(Section):
    """How responses are sampled."""

    n: int = Field(8, ge=1, le=MOST_DRAWS)
    temperature: float = Field(0.8, ge=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(64, ge=1)
    # Jaccard similarity from which two draws are marked; our choice
    near_duplicate: float = Field(0.8, gt=0, le=1)


class SandboxSettings(Section):
    """Where generated code runs.

    A program is one process with one thread, so the limits are totals. What decides is CPU time,
    so that a verdict is the same on a busy machine.
    """

    # limits: weaker, a program can read your files
    isolation: Literal["bubblewrap", "limits"] = "bubblewrap"
    cpu_seconds: int = Field(4, ge=1)  # of the program, and again of its tests
    # in which both wait instead of computing, such as a program that sleeps
    idle_seconds: float = Field(6.0, gt=0)
    # of both together: no verdict, the job is done once more, and then it counts as not passed
    wall_seconds: float = Field(120.0, gt=0)
    memory_mib: int = Field(512, ge=64)  # address space
    file_mib: int = Field(4, ge=0)  # largest file, in /tmp; with `limits` none can be written
    scratch_mib: int = Field(16, ge=1)  # all of /tmp
    files: int = Field(1000, ge=1)  # files and folders in /tmp, which take memory of the kernel
    output_kib: int = Field(1024, ge=1)  # what one call may return; printed text goes nowhere
    workers: int | None = Field(None, ge=1)  # warm sandboxes; null: one per core
