"""Variants that a profile declares: one SELECT each, and a control whose labels are shuffled."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from pipeline import tables
from pipeline.config import Settings, UserVariant
from pipeline.errors import OrchardError
from pipeline.preferences.completed import completed, right_columns
from pipeline.preferences.controls import shuffled
from pipeline.preferences.variant import Build, Variant
from pipeline.store import Lake

AFTER = {
    "preferences",
    "reference_logps",
    "training_runs",
    "evaluations",
    "leaderboard",
    "noise_sweep",
}  # made from variants
ROUNDABOUT = {"thought_nodes": "tree_nodes"}  # a name for costs: rows of that table

PairsOf = Callable[[str, Lake, Settings], pl.DataFrame]


def variants(settings: Settings, pairs_of: PairsOf, known: Mapping[str, Variant]) -> dict[str, Variant]:
    """The profile's own variants with their controls, by name; `pairs_of` gives the rows of a source.

    Raises:
        OrchardError: a name that is taken, an unknown source, control_of or table, a file that is not there, or a query
            that is not one SELECT.
    """
    found: dict[str, Variant] = {}
    for own in settings.variants:
        before = {**known, **found}
        _check_names(own, before)
        query = _query(own)
        build = _build(own, query, pairs_of)
        source = own.source
        made = Variant(
            own.name,
            own.level,
            "profile's own pairs",
            _tables(own, query),
            build,
            loss=own.loss,
            control_of=own.control_of,
            source=None if source is None else lambda _, name=source: name,  # type: ignore[misc]
            query=query,
        )
        for variant in (made,) if own.control_of else (made, _control(made)):
            if variant.name in {"base", *before}:
                raise OrchardError(f"variants: the name {variant.name!r} is taken: choose another")
            found[variant.name] = variant
    _check_votes(settings)
    return found


def check(settings: Settings, lake: Lake) -> None:
    """Binds every query to the lake's tables without running it, so that a mistake costs no sampling.

    Raises:
        OrchardError: a query that DuckDB cannot bind, or whose columns are not those of `preferences`.
    """
    for own in settings.variants:
        query = _query(own)
        frames = {"source": tables.empty("preferences")} if own.source else {}
        if query:
            right_columns(own, _ask(own, lake, f"DESCRIBE {query}", frames)["column_name"].to_list())


def _control(made: Variant) -> Variant:
    return Variant(
        f"{made.name}_shuffled",
        made.level,
        f"{made.method}, labels shuffled",
        made.tables,
        shuffled(made.build),
        loss=made.loss,
        control_of=made.name,
        source=made.source,
        query=made.query,
    )


def _check_names(own: UserVariant, known: Mapping[str, Variant]) -> None:
    for key, name in (("source", own.source), ("control_of", own.control_of)):
        if name is not None and name not in known:
            raise OrchardError(f"variant {own.name!r}: {key} {name!r} is not a variant: declare it before this one")
    if own.source and known[own.source].rows != "preferences":
        raise OrchardError(f"variant {own.name!r}: source {own.source!r} has no pairs: its loss reads lists or texts")
    wrong = [name for name in own.needs if ROUNDABOUT.get(name, name) not in set(tables.TABLES) - AFTER]
    if wrong:
        raise OrchardError(f"variant {own.name!r}: needs {wrong[0]!r}, which is no table that pairs are made from")


def _check_votes(settings: Settings) -> None:
    """The pairs that are voted on must not be made from votes, also not over several of the profile's variants."""
    sources = {own.name: own.source for own in settings.variants}
    name: str | None = settings.noise.source
    while name in sources:
        name = sources[name]
    if name and name != settings.noise.source and name.startswith("voted_"):
        raise OrchardError(f"noise.source: {settings.noise.source!r} is itself made from votes, by its source {name!r}")


def _query(own: UserVariant) -> str | None:
    if own.sql is None:
        return None
    try:
        return Path(own.sql).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise OrchardError(f"variant {own.name!r}: {own.sql}: {reason}: name a file with one SELECT") from error


def _names(own: UserVariant, query: str) -> set[str]:
    """The tables that a query names, those that it makes itself (WITH) left out."""
    with duckdb.connect() as connection:
        parsed = json.loads(connection.execute("SELECT json_serialize_sql(?)", [query]).fetchone()[0])  # type: ignore[index]
    if parsed["error"] or len(parsed["statements"]) != 1:
        reason = parsed.get("error_message", f"{len(parsed.get('statements', ()))} statements")
        raise OrchardError(f"variant {own.name!r}: {own.sql}: expected one SELECT: {' '.join(reason.split())}")
    nodes = list(_nodes(parsed["statements"]))
    made = {entry["key"].lower() for node in nodes for entry in node.get("cte_map", {}).get("map", ())}
    return {node["table_name"].lower() for node in nodes if node.get("type") == "BASE_TABLE"} - made


def _nodes(parsed: object) -> Iterator[dict[str, Any]]:
    """Every mapping in a syntax tree."""
    if isinstance(parsed, dict):
        yield parsed
    for inner in parsed.values() if isinstance(parsed, dict) else parsed if isinstance(parsed, list) else ():
        yield from _nodes(inner)


def _tables(own: UserVariant, query: str | None) -> tuple[str, ...]:
    """The lake's tables that a query names, and those that it needs besides."""
    named = set() if query is None else _names(own, query)
    late = sorted(named & AFTER)
    if late:
        raise OrchardError(
            f"variant {own.name!r}: {own.sql} reads {late[0]}, which is made from variants: set source to the variant "
            "whose pairs it starts from, and read the table `source`"
        )
    hidden = {ROUNDABOUT[name] for name in own.needs if name in ROUNDABOUT}
    return tuple(sorted(((named & set(tables.TABLES)) - hidden) | set(own.needs)))


def _build(own: UserVariant, query: str | None, pairs_of: PairsOf) -> Build:
    def build(lake: Lake, settings: Settings) -> pl.DataFrame:
        source = pairs_of(own.source, lake, settings) if own.source else None
        if query is None and source is not None:
            return source.drop("pair_id", "variant", "level", "method")
        frames = {} if source is None else {"source": source}
        return completed(own, _ask(own, lake, query or "", frames), lake)

    return build


def _ask(own: UserVariant, lake: Lake, query: str, frames: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    try:
        return lake.sql(query, frames=frames)
    except OrchardError as error:
        raise OrchardError(f"variant {own.name!r}: {own.sql}: {error}") from error
