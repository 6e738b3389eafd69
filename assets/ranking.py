"""What ranks the variants: tests of each against base, controls and rivals, and the leaderboard."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from pipeline import tables
from pipeline.config import Settings
from pipeline.preferences.registry import reads_of, variant
from pipeline.steps import Inputs, Reads, Step, StepResult
from pipeline.steps.declared import table_of
from pipeline.validation.comparisons import compare, compare_on_sets, concluded
from pipeline.validation.footing import footing
from pipeline.validation.leaderboard import rank
from pipeline.validation.ranked import BASE, Ranked, RankedBy
from pipeline.validation.ranked_by import SETTINGS as RANKING
from pipeline.validation.ranked_by import ranked_by
from pipeline.validation.sets import by_set, evaluation_sets
from pipeline.validation.untrained import untrained

STATISTICS = (
    "seed",
    "pools",
    "validation.variants",
    "validation.bootstrap",
    "validation.confidence",
)
# What the tests read: the metric that ranks, and how sure they are to be.
TESTS = (*STATISTICS, *RANKING, "validation.power", "validation.smallest_gain")
# Of which `ranking_units` tells the prompts, and the policies that were trained elsewhere.
UNITS = ("prompts", "source_prompts", "recorded_pairs", "preferences", "brought_policies")


def evaluated(settings: Settings) -> list[str]:
    """The base model and the profile's variants."""
    return [BASE, *settings.validation.variants]


def measured(inputs: Inputs, sets: Mapping[str, str]) -> pl.DataFrame:
    """Evaluations of the base model, the profile's variants and policies trained elsewhere, the
    metrics of evaluation sets with their names; sets: those of the units (`sets_of`).
    """
    own = pl.col("variant").is_in(evaluated(inputs.settings))
    rows = [inputs.table("evaluations").filter(own), inputs.table("brought_evaluations")]
    return by_set(pl.concat(rows), sets)


def _ranked_rows(inputs: Inputs, by: RankedBy) -> pl.DataFrame:
    """The same without policies trained elsewhere that lack a metric that ranks."""
    rows = measured(inputs, by.sets)
    had = rows.filter(pl.col("metric").is_in([*by.weights])).group_by("variant")
    lacking = had.agg(pl.col("metric").n_unique() < len(by.weights)).filter("metric")["variant"]
    whole = set(had.agg()["variant"]) - set(lacking)
    return rows.filter(pl.col("variant").is_in([*whole]) | ~pl.col("variant").is_in([*by.brought]))


def sets_of(units: pl.DataFrame, settings: Settings) -> dict[str, str]:
    """Unit -> its evaluation set; units: rows of the query `ranking_units`."""
    own = units.filter(pl.col("pool").is_in(evaluation_sets(settings)))
    return dict(own.select("unit_id", "pool").iter_rows())


def _compare(inputs: Inputs) -> StepResult:
    settings = inputs.settings
    by, tests = _ranked_by(inputs)
    rows = _ranked_rows(inputs, by)
    known = {name: variant(name, settings) for name in _variants(settings)}
    controls = {name: own.control_of for name, own in known.items() if own.control_of is not None}
    parts = dict.fromkeys(name for name, own in known.items() if own.part_of is not None)
    ranked = Ranked.of(rows, by, tests)
    options = (settings.validation, settings.seed)
    found = compare(ranked, {**controls, **parts}, *options)
    sets = [None, *evaluation_sets(settings)] if by.sets else []
    return StepResult(pl.concat([found, compare_on_sets(rows, by, tests, sets, *options)]))


def _compared_shown(inputs: Inputs, rows: pl.DataFrame) -> Mapping[str, Any]:
    families = rows.group_by("family", maintain_order=True).agg("conclusion")
    return {f"against_{family}": said for family, said in families.iter_rows()}


COMPARISONS = Step(
    name="comparisons",
    table="comparisons",
    make=_compare,
    reads=Reads(
        tables=("evaluations", "brought_evaluations"),
        beside=UNITS,
        queries=("ranking_units",),
        settings=TESTS,
    ),
    show=_compared_shown,
    is_end=True,
    group="validation",
    kinds=("duckdb",),
    description="Each variant against the base, its controls and its rivals, paired by prompt.",
)


def _behind_variants(settings: Settings, part: str | None) -> Reads:
    """All tables that the profile's variants are made from: their tokens are the data's cost."""
    from assets.steps import GRAPH  # of which this step is one

    needs = [GRAPH.behind(reads_of(name, settings), settings) for name in _variants(settings)]
    behind = dict.fromkeys(table_of(need) for own in needs for need in own)
    named = tuple(name for name in behind if "tokens" in tables.empty(name).columns)
    return Reads(beside=named, texts=(str([[str(need) for need in own] for own in needs]),))


def _board(inputs: Inputs) -> StepResult:
    settings = inputs.settings
    by, tests = _ranked_by(inputs)
    board = rank(
        _ranked_rows(inputs, by),
        inputs.table("training_runs"),
        {name: inputs.cost_of(reads_of(name, settings)) for name in _variants(settings)},
        settings.validation,
        settings.seed,
        tests=tests,
        tokens_per_second=inputs.query("engine_speed").item(),
        by=by,
    )
    return StepResult(concluded(board, inputs.table("comparisons")))


def _ranked_by(inputs: Inputs) -> tuple[RankedBy, list[str]]:
    """What ranks, and the ids of the test prompts that have a verifier."""
    units = inputs.query("ranking_units")
    prompts = dict(units.select("unit_id", "prompt_id").iter_rows())
    tests = units.filter(pl.col("verified"))["unit_id"].to_list()
    sets = sets_of(units, inputs.settings)
    brought = dict(inputs.table("brought_policies").select("name", "place").iter_rows())
    return RankedBy(ranked_by(inputs.settings), prompts, sets, brought), tests


def _variants(settings: Settings) -> tuple[str, ...]:
    return settings.validation.variants


def _board_shown(inputs: Inputs, board: pl.DataFrame) -> Mapping[str, Any]:
    without = untrained(inputs.lake, inputs.settings, inputs.made_from)
    return {
        "conclusions": board["conclusion"].to_list(),
        "equal_footing": footing(board, inputs.table("training_runs")),
        **({"not_trained": without} if without else {}),
        "board": board.drop("conclusion"),
    }


LEADERBOARD = Step(
    name="leaderboard",
    table="leaderboard",
    make=_board,
    reads=Reads(
        tables=("evaluations", "brought_evaluations", "training_runs", "comparisons"),
        beside=UNITS,
        uncounted=("usage", "rejects"),
        queries=("engine_speed", "ranking_units"),
        settings=(*TESTS, "noise.source"),
    ),
    reads_of=_behind_variants,
    show=_board_shown,
    show_reads=Reads(beside=("preferences", "preference_lists", "unpaired")),
    is_end=True,
    group="validation",
    kinds=("duckdb",),
    description="One row per variant: what ranks it, its gain over the base, and cost.",
)
