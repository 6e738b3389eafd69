"""Files into the lake: recorded votes, labelled pairs, and pairs of code.

A report card says how far the judge of recorded votes can be trusted.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline import config
from pipeline.cells import rows_left_out
from pipeline.config import JudgeSettings, PersonalDataSettings
from pipeline.engine.base import Reject
from pipeline.ids import content_id
from pipeline.judge import card, recorded
from pipeline.judge.names import Names
from pipeline.personal import without_personal
from pipeline.prompts.files import read
from pipeline.prompts.origins import Origin, known_imports, origin_of, remember
from pipeline.steps.rejects import reject_rows
from pipeline.store import Commit, Lake
from pipeline.synthesis import codefavor_recorded

OFF = PersonalDataSettings()
RESPONSES = (
    "SELECT response_id, prompt_id, messages FROM responses LEFT JOIN prompts USING (prompt_id)"
)
# What a file may name by id alone: not what an earlier import of the same file brought, which it
# replaces.
IMPORTED = """
    SELECT unnest([first_name, first_id, second_name, second_id]) AS name, prompt_id,
           unnest([first_id, first_id, second_id, second_id]) AS response_id
    FROM recorded_pairs WHERE origin <> $origin
"""


@dataclass(frozen=True)
class Brought:
    """What came of a file."""

    votes: int
    pairs: int
    rejected: int  # rows; a row of several judgements counts once
    reasons: list[tuple[str, int]]
    cards: pl.DataFrame  # rows of `judges`
    repeated: int = 0  # rows that say what an earlier one says
    layout: str = ""
    origin: str = ""
    replaced: int = 0  # pairs of an earlier import


@dataclass(frozen=True)
class BroughtCode:
    """What came of a file of code pairs."""

    methods: dict[str, int]
    tested: int
    rejected: int
    reasons: list[tuple[str, int]]
    repeated: int
    layout: str
    origin: str
    replaced: int


def bring(
    path: Path,
    settings: JudgeSettings,
    name: str | None = None,
    personal: PersonalDataSettings = OFF,
) -> Brought:
    """Replaces what an earlier import of this file brought.

    personal: whether rows with personal data are rejected.

    Raises:
        OrchardError: no such file, not what its name says, a missing column, or no row that could
            be used.
    """
    rows, columns = read(path)
    rows = list(without_personal(rows, personal))
    with Lake(config.home()) as lake:
        origin = origin_of(path, known_imports(lake, "recorded_pairs"), name)
        found = recorded.read(rows, columns, origin.name, _names(lake, origin.name))
        before = _earlier(lake, "recorded_pairs", origin)
        commit = Commit(f"import {origin.name}")
        kept = lake.write("recorded_pairs", found.pairs, commit, partition={"origin": origin.name})
        own = {"source": "recorded", "origin": origin.name}
        lake.write("votes", found.votes, commit, partition=own, rejects=reject_rows(found.rejects))
        remember(lake, "recorded_pairs", origin, found.layout)
        items, labels = lake.query_file("judge_items"), lake.query_file("judge_labels")
    cards = card.cards(found.votes, items, labels, settings)
    rejected, repeated = _left_out(found.rejects)
    return Brought(
        votes=found.votes.height,
        pairs=kept.rows,
        rejected=rejected,
        reasons=_reasons(found.rejects),
        cards=cards,
        repeated=repeated,
        layout=found.layout,
        origin=origin.name,
        replaced=before,
    )


def _earlier(lake: Lake, table: str, origin: Origin) -> int:
    """Rows that an earlier import of this name brought."""
    return lake.read(table).filter(pl.col("origin") == origin.name).height


def _left_out(rejects: list[Reject]) -> tuple[int, int]:
    return rows_left_out((reject.row_id, reject.reason) for reject in rejects)


def _reasons(rejects: list[Reject]) -> list[tuple[str, int]]:
    return Counter(reject.reason for reject in rejects).most_common(5)


def _names(lake: Lake, origin: str) -> Names:
    """What rows of that file may name by id alone."""
    responses = lake.sql(RESPONSES).rows()
    turns = {
        prompt_id: content_id(messages)
        for _, prompt_id, messages in responses
        if messages is not None
    }
    imported = lake.sql(IMPORTED, {"origin": origin}).drop_nulls("name").unique()
    return Names(
        ((one, prompt_id, turns.get(prompt_id)) for one, prompt_id, _ in responses), imported.rows()
    )


def bring_code(
    path: Path, name: str | None = None, personal: PersonalDataSettings = OFF
) -> BroughtCode:
    """Replaces what an earlier import of this file brought into `recorded_code`.

    personal: whether rows with personal data are rejected.

    Raises:
        OrchardError: no such file, not what its name says, missing columns, or no row that could
            be used.
    """
    rows, columns = read(path)
    rows = list(without_personal(rows, personal))
    with Lake(config.home()) as lake:
        origin = origin_of(path, known_imports(lake, "recorded_code"), name)
        found = codefavor_recorded.read(rows, columns, origin.name)
        before = _earlier(lake, "recorded_code", origin)
        commit = Commit(f"import-code {origin.name}", fingerprint=content_id(found.rows.to_dicts()))
        own = {"origin": origin.name}
        lake.write(
            "recorded_code", found.rows, commit, partition=own, rejects=reject_rows(found.rejects)
        )
        remember(lake, "recorded_code", origin, found.layout)
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
