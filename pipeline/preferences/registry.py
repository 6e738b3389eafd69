"""All variants by name: ours, those of extensions, a profile's sources, and its own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pipeline import extensions
from pipeline.config import Settings
from pipeline.errors import OrchardError
from pipeline.preferences import custom, sourced
from pipeline.preferences.variant import VARIANTS, Variant
from pipeline.steps.declared import Reads


def registry(settings: Settings) -> Mapping[str, Variant]:
    """All variants that a profile can name: by name, whichever file was imported first."""
    extensions.load(settings.extensions)
    known = dict(sorted(VARIANTS.all().items()))
    for name, made in sourced.variants(settings).items() if settings.sources else ():
        if name in {"base", *known}:
            raise OrchardError(f"sources: the name {name!r} is taken: choose another")
        known[name] = made
    if settings.variant_training:
        known = _trained_otherwise(known, settings.variant_training)
    return {**known, **custom.variants(settings, known)} if settings.variants else known


def _trained_otherwise(
    known: Mapping[str, Variant], changes: Mapping[str, Mapping[str, Any]]
) -> dict[str, Variant]:
    """The variants with what of their training a profile changes, and their controls alike.

    Raises:
        OrchardError: an unknown variant, or a control.
    """
    found = dict(known)
    for name, own in changes.items():
        if name not in known:
            raise OrchardError(
                f"variant_training: unknown variant {name!r}: use one of {', '.join(known)}"
            )
        if known[name].control_of is not None:
            source = known[name].control_of
            what = f"{name!r} is a control and trains as {source!r} does: change that one"
            raise OrchardError(f"variant_training: {what}")
        for one in known.values():
            if name in (one.name, one.control_of):
                found[one.name] = _changed(one, own)
    return found


def _changed(one: Variant, own: Mapping[str, Any]) -> Variant:
    rest = {key: value for key, value in own.items() if key != "loss"}
    loss = own.get("loss", one.loss)
    # the weights of single texts are those of a loss
    reads = one.own_reads if loss == one.loss else one.own_reads.plus(Reads(texts=(str(loss),)))
    return replace(one, loss=loss, training=rest, own_reads=reads)


def variant(name: str, settings: Settings) -> Variant:
    """The variant of that name.

    Raises:
        OrchardError: there is none; the message lists those that there are.
    """
    known = registry(settings)
    if name not in known:
        raise OrchardError(f"unknown variant {name!r}: use one of {', '.join(known)}")
    return known[name]


def reads_of(name: str, settings: Settings) -> Reads:
    """All that a variant's build reads."""
    return variant(name, settings).reads_for(settings)


def with_sources(names: Sequence[str], settings: Settings) -> list[str]:
    """Variants, and those that they are made from: each once, in the order of first mention."""
    treated = [source for name in names for source in variant(name, settings).sources(settings)]
    return list(dict.fromkeys([*names, *treated]))


def wanted(settings: Settings) -> list[str]:
    """The variants that a profile needs the pairs of: compared, swept, learnt by a selector,
    voted on or treated.
    """
    swept = (settings.sweep.source,) if settings.sweep.losses else ()
    chosen = (*settings.validation.variants, *swept, *settings.selection.sources)
    return with_sources(chosen, settings)


def treats(name: str, settings: Settings) -> bool:
    """Whether a variant is made from other variants' pairs."""
    return bool(variant(name, settings).sources(settings))


def check_sources(settings: Settings) -> None:
    """Checks that no variant treats the pairs of one that treats another's.

    Raises:
        OrchardError: one does; the message names it and the variant to start from.
    """
    known = registry(settings)
    for own in settings.variants:
        source = known[own.name].source
        if source is not None:
            _check_level(f"variant {own.name!r}: source", source(settings), settings)
    named = [known[name].reads.tables for name in wanted(settings) if name in known]
    if any("pair_strengths" in read for read in named):
        _check_level("noise.source:", settings.noise.source, settings)


def _check_level(where: str, name: str, settings: Settings) -> None:
    sources = variant(name, settings).sources(settings)
    if sources:
        inner = sources[0]
        # noise.source names a variant that is made from votes on noise.source.
        itself = inner == name
        what = f"{name!r} is itself made from {'votes' if itself else f'the pairs of {inner!r}'}"
        other = "outcome" if itself else inner
        raise OrchardError(
            f"{where} {what}: name a variant that treats no other, such as {other!r}"
        )
