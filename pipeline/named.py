"""The names that a profile gives to things of registries: checked before anything is sampled."""

from collections.abc import Iterator
from typing import Any

from pipeline import extensions
from pipeline.config import Settings
from pipeline.errors import OrchardError
from pipeline.judge.kind import kinds_of
from pipeline.preferences.policies import check_policies
from pipeline.preferences.registry import check_sources, registry, variant, wanted
from pipeline.prompts.pools import source_of, verifiers_of
from pipeline.training import losses
from pipeline.validation.budgets import searched, trains_as
from pipeline.validation.ranked_by import ranked_by


def check_names(settings: Settings) -> None:
    """Loads the profile's extensions, and looks up all that it names.

    Raises:
        OrchardError: a file that cannot be imported, or a name that nothing has; the message says
            which setting it is, and what names there are.
    """
    extensions.load(settings.extensions)
    for pool in settings.pools:
        source_of(pool)
    verifiers_of(settings)
    kinds_of(settings.judge)
    for setting, name in _losses(settings):
        try:
            losses.get(name)
        except OrchardError as error:
            raise OrchardError(f"{setting}: {error}") from error
    _check_changed_losses(settings)
    _check_mixtures(settings)
    _check_search(settings)
    check_policies([variant(name, settings) for name in wanted(settings)], settings)
    check_sources(settings)
    registry(settings)
    ranked_by(settings)


def _check_mixtures(settings: Settings) -> None:
    """Checks that no part of a mixture has a loss that reads more than one row."""
    for own in settings.variants:
        for part in variant(own.name, settings).parts:
            name = part.loss or settings.training.loss
            if not losses.get(name).reads_one_row:
                what = f"of {part.name!r} is learned with {name}, which reads more than its own row"
                raise OrchardError(f"variant {own.name!r}: {what}: leave it out of the mixture")


def _check_search(settings: Settings) -> None:
    """Checks that every compared variant gets equally many tries, and that each is a variant."""
    for name in settings.search.variants:
        source = trains_as(name, settings)
        if source != name:
            what = f"{name!r} trains as {source!r} does: give values for that one"
            raise OrchardError(f"search.variants: {what}")
    if not settings.search.asked:
        return
    tries = {
        name: len(settings.search.changes_of(name, _shared(name, settings)))
        for name in searched(settings)
    }
    if len(set(tries.values())) > 1 or 0 in tries.values():
        each = ", ".join(f"{name} {n}" for name, n in tries.items())
        raise OrchardError(
            f"search: not the same number of tries for each variant ({each}): "
            "give each as many combinations, or set search.tries to the least"
        )


def _shared(name: str, settings: Settings) -> dict[str, Any]:
    return variant(name, settings).settings(settings.training).model_dump()


def _check_changed_losses(settings: Settings) -> None:
    """Checks that a loss which a profile gives to a variant of ours can take its rows."""
    for name in (name for name, own in settings.variant_training.items() if "loss" in own):
        own = variant(name, settings)
        sizes = {"preferences": 2, "unpaired": 1}  # texts of a row; of a list any number
        fewest, most = losses.get(str(own.loss)).texts
        n = sizes.get(own.rows, max(fewest, 3))
        if not fewest <= n <= most:
            what = f"compares {fewest} to {most} texts per row, and {name!r} has rows of {own.rows}"
            raise OrchardError(
                f"variant_training: {name}: loss {own.loss} {what}: use another loss"
            )


def _losses(settings: Settings) -> Iterator[tuple[str, str]]:
    """Each loss that a profile names, and where it does so."""
    yield "training.loss", settings.training.loss
    yield from (("sweep.losses", name) for name in settings.sweep.losses)
    for own in settings.variants:
        if own.loss is not None:
            yield f"variant {own.name!r}: loss", own.loss
    for name, changes in settings.variant_training.items():
        if "loss" in changes:
            yield f"variant_training: {name}: loss", changes["loss"]
    swept = (settings.sweep.source,) if settings.sweep.losses else ()
    for name in (*settings.validation.variants, *swept):
        yield f"variant {name!r}", variant(name, settings).loss or settings.training.loss
