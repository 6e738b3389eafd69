"""Settings of reward models that vote."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.config.engine import ServerSettings
from pipeline.config.section import Section


class TuneSettings(Section):
    """Fine-tuned reward models (methods lora and full).

    Paper (7B models, full): 5e-6, 32 pairs a step, 1 epoch.
    """

    epochs: int = Field(1, ge=1)
    batch_pairs: int = Field(32, ge=1)
    # null: 5e-6 for full (paper), 1e-4 for lora (our choice)
    learning_rate: float | None = Field(None, gt=0)
    warmup: float = Field(0.1, ge=0, lt=1)  # share of the steps; our choice
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    lora_rank: int = Field(16, ge=1)
    lora_alpha: int = Field(32, ge=1)
    gradient_checkpointing: bool = False


class VoterSettings(Section):
    """One reward model or classifier from elsewhere:
    a folder, a hub id, or a `vllm serve --runner pooling`.
    """

    name: str = Field(min_length=1)  # the voter's id
    model: str | None = None  # a local folder, package:<name> or a hub id of a sequence classifier
    revision: str | None = None
    # instead of `model`; its own `model` is the name that it serves
    server: ServerSettings | None = None
    api: Literal["classify", "pooling"] = "classify"  # which of vLLM's two the server is asked
    # the class that counts as good; null: the only one, or the second of two
    positive: int | None = Field(None, ge=0)
    aspect: str = "preference"  # what it rewards
    # voters of one origin, such as one base model, have one vote; null: it stands for itself
    family: str | None = Field(None, min_length=1)
    # tokens of the whole conversation; a longer one is rejected
    max_length: int = Field(1024, ge=8)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.model is None) == (self.server is None):
            raise ValueError(f"voter {self.name!r} needs either model or server")
        if self.server is not None and self.server.api != "completions":
            raise ValueError(f"voter {self.name!r}: its api stands beside server, not inside it")
        return self


class ContrastSettings(Section):
    """A term that keeps the representations of different texts of a batch apart (SimCSE's).

    Paper (Secrets of RLHF II, second-hand): reward loss + weight times InfoNCE. The temperature and
    dropout are SimCSE's (arXiv 2104.08821), read second-hand too.
    """

    weight: float = Field(0.0, ge=0)  # 0: off; the paper's value is not known to us
    temperature: float = Field(0.05, gt=0)
    dropout: float = Field(0.1, gt=0, lt=1)
    # what has two views: each text, or the difference of a pair's two texts
    on: Literal["text", "difference"] = "text"


class MetaSettings(Section):
    """MetaRM: the pair loss is taken where the texts to be scored are told apart better.

    Paper: Secrets of RLHF II, second-hand; its step size is not known to us.
    """

    step: float = Field(0.0, ge=0)  # uphill on the difference loss, before the gradient; 0: off
    every: int = Field(1, ge=1)  # steps from one such move to the next; paper: each step


class NoiseSettings(Section):
    """Reward models that vote on pairs, and what is done with the pairs they doubt.

    Paper: Secrets of RLHF II.
    """

    source: str = "outcome"  # the variant whose pairs are voted on and treated
    # our own voters; none: external and recorded ones only
    method: Literal["heads", "lora", "full", "none"] = "heads"
    models: int = Field(10, ge=1)  # M, paper
    # of prompts: no pair is scored by a model trained on its prompt; our choice
    folds: int = Field(5, ge=2)
    # train each model on pairs drawn with replacement; false: only their order differs (paper)
    resample: bool = True
    hidden: int = Field(0, ge=0)  # units of a reward head's hidden layer; 0: linear
    epochs: int = Field(3, ge=1)  # of heads; paper: 1, of a whole model
    min_steps: int = Field(300, ge=1)  # optimiser steps, also of a small set; our choice
    batch_pairs: int = Field(256, ge=1)  # of heads; paper: 32, of a whole model
    learning_rate: float = Field(1e-3, gt=0)  # of a head on standardised features; our choice
    weight_decay: float = Field(0.1, ge=0)  # of heads; our choice
    tune: TuneSettings = TuneSettings()
    contrast: ContrastSettings = ContrastSettings()
    meta: MetaSettings = MetaSettings()
    external: tuple[VoterSettings, ...] = ()
    # name of a family -> its voters, by id or by name before "@": of one origin, one vote
    families: dict[str, tuple[str, ...]] = {}
    # log_sigmoid: external rewards are one voter, summed over aspects; they then read all samples
    # of a pair's prompt.
    combine: Literal["none", "log_sigmoid"] = "none"
    use_margin: bool = False  # the pairs' margin in the Bradley-Terry loss
    # on the squared correlation of reward margin and length; our choice
    length_penalty: float = Field(0.0, ge=0)
    max_length: int = Field(1024, ge=8)  # tokens of context and text
    micro_tokens: int = Field(8192, ge=1)  # padded tokens per forward pass
    start: float = Field(0.9, gt=0.5, lt=1)  # reliability that EM starts from; LCPO
    # weakest pairs, if their mean is negative: paper's two lowest tenths
    flip_share: float = Field(0.2, ge=0, le=1)
    # as many are removed; our choice, dropping is not in the paper
    drop_share: float = Field(0.2, ge=0, lt=1)
    # label smoothing of pairs with a negative mean; paper: not given
    soft: float = Field(0.1, ge=0, lt=0.5)
    # quantile of its prompt's samples' rewards; second-hand
    centre: float = Field(0.85, ge=0, le=1)
    duplicates: Literal["error", "mean"] = "error"  # same voter, pair and order twice
    # training labels flipped on purpose before the vote: treatments by DPO
    inject: float = Field(0.0, ge=0, lt=1)
    # labels that the self-test flips
    test_shares: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.1, 0.2, 0.4)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [voter.name for voter in self.external]
        if len(set(names)) < len(names):
            raise ValueError("external: two voters have the same name")
        return self

    @model_validator(mode="after")
    def _heads_have_a_representation(self) -> Self:
        if self.contrast.weight > 0 and self.hidden == 0:
            raise ValueError(
                "contrast.weight: a linear reward head has no representation to contrast: set "
                "hidden above 0 (noise-test trains heads whatever the method is)"
            )
        return self
