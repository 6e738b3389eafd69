"""From responses, trees, votes and synthesis to pairs, ranked lists and single texts."""

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from pipeline.config import Settings
from pipeline.engine.rendering import Renderer
from pipeline.figures import histogram
from pipeline.preferences.build import build
from pipeline.preferences.lengths import with_tokens
from pipeline.preferences.lists import (
    LISTS,
    endings,
    of_variant,
    own_lists,
    ranked_lists,
    reward_factors,
)
from pipeline.preferences.mixture import told
from pipeline.preferences.registry import reads_of, registry, treats, variant, wanted
from pipeline.preferences.unpaired import WEIGHED, texts
from pipeline.steps import Inputs, Reads, Rows, Step, StepResult

SECTIONS = {"best_first": "trees", "tot": "thoughts"}  # of the settings, by a tree's method


def _needed_parts(table: str) -> Callable[[Settings], list[str]]:
    """Gives the parts of a table that the profile's variants are made from, or are learned from."""

    def parts(settings: Settings) -> list[str]:
        names = wanted(settings)
        needs = [need for name in names for need in reads_of(name, settings).tables]
        read = [need.value for need in needs if isinstance(need, Rows) and need.table == table]
        learned = [name for name in names if variant(name, settings).rows == table]
        return list(dict.fromkeys([*read, *learned]))

    return parts


def _own_rows(settings: Settings, part: str | None) -> Reads:
    return Reads() if part is None else variant(part, settings).reads_of_own_rows()


def _behind_list(settings: Settings, part: str | None) -> Reads:
    """The trees that a list variant is made from, or what its variant reads."""
    if part is not None and part not in LISTS:
        return _own_rows(settings, part)
    method = LISTS[part].method if part else "best_first"
    return Reads(
        tables=(Rows("tree_nodes", "method", method),), settings=(f"{SECTIONS[method]}.delimiter",)
    )


def _all_lists(settings: Settings) -> list[str]:
    return [n for n, v in registry(settings).items() if v.rows == "preference_lists"]


def _lists(inputs: Inputs) -> StepResult:
    name = inputs.part or ""
    if name not in LISTS:
        return StepResult(own_lists(variant(name, inputs.settings), inputs.lake, inputs.settings))
    rows, rejects = inputs.once(LISTS[name].method, lambda: _ranked(inputs))
    return StepResult(of_variant(rows, name), rejects)


def _ranked(inputs: Inputs) -> Any:
    """Lists of the trees of one method, for a variant and its control."""
    embed = None
    if inputs.settings.lists.rewards:
        from pipeline.trees.embed import embedder  # torch only where a step needs it

        inputs.rest()  # the engine's memory, before torch takes its own
        embed = embedder(inputs.model("policy").path, inputs.settings.model.max_model_len)
    nodes, prompts = inputs.table("tree_nodes"), inputs.table("prompts")
    section = SECTIONS[LISTS[inputs.part or ""].method]
    delimiter = getattr(inputs.settings, section).delimiter
    return ranked_lists(nodes, prompts, inputs.settings.lists.size, delimiter, embed)


def _lists_shown(inputs: Inputs, rows: pl.DataFrame) -> Mapping[str, Any]:
    sizes = rows["items"].list.len().to_list()
    return {
        "lists": rows.height,
        "list_sizes": histogram(sizes, "items in a list", "lists"),
        **endings(rows),
        **reward_factors(rows),
    }


PREFERENCE_LISTS = Step(
    name="preference_lists",
    table="preference_lists",
    part_column="variant",
    parts=_needed_parts("preference_lists"),
    all_parts=_all_lists,
    make=_lists,
    reads=Reads(
        tables=("prompts",),
        settings=("lists", "model.max_model_len", "variants"),
        models=("policy",),
    ),
    reads_of=_behind_list,
    show=_lists_shown,
    group="preferences",
    description="Ranked lists of each tree's finished responses, with TPO's adaptive step rewards.",
)


def _reads_of_variant(settings: Settings, part: str | None) -> Reads:
    return Reads() if part is None else reads_of(part, settings)


def _unpaired_shown(inputs: Inputs, rows: pl.DataFrame) -> Mapping[str, Any]:
    good = int(rows["desirable"].sum())
    return {"desirable": good, "undesirable": rows.height - good}


UNPAIRED = Step(
    name="unpaired",
    table="unpaired",
    part_column="variant",
    parts=_needed_parts("unpaired"),
    all_parts=lambda settings: [n for n, v in registry(settings).items() if v.rows == "unpaired"],
    make=lambda inputs: StepResult(
        texts(inputs.lake, inputs.settings, variant(inputs.part or "", inputs.settings))
    ),
    reads=WEIGHED.plus(Reads(settings=("variants",))),
    reads_of=_own_rows,
    show=_unpaired_shown,
    makes_pairs=True,
    group="preferences",
    kinds=("duckdb",),
    description="Texts that are good or bad on their own, with density-ratio weights (BCO).",
)


def _pairs(inputs: Inputs) -> StepResult:
    name = inputs.part or ""
    tokenizer = inputs.once("tokenizer", lambda: Renderer(inputs.model("policy").path))
    pairs = build(name, inputs.lake, inputs.settings)
    parts = variant(name, inputs.settings).parts
    shown = {"mixture": told(parts, inputs.lake)} if parts else {}
    counted = with_tokens(pairs, tokenizer, inputs.settings.training.thoughts)
    return StepResult(counted, (), shown)


def _pairs_shown(inputs: Inputs, rows: pl.DataFrame) -> Mapping[str, Any]:
    strengths = rows["strength"].drop_nulls().to_list()
    splits = rows.group_by("split").len().sort("split").iter_rows()
    named_splits = {f"pairs_{split}": n for split, n in splits}
    return {**named_splits, "strengths": histogram(strengths, "strength", "pairs")}


def _variants(treated: bool) -> Callable[[Settings], list[str]]:
    return lambda settings: [n for n in wanted(settings) if treats(n, settings) == treated]


def _all_variants(treated: bool) -> Callable[[Settings], list[str]]:
    return lambda settings: [
        n for n, one in registry(settings).items() if bool(one.sources(settings)) == treated
    ]


def _step(name: str, treated: bool, description: str) -> Step:
    return Step(
        name=name,
        table="preferences",
        part_column="variant",
        parts=_variants(treated),
        all_parts=_all_variants(treated),
        is_partitioned=True,
        make=_pairs,
        reads=Reads(
            settings=("variants", "noise.source", "training.thoughts"),
            models=("policy",),
        ),
        reads_of=_reads_of_variant,
        show=_pairs_shown,
        makes_pairs=True,
        group="preferences",
        kinds=("duckdb",),
        description=description,
    )


PREFERENCES = _step("preferences", False, "Pairs of every variant that treats no other's pairs.")
TREATED_PREFERENCES = _step(
    "treated_preferences",
    True,
    "Pairs of the variants that start from others': with votes, rationales, a query, or mixed.",
)

STEPS = (PREFERENCE_LISTS, UNPAIRED, PREFERENCES, TREATED_PREFERENCES)
