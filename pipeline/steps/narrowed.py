"""Settings cut down to those that a step declares, and what they say in its fingerprint."""

from collections.abc import Callable, Container, Iterable
from pathlib import Path
from typing import Any, TypeVar

from pipeline.config import ModelSettings, ServerSettings, VoterSettings
from pipeline.config.section import Section, TextFile
from pipeline.errors import OrchardError

# Settings that a step may read and that change none of its rows, each with the reason.
UNCOUNTED = {
    "engine": "how completions are asked for; which back end answers counts by itself",
    "noise.micro_tokens": "texts of one pass",
    "validation.retrain_share": "when policies are trained again, not how",
    "judge.on_bias": "what a biased judge stops",
    "extensions": "the code of each counts where it is used",
    "variants.training": "how a variant is trained counts where it is trained, as a text",
    "variant_training": "the same",
    "search": "the same; which pairs it keeps for itself counts by their rows",
    "policies": "each counts where it is sampled: its model by its role, the rest as a text",
    "delta": "whose responses a variant compares counts as a text of that variant",
    "sources": "what a source holds counts by its content, its variants by their names",
}
# whoever looks up a name reads them
ALWAYS = ("extensions", "sources", "policies", "delta", "variant_training")

S = TypeVar("S", bound=Section)
WeightsOf = Callable[[ModelSettings], str]  # the id of a model's weights


def narrowed(settings: S, paths: Iterable[str], always: Container[str] = ALWAYS) -> S:
    """A copy that holds the settings of these dotted names, and those of `always`.

    Reading any other raises UndeclaredRead.

    Raises:
        ValueError: a name that is no setting.
    """
    kept: dict[str, list[str]] = {}
    for path in paths:
        head, _, rest = path.partition(".")
        if head not in type(settings).model_fields:
            raise ValueError(f"{type(settings).__name__} has no setting {head!r}")
        kept.setdefault(head, []).append(rest)
    copy = settings.model_copy()
    for name in type(settings).model_fields:
        if name not in kept and name not in always:
            copy.__dict__.pop(name, None)
        elif "" not in kept.get(name, [""]):
            copy.__dict__[name] = narrowed(getattr(settings, name), kept[name], ())
    return copy


def meaning(
    value: object, weights_of: WeightsOf, without: Container[str] = (), path: str = ""
) -> Any:
    """What a setting says, as JSON-like data: equal where it leads to the same rows.

    A model counts by its weights and not by the name of its folder, a text file by its text. Where
    a server stands and how much it is asked at once does not count; that there is one does.
    Settings whose dotted names are in `without` are left out.
    """
    if isinstance(value, ServerSettings):
        chat = {"api": value.api, "answer_tokens": value.answer_tokens}
        return {"served_as": value.model, **(chat if value.api == "chat" else {})}
    if isinstance(value, Section):
        return _of_section(value, weights_of, without, path)
    if isinstance(value, dict):
        return {str(k): meaning(v, weights_of, without, f"{path}.{k}") for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [meaning(one, weights_of, without, path) for one in value]
    return value


def _of_section(
    section: Section, weights_of: WeightsOf, without: Container[str], path: str
) -> dict[str, Any]:
    held = {name: value for name, value in section.__dict__.items()}
    said: dict[str, Any] = {}
    if isinstance(section, ModelSettings) and "name" in held:
        said["weights"] = weights_of(section)
        held = {
            name: value
            for name, value in held.items()
            if name not in ("name", "revision", "template")
        }
    if isinstance(section, VoterSettings) and held.get("model") is not None:
        model = ModelSettings(name=held["model"], revision=held.get("revision"))
        said["weights"] = weights_of(model)
        held = {name: value for name, value in held.items() if name not in ("model", "revision")}
    for name, value in held.items():
        own = f"{path}.{name}".lstrip(".")
        if own not in without:
            text = _text_of(section, name, value)
            said[name] = text or meaning(value, weights_of, without, own)
    return dict(sorted(said.items()))


def _text_of(section: Section, name: str, value: object) -> str | None:
    """The text of a file that a setting names; null where it names none."""
    marks = [m for m in type(section).model_fields[name].metadata if isinstance(m, TextFile)]
    if not marks or not isinstance(value, str) or not value.endswith(marks[0].suffix):
        return None
    try:
        return Path(value).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise OrchardError(f"{name} {value}: {reason}: name a text file") from error
