"""Variants that a profile declares: one SELECT each, and a control whose labels are shuffled."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl

from pipeline import tables
from pipeline.config import Settings, UserVariant
from pipeline.errors import OrchardError
from pipeline.preferences.completed import completed, right_columns
from pipeline.preferences.controls import shuffled
from pipeline.preferences.mixture import control_of, mixture
from pipeline.preferences.trees import THOUGHTS, TREES
from pipeline.preferences.variant import Build, Variant, bare, pairs_of
from pipeline.steps.declared import Need, Reads, table_of
from pipeline.steps.queries import NotOneSelect, meaning_of_query, tables_of_query
from pipeline.store.files import query_text
from pipeline.store.reader import Reader

SOURCE = "source"  # the name under which a query reads the pairs of its source
PARTS: dict[str, Need] = {"thought_nodes": THOUGHTS, "best_first_nodes": TREES}  # parts of a table
PROMPTS = ("prompts", "code_pairs", "source_prompts")  # where the prompt of a query's row may stand


def variants(settings: Settings, known: Mapping[str, Variant]) -> dict[str, Variant]:
    """The profile's own variants with their controls, by name.

    Raises:
        OrchardError: a name that is taken, an unknown source, control_of or table, a file that is
            not there, or a query that is not one SELECT.
    """
    found: dict[str, Variant] = {}
    for own in settings.variants:
        before = {**known, **found}
        _check_names(own, before)
        query = _query(own)
        if own.part_of is not None:
            whole = before[own.part_of]
            part = replace(whole, name=own.name, part_of=own.part_of, share=own.share)
            _add(found, part, before)
            continue
        if own.of is not None:
            own_mixture = mixture(own.name, own.of, before)
            own_mixture = replace(own_mixture, training=own.training)
            _add(found, own_mixture, before)
            _add(found, control_of(own_mixture, before), before)
            continue
        build = _build(own, query)
        source = own.source
        made = Variant(
            own.name,
            own.level,
            "profile's own pairs",
            _reads(own, query),
            build,
            loss=own.loss,
            control_of=own.control_of,
            source=None if source is None else lambda _, name=source: name,  # type: ignore[misc]
            query=query,
            training=before[own.control_of].training if own.control_of else own.training,
        )
        control = made.control("shuffled", "labels shuffled", shuffled(build))
        for variant in (made,) if own.control_of else (made, control):
            _add(found, variant, before)
    return found


def _add(found: dict[str, Variant], variant: Variant, before: Mapping[str, Variant]) -> None:
    if variant.name in {"base", *before}:
        raise OrchardError(f"variants: the name {variant.name!r} is taken: choose another")
    found[variant.name] = variant


def check(settings: Settings, lake: Reader) -> None:
    """Binds every query to the lake's tables without running it: a mistake costs no sampling.

    Raises:
        OrchardError: a query that DuckDB cannot bind, or whose columns are not those of
            `preferences`.
    """
    for own in settings.variants:
        query = _query(own)
        frames = {SOURCE: tables.empty("preferences")} if own.source else {}
        if query:
            described = _ask(own, lake, f"DESCRIBE {query}", frames)
            right_columns(own, described["column_name"].to_list())


def _check_names(own: UserVariant, known: Mapping[str, Variant]) -> None:
    for key, name in _names(own):
        if name is not None and name not in known:
            what = f"{key} {name!r} is not a variant: declare it before this one"
            raise OrchardError(f"variant {own.name!r}: {what}")
    if own.source and known[own.source].rows != "preferences":
        what = f"source {own.source!r} has no pairs: its loss reads lists or texts"
        raise OrchardError(f"variant {own.name!r}: {what}")
    for name in own.needs:
        if name not in PARTS and name not in _made_into_pairs(known):
            what = f"needs {name!r}, which is no table that pairs are made from"
            raise OrchardError(f"variant {own.name!r}: {what}")


def _names(own: UserVariant) -> tuple[tuple[str, str | None], ...]:
    return ("source", own.source), ("control_of", own.control_of), ("part_of", own.part_of)


def _made_into_pairs(known: Mapping[str, Variant]) -> set[str]:
    """The tables that the known variants read: none of them is made from pairs."""
    reads = [variant.reads for variant in known.values()]
    named = {table_of(need) for own in reads for need in own.tables}
    asked = (tables_of_query(query_text(name)) for own in reads for name in own.queries)
    return named.union(*asked) & set(tables.TABLES)


def _query(own: UserVariant) -> str | None:
    if own.sql is None:
        return None
    try:
        return Path(own.sql).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        what = f"{own.sql}: {reason}: name a file with one SELECT"
        raise OrchardError(f"variant {own.name!r}: {what}") from error


def _reads(own: UserVariant, query: str | None) -> Reads:
    """The tables that a query names, and those that it needs besides.

    Where it needs a part of a table, such as thought_nodes, it reads that part alone.
    """
    try:
        named = (tables_of_query(query) if query else frozenset()) & set(tables.TABLES)
        said = meaning_of_query(query) if query else ""
    except NotOneSelect as error:
        raise OrchardError(f"variant {own.name!r}: {own.sql}: {error}") from error
    if "preferences" in named:
        what = "set source to the variant whose pairs it starts from, and read the table `source`"
        raise OrchardError(
            f"variant {own.name!r}: {own.sql} reads preferences, which is made from variants: "
            f"{what}"
        )
    needs = [PARTS.get(name, name) for name in own.needs]
    parts = {table_of(need) for need in needs if need in PARTS.values()}
    beside = tuple(table for table in PROMPTS if table not in named) if query else ()
    whole = tuple(sorted(named - parts))
    texts = (said, own.level)
    return Reads(tables=(*whole, *needs), beside=beside, texts=texts)


def _build(own: UserVariant, query: str | None) -> Build:
    def build(lake: Reader, settings: Settings) -> pl.DataFrame:
        source = pairs_of(lake, own.source) if own.source else None
        if query is None and source is not None:
            return bare(source)
        frames = {} if source is None else {SOURCE: source}
        return completed(own, _ask(own, lake, query or "", frames), lake)

    return build


def _ask(
    own: UserVariant, lake: Reader, query: str, frames: Mapping[str, pl.DataFrame]
) -> pl.DataFrame:
    try:
        return lake.sql(query, frames=frames)
    except OrchardError as error:
        raise OrchardError(f"variant {own.name!r}: {own.sql}: {error}") from error
