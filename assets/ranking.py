"""What ranks the variants: tests of each against base, controls and rivals, and the leaderboard."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from pipeline import tables
from pipeline.config import Settings
from pipeline.preferences.registry import reads_of, variant
from pipeline.steps import Inputs, Reads, Step, StepResult
from pipeline.steps.declared import table_of
from pipeline.validation.comparisons import compare, concluded
from pipeline.validation.footing import footing
from pipeline.validation.leaderboard import rank
from pipeline.validation.ranked import BASE, Ranked, RankedBy
from pipeline.validation.ranked_by import SETTINGS as RANKING
from pipeline.validation.ranked_by import ranked_by
from pipeline.validation.untrained import untrained

STATISTICS = (
    "seed",
    "validation.variants",
    "validation.bootstrap",
    "validation.confidence",
)
# What the tests read: the metric that ranks, and how sure they are to be.
TESTS = (*STATISTICS, *RANKING, "validation.power", "validation.smallest_gain")
UNITS = ("prompts", "source_prompts", "preferences")  # of which `ranking_units` tells the prompts


def evaluated(settings: Settings) -> list[str]:
    """The base model and the profile's variants."""
    return [BASE, *settings.validation.variants]


def measured(inputs: Inputs) -> pl.DataFrame:
    """Evaluations of the base model and of the profile's variants."""
    rows = inputs.table("evaluations")
    return rows.filter(pl.col("variant").is_in(evaluated(inputs.settings)))


def _compare(inputs: Inputs) -> StepResult:
    settings = inputs.settings
    by, tests = _ranked_by(inputs)
    known = {name: variant(name, settings) for name in _variants(settings)}
    controls = {name: own.control_of for name, own in known.items() if own.control_of is not None}
    parts = dict.fromkeys(name for name, own in known.items() if own.part_of is not None)
    ranked = Ranked.of(measured(inputs), by, tests)
    return StepResult(compare(ranked, {**controls, **parts}, settings.validation, settings.seed))


def _compared_shown(inputs: Inputs, rows: pl.DataFrame) -> Mapping[str, Any]:
    families = rows.group_by("family", maintain_order=True).agg("conclusion")
    return {f"against_{family}": said for family, said in families.iter_rows()}


COMPARISONS = Step(
    name="comparisons",
    table="comparisons",
    make=_compare,
    reads=Reads(tables=("evaluations",), beside=UNITS, queries=("ranking_units",), settings=TESTS),
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
        measured(inputs),
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
    return RankedBy(ranked_by(inputs.settings), prompts), tests


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
        tables=("evaluations", "training_runs", "comparisons"),
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
