"""Preference data that exist: the pairs and votes of a profile's sources, and their prompts."""

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from pipeline import extensions
from pipeline.config import Settings, SourceSettings
from pipeline.sources import imported
from pipeline.sources.imported import Imported
from pipeline.sources.layout import LAYOUTS
from pipeline.sources.names import Names
from pipeline.sources.opened import Asked, Opened, open_source
from pipeline.sources.pair_sets import asked_by, pair_sets
from pipeline.sources.prompts import source_prompts
from pipeline.steps import Inputs, Reads, Rows, Step, StepResult


def _read_here(settings: Settings) -> list[str]:
    """The sources that the profile says where to find; others were imported by hand."""
    return [source.name for source in settings.sources if source.path is not None]


def _layouts(settings: Settings, part: str | None = None) -> Reads:
    """The code of all layouts: which of them a file has is told by reading it."""
    extensions.load(settings.extensions)
    return Reads(code=tuple(dict.fromkeys(LAYOUTS.source_of(name) for name in LAYOUTS.all())))


def _named(settings: Settings) -> list[str]:
    return [source.name for source in settings.sources]


def _settings_of(inputs: Inputs) -> SourceSettings:
    return next(source for source in inputs.settings.sources if source.name == inputs.part)


def _opened(inputs: Inputs) -> Opened:
    own = _settings_of(inputs)
    personal = inputs.settings.personal_data
    asked = Asked(own.config, own.split, own.limit, own.map, personal)
    return inputs.once(f"source {own.name}", lambda: open_source(own.path or "", asked))


def _recorded(inputs: Inputs) -> Imported:
    """What a source holds. Rows name responses by their texts, or as earlier rows of it do."""
    source, name = _opened(inputs), inputs.part or ""
    nothing = Names((), ())
    return inputs.once(
        f"pairs of {name}", lambda: imported.read(source.rows, source.columns, name, nothing)
    )


def _pairs(inputs: Inputs) -> StepResult:
    found = _recorded(inputs)
    return StepResult(found.pairs, found.rejects, {"layout": found.layout})


def _recorded_rows(settings: Settings, part: str | None) -> Reads:
    """What the source holds, and the conversations of the sources that are evaluation sets."""
    recorded = ("recorded_pairs", "recorded_responses") if part else ()
    own = Reads(tables=tuple(Rows(table, "origin", str(part)) for table in recorded))
    sets = tuple(Rows("recorded_pairs", "origin", name) for name in pair_sets(settings))
    return own.plus(Reads(tables=sets, texts=tuple(f"set {rows.value}" for rows in sets)))


def _pairs_shown(inputs: Inputs, rows: pl.DataFrame) -> Mapping[str, Any]:
    known = rows["label"].drop_nulls()
    return {
        "prompts": rows["prompt_id"].n_unique(),
        "ties": int((known == 0.5).sum()),
        "without_label": rows.height - len(known),
    }


def _held(name: str, table: str, make: Callable[[Inputs], StepResult], **more: Any) -> Step:
    """A step that writes what each source of the profile holds into one table."""
    return Step(
        name=name,
        table=table,
        part_column="origin",
        parts=_read_here,
        all_parts=_read_here,
        make=make,
        reads=Reads(settings=("personal_data",)),
        reads_of=_layouts,
        # The rows themselves count: what stands at a path may change while the settings stay.
        counts=lambda inputs: _opened(inputs).content,
        group="sources",
        **more,
    )


SOURCE_PAIRS = _held(
    "source_pairs",
    "recorded_pairs",
    _pairs,
    show=_pairs_shown,
    description="Pairs of preference data that exist: the profile's `sources`.",
)
SOURCE_RESPONSES = _held(
    "source_responses",
    "recorded_responses",
    lambda inputs: StepResult(_recorded(inputs).responses),
    made_beside=("source_prompts",),
    description="Single texts of a source, of a ranked list or with a label of their own.",
)
# Made where something reads votes: made beside the pairs, the card of judges would come along, and
# with it the votes of the profile's own judges.
SOURCE_VOTES = _held(
    "source_votes",
    "votes",
    lambda inputs: StepResult(_recorded(inputs).votes),
    partition=Rows("votes", "source", "recorded"),
    description="Votes that a source's file holds: of its annotators, or of a judge.",
)
SOURCE_PROMPTS = Step(
    name="source_prompts",
    table="source_prompts",
    part_column="origin",
    parts=_named,
    all_parts=_named,
    make=lambda inputs: StepResult(
        source_prompts(
            inputs.table("recorded_pairs", where=f"origin = '{inputs.part}'"),
            inputs.table("recorded_responses"),
            inputs.table("prompts"),
            inputs.settings.splits,
            asked_by(inputs.table("recorded_pairs"), pair_sets(inputs.settings)),
        )
    ),
    reads=Reads(tables=("prompts",), settings=("splits",)),
    reads_of=_recorded_rows,
    show=lambda inputs, rows: {
        "tasks": dict(rows.group_by("task").len().sort("len", descending=True).iter_rows())
    },
    group="sources",
    description="Prompts of a source: their split, and the kind of task that they are.",
)

STEPS = (SOURCE_PAIRS, SOURCE_RESPONSES, SOURCE_VOTES, SOURCE_PROMPTS)
