"""Settings of pairs and of training."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from pipeline.config.section import Section, first_problem, section

TooLong = Literal["truncate", "drop"]
LearnedThoughts = Literal["learned", "read", "left_out"]


class PreferenceSettings(Section):
    """From trees and responses to pairs."""

    margin: float = Field(0.375, gt=0, le=1)  # Tree-PLV, second-hand: 3 of 8 rollouts
    continuation: Literal["step", "rollout"] = "step"
    max_pairs_per_prompt: int = Field(4, ge=1)  # by hash where a query has more; our choice
    # a response that nearly repeats an earlier draw (sampling.near_duplicate) is in no pair;
    # our choice
    skip_near_duplicates: bool = True
    # regret pairs: strength = sigmoid(scale * difference of regrets)
    regret_scale: float = Field(1.0, gt=0)


class LossSettings(Section):
    """What single losses read besides beta; each loss's file says where a formula is from."""

    # conservative: P(label wrong) of every pair; our choice
    label_smoothing: float = Field(0.1, ge=0, lt=0.5)
    # margin, soft_margin: times the margin column; our addition
    margin_scale: float = Field(1.0, ge=0)
    # rdpo: share of the noise score that is believed; our guard for rates that are no estimates
    flip_trust: float = Field(1.0, ge=0, le=1)
    flip_bound: float = Field(0.4, ge=0, le=0.45)  # rdpo: never a higher flip rate; our guard
    reliability: float = Field(0.9, gt=0, lt=1)  # lcpo: P(label right) at the start; paper
    # lcpo: share of a step's mean in the new reliability; paper
    reliability_rate: float = Field(0.1, ge=0, le=1)
    list_weights: Literal["lambda", "uniform"] = "lambda"  # list_ranking: uniform is the control
    # rationale: weight of its mean negative log-probability per token; our choice
    gamma: float = Field(1.0, ge=0)
    # simpo: the margin that beta times the difference of means must exceed; TRL's default. The
    # paper takes about half of its beta, which is 2 to 2.5
    simpo_gamma: float = Field(0.5, ge=0)
    # cpo, dpo_nll: weight of the chosen text's mean negative log-probability per token; papers
    nll_weight: float = Field(1.0, ge=0)
    orpo_weight: float = Field(0.1, ge=0)  # orpo: weight of the odds ratio (lambda); paper
    # kto: weights of good and of bad texts; paper. Its rule for unequal numbers: the products of
    # weight and number between 1 and 4/3 of each other
    kto_desirable: float = Field(1.0, ge=0)
    kto_undesirable: float = Field(1.0, ge=0)


class TrainingSettings(Section):
    """DPO training. beta: 0.1 in DPO's and most papers; TPO's code has 0.5."""

    method: Literal["full", "lora"] = "lora"
    loss: str = "sigmoid"  # one of pipeline/training/losses, or of an extension
    losses: LossSettings = LossSettings()
    beta: float = Field(0.1, gt=0)
    learning_rate: float = Field(2e-5, gt=0)
    warmup: float = Field(0.1, ge=0, lt=1)  # share of the steps
    epochs: int = Field(2, ge=1)
    batch_pairs: int = Field(8, ge=1)  # pairs per optimiser step
    # tokens computed per pass; more suits a GPU, on a CPU it is no faster
    micro_tokens: int = Field(1024, ge=1)
    max_length: int = Field(1024, ge=8)  # tokens of context and text
    too_long: TooLong = "truncate"  # a longer context loses its left, or its pair is rejected
    # What a model thought before its response: learned with it, read as context, or left out.
    thoughts: LearnedThoughts = "learned"
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    lora_rank: int = Field(16, ge=1)
    lora_alpha: int = Field(32, ge=1)
    gradient_checkpointing: bool = False
    checkpoint_every: int = Field(20, ge=1)  # optimiser steps
    # looks at validation rows without a lower loss, then stop; null: never
    patience: int | None = Field(None, ge=1)
    # with patience: optimiser steps from one look to the next
    evaluate_every: int = Field(10, ge=1)
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    # that train one policy, one a GPU (without GPUs: on this machine's cores)
    processes: int = Field(1, ge=1)
    # full: each process holds its part of weights, gradients and moments (FSDP2), and not all of
    # them. The reference still wants the weights, in fp32, on one GPU.
    sharding: Literal["none", "full"] = "none"


# What one variant may have otherwise than `training` says. All else is shared: reference
# log-probabilities, which rows are taken, the seeds, and the machine.
OF_ONE_VARIANT = (
    "method",
    "losses",
    "beta",
    "learning_rate",
    "warmup",
    "epochs",
    "batch_pairs",
    "weight_decay",
    "max_grad_norm",
    "lora_rank",
    "lora_alpha",
)


def merged(settings: TrainingSettings, changes: Mapping[str, Any]) -> TrainingSettings:
    """Training settings with some changes; single loss parameters may be among them.

    Raises:
        OrchardError: a value that is out of range.
    """
    losses = {**settings.losses.model_dump(), **changes.get("losses", {})}
    return section(settings, **{**changes, "losses": losses})


def checked_changes(changes: dict[str, Any]) -> dict[str, Any]:
    """Refuses settings that do not exist, may not differ, or are out of range."""
    for name in changes:
        if name not in TrainingSettings.model_fields:
            raise ValueError(f"{name}: no training setting, use {', '.join(OF_ONE_VARIANT)}")
        if name not in ("loss", *OF_ONE_VARIANT):
            raise ValueError(f"{name} cannot differ between variants: set it in `training`")
    try:
        TrainingSettings(**changes)
    except ValidationError as error:
        raise ValueError(first_problem(error)) from error
    return changes


# such as {learning_rate: 1.0e-5, losses: {simpo_gamma: 1.0}}
OwnTraining = Annotated[dict[str, Any], AfterValidator(checked_changes)]
