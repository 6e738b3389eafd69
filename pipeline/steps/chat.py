"""What chat servers cannot do, and models that cannot be told apart: refused before sampling."""

from pipeline.config import ModelSettings, ServerSettings, Settings
from pipeline.config.engine import speak_chat
from pipeline.errors import OrchardError
from pipeline.steps.declared import Step, table_of
from pipeline.steps.graph import Graph


def check_chat(graph: Graph, settings: Settings) -> None:
    """Refuses what a profile asks of chat servers in vain.

    Raises:
        OrchardError: a step that the profile needs has the policy go on with a reply that it
            began, and the policy is on chat servers; one name that only servers know stands for
            the models of different servers; or one model is asked in two ways.
    """
    needed = graph.needed(settings) if settings.engine.is_chat else set()
    for name, step in graph.steps.items():
        if name in needed and step.continues:
            _refuse(graph, step, settings)
    _check_names(settings)
    _check_alike(settings)


def _refuse(graph: Graph, step: Step, settings: Settings) -> None:
    """Names the variants that are made from the step's rows."""
    wanting = [
        part
        for other in graph.steps.values()
        if other.part_column == "variant" and other.parts is not None
        for part in other.parts(settings)
        if any(
            table_of(need) == step.table and (step, None) in graph.makers(need, settings)
            for need in other.reads_for(settings, part).tables
        )
    ]
    of = f" (of {', '.join(dict.fromkeys(wanting))})" if wanting else ""
    raise OrchardError(
        f"engine.servers: the step {step.name}{of} goes on with steps that the policy began, "
        "which a chat server cannot do: leave it out, or use servers with api: completions"
    )


def _check_names(settings: Settings) -> None:
    known: dict[str, tuple[ServerSettings, ...]] = {}
    for model, servers in _asked(settings):
        key = _key(model)
        if model.is_only_served and known.setdefault(key, servers) != servers:
            raise OrchardError(
                f"{model.name!r} is on different servers: where they hold different models, give "
                "one a revision of its own, else name the same servers"
            )


def _check_alike(settings: Settings) -> None:
    """One model has one engine, whoever asks it: the policy would be sampled by a judge's chat."""
    known = {_key(settings.model): settings.engine.is_chat}
    for model, servers in _asked(settings):
        chat = speak_chat(servers)
        if servers and known.setdefault(_key(model), chat) != chat:
            raise OrchardError(
                f"{model.name!r} is asked with api: chat in one place only: a model has one "
                "engine, the policy too: give all its servers the same api"
            )


def _key(model: ModelSettings) -> str:
    return model.model_dump_json(include={"name", "revision", "template"})


def _asked(settings: Settings) -> list[tuple[ModelSettings, tuple[ServerSettings, ...]]]:
    """The models that may have servers of their own, and these."""
    policies = (policy.model for policy in settings.policies)
    own = (*settings.judge.models, settings.judge.rationales.model, *policies)
    found: list[tuple[ModelSettings, tuple[ServerSettings, ...]]] = [
        (model, model.servers) for model in own if model is not None
    ]
    critic = settings.code.critic
    return found if critic is None else [*found, (critic, settings.code.critic_servers)]
