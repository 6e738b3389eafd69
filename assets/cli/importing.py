"""Sources into the lake: recorded votes, labelled pairs, and pairs of code.

A report card says how far the judge of recorded votes can be trusted.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline import config
from pipeline.cells import rows_left_out
from pipeline.config import JudgeSettings
from pipeline.engine.base import Reject
from pipeline.ids import content_id
from pipeline.judge import card
from pipeline.prompts.origins import Origin, known_imports, origin_of, remembered
from pipeline.sources import imported
from pipeline.sources.layout import recognise
from pipeline.sources.names import Names
from pipeline.sources.opened import Opened, open_source
from pipeline.sources.parts import check_one_layout
from pipeline.steps.rejects import reject_rows
from pipeline.store import Change, Commit, Lake
from pipeline.synthesis import codefavor_recorded

TABLES = ("recorded_pairs", "recorded_responses")  # of what a file brings, beside votes
RESPONSES = (
    "SELECT response_id, prompt_id, messages FROM responses LEFT JOIN prompts USING (prompt_id)"
)
# What a source may name by id alone: not what an earlier import of it brought, which it replaces.
IMPORTED = """
    SELECT unnest([first_name, first_id, second_name, second_id]) AS name, prompt_id,
           unnest([first_id, first_id, second_id, second_id]) AS response_id
    FROM recorded_pairs WHERE origin <> $origin
"""


@dataclass(frozen=True)
class ImportSummary:
    """What came of a source: its rows gave something, were rejected, or repeat others.

    Args:
        rows: of the file.
        gave: rows that gave a pair, a response or a vote.
        rejected: rows that gave nothing.
        repeated: rows that only say what earlier ones say.
        prompts: that the pairs and responses have.
        pairs: rows of `recorded_pairs`.
        responses: rows of `recorded_responses`.
        votes: rows of `votes`.
        ties: pairs of equally good responses.
        reasons: why something was left out, and how often; the most frequent ones.
        cards: rows of `judges`.
        layout: as what the file was recognised.
        origin: the name that its rows carry.
        replaced: pairs of an earlier import of it.
        replaced_responses: responses of an earlier import of it.
    """

    rows: int
    gave: int
    rejected: int
    repeated: int
    prompts: int
    pairs: int
    responses: int
    votes: int
    ties: int
    reasons: list[tuple[str, int]]
    cards: pl.DataFrame
    layout: str
    origin: str
    replaced: int = 0
    replaced_responses: int = 0


@dataclass(frozen=True)
class BroughtCode:
    """What came of a source of code pairs."""

    methods: dict[str, int]
    tested: int
    rejected: int
    reasons: list[tuple[str, int]]
    repeated: int
    layout: str
    origin: str
    replaced: int


def opened(source: Opened | Path) -> Opened:
    """A source that is open already, or the file or folder at a path."""
    return source if isinstance(source, Opened) else open_source(source)


def layout_of(source: Opened) -> str:
    """The name of the one layout that all parts of a source have.

    Raises:
        OrchardError: no layout fits, or two parts have different ones.
    """
    if len(source.parts) > 1:
        check_one_layout(
            source.parts,
            source.path,
            lambda part: recognise(part.rows, part.columns, f"{source.name}, {part.name}").name,
        )
    return recognise(source.rows, source.columns, source.name).name


def bring(source: Opened | Path, settings: JudgeSettings, name: str | None = None) -> ImportSummary:
    """Replaces what an earlier import of this source brought.

    Raises:
        OrchardError: no such source, not what its name says, a missing column, or no row that could
            be used.
    """
    source = opened(source)
    with Lake(config.home()) as lake:
        origin = origin_of(source, known_imports(lake, "recorded_pairs"), name)
        names = _names(lake, origin.name)
        found = imported.read(source.rows, source.columns, origin.name, names)
        before = {name: _earlier(lake, name, origin) for name in TABLES}
        own = {"origin": origin.name}
        of_votes, rejects = {"source": "recorded", **own}, reject_rows(found.rejects)
        changes = [
            Change("recorded_pairs", found.pairs, own),
            Change("recorded_responses", found.responses, own),
            Change("votes", found.votes, of_votes, rejects),
            remembered("recorded_pairs", origin, found.layout),
        ]
        pairs, *_ = lake.write_together(Commit(f"import {origin.name}"), changes)
        items, labels = lake.query_file("judge_items"), lake.query_file("judge_labels")
    cards = card.cards(found.votes, items, labels, settings)
    return ImportSummary(
        rows=found.rows,
        gave=found.gave,
        rejected=found.rejected,
        repeated=found.repeats,
        prompts=found.prompts,
        pairs=pairs.rows,
        responses=found.responses.height,
        votes=found.votes.height,
        ties=found.ties,
        reasons=_reasons(found.rejects),
        cards=cards,
        layout=found.layout,
        origin=origin.name,
        replaced=before["recorded_pairs"],
        replaced_responses=before["recorded_responses"],
    )


def _earlier(lake: Lake, table: str, origin: Origin) -> int:
    """Rows that an earlier import of this name brought."""
    return lake.read(table).filter(pl.col("origin") == origin.name).height


def _left_out(rejects: list[Reject]) -> tuple[int, int]:
    return rows_left_out((reject.row_id, reject.reason) for reject in rejects)


def _reasons(rejects: list[Reject]) -> list[tuple[str, int]]:
    return Counter(reject.reason for reject in rejects).most_common(5)


def _names(lake: Lake, origin: str) -> Names:
    """What rows of that source may name by id alone."""
    responses = lake.sql(RESPONSES).rows()
    turns = {
        prompt_id: content_id(messages)
        for _, prompt_id, messages in responses
        if messages is not None
    }
    earlier = lake.sql(IMPORTED, {"origin": origin}).drop_nulls("name").unique()
    return Names(
        ((one, prompt_id, turns.get(prompt_id)) for one, prompt_id, _ in responses), earlier.rows()
    )


def bring_code(source: Opened | Path, name: str | None = None) -> BroughtCode:
    """Replaces what an earlier import of this source brought into `recorded_code`.

    Raises:
        OrchardError: no such source, not what its name says, missing columns, or no row that could
            be used.
    """
    source = opened(source)
    with Lake(config.home()) as lake:
        origin = origin_of(source, known_imports(lake, "recorded_code"), name)
        found = codefavor_recorded.read(source.rows, source.columns, origin.name)
        before = _earlier(lake, "recorded_code", origin)
        commit = Commit(f"import-code {origin.name}", fingerprint=content_id(found.rows.to_dicts()))
        own = {"origin": origin.name}
        rows = Change("recorded_code", found.rows, own, reject_rows(found.rejects))
        lake.write_together(commit, [rows, remembered("recorded_code", origin, found.layout)])
    rejected, repeated = _left_out(found.rejects)
    return BroughtCode(
        methods=dict(found.rows.group_by("method").len().sort("method").iter_rows()),
        tested=found.rows["tests"].count(),
        rejected=rejected,
        reasons=_reasons(found.rejects),
        repeated=repeated,
        layout=found.layout,
        origin=origin.name,
        replaced=before,
    )
