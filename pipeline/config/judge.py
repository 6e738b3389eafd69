"""Settings of judges and of rationales."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.config.engine import ModelSettings, ServerSettings, check_served
from pipeline.config.section import Section, TextFile


class AskedModelSettings(ModelSettings):
    """A model that is asked in the policy's place, here or on servers of its own."""

    # where it answers; empty: here, or wherever the policy does
    servers: tuple[ServerSettings, ...] = ()

    @model_validator(mode="after")
    def _is_there(self) -> Self:
        check_served(self, self.servers, "servers")
        return self


class RationaleSettings(Section):
    """Reasons why a pair's chosen side is better. All values are our choice."""

    # who writes them and is asked for their polarity; null: the policy
    model: AskedModelSettings | None = None
    kind: Literal["general", "detailed"] = "general"
    max_pairs: int | None = Field(None, ge=1)  # pairs that get one, by hash; null: all
    temperature: float = Field(0.7, ge=0)
    max_tokens: int = Field(128, ge=1)  # a rationale that is cut there is rejected
    # a rationale at least this alike to a response (0 to 100) is a copy
    max_copy: float = Field(90.0, gt=0, le=100)
    # ask for the verdict from the rationale alone, and keep those that agree
    check_polarity: bool = True


class JudgeModelSettings(AskedModelSettings):
    """A judge: a model that answers questions, or one that scores texts."""

    kind: str = "generative"  # one of pipeline/judge/kinds, or of an extension


class PrincipleSettings(Section):
    """What sampled responses are judged by: yes/no principles (RLBFF).

    Values are our choice where nothing is said.
    """

    # prompts whose responses are annotated, by hash; null: all
    max_prompts: int | None = Field(None, ge=1)
    max_responses: int = Field(4, ge=1)  # per prompt, the first draws with different texts
    # feedbacks on a response by each judge; a consensus takes two in all
    annotators: int = Field(2, ge=1)
    temperature: float = Field(0.7, ge=0)  # of the feedback
    feedback_tokens: int = Field(96, ge=1)
    principle_tokens: int = Field(160, ge=1)
    # two names mean the same above this cosine; paper, of its own embeddings
    alike: float = Field(0.8, ge=-1, lt=1)
    # an embedding model (mean of its last states); null: runs of characters
    embedding: ModelSettings | None = None


class JudgeSettings(Section):
    """Who judges pairs of responses, by which criteria, and from when on a judge is not trusted.

    Values: our choice.
    """

    # the judges, several at once; empty: the policy itself
    models: tuple[JudgeModelSettings, ...] = ()
    # name: question
    criteria: dict[str, str] = Field({"overall": "Which response is better?"}, min_length=1)
    method: Literal["pairwise", "scores"] = "pairwise"  # scores: each response alone, 1 to `scale`
    pairing: Literal["baseline", "round_robin", "swiss", "knockout"] = "baseline"
    # A file of pipeline/judge/templates, or the path of one.
    template: Annotated[str, TextFile(".jinja")] = "pair"
    words: tuple[str, str] = (" A", " B")  # the two answers, one token each
    scale: int = Field(9, ge=2, le=10)  # "10" is two tokens for most tokenizers: then at most 9
    # a judge whose own first token is none of a question's words gives no answer
    must_answer: bool = True
    max_prompts: int | None = Field(None, ge=1)  # prompts that are judged, by hash; null: all
    max_responses: int = Field(8, ge=2)  # judged responses per prompt, the first draws
    max_recorded: int = Field(0, ge=0)  # imported pairs that the judges are asked about, by hash
    # the two orders' log-odds, or their probabilities, are averaged
    combine: Literal["logit", "mean"] = "logit"
    clip: float = Field(0.01, gt=0, lt=0.5)  # probabilities are kept this far from 0 and 1
    # subtract the judge's mean log-odds for the first seat before orders are compared
    seat_correction: bool = False
    # of strengths, against verified labels
    calibration: Literal["none", "temperature", "isotonic"] = "none"
    ranks: Literal["all", "adjacent"] = "all"  # OSP: which ranks make pairs
    max_flip_rate: float = Field(0.4, ge=0, le=1)  # a coin flips half of its pairs
    seat_low: float = Field(0.45, ge=0, le=0.5)  # share of first-seat wins that is still fair
    seat_high: float = Field(0.55, ge=0.5, le=1)
    significance: float = Field(0.05, gt=0, lt=1)  # of the seat's sign test
    on_bias: Literal["stop", "warn"] = "stop"  # what a flipping or biased judge does to the build
    # pairs that are asked under two questions that prefer different sides
    contexts: int = Field(20, ge=0)
    rationales: RationaleSettings = RationaleSettings()
    principles: PrincipleSettings = PrincipleSettings()
