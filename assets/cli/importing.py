"""Files into the lake: recorded votes and labelled pairs with the report card over them, and pairs of code."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline import config
from pipeline.config import JudgeSettings
from pipeline.ids import content_id
from pipeline.judge import card, recorded
from pipeline.judge.names import Names
from pipeline.prompts.files import read
from pipeline.steps.rejects import reject_rows
from pipeline.store import Commit, Lake
from pipeline.synthesis import codefavor_recorded

RESPONSES = (
    "SELECT response_id, prompt_id, messages FROM responses LEFT JOIN prompts USING (prompt_id)"
)
IMPORTED = """
    SELECT unnest([first_name, first_id, second_name, second_id]) AS name, prompt_id,
           unnest([first_id, first_id, second_id, second_id]) AS response_id
    FROM recorded_pairs WHERE origin <> $origin
"""  # what a file may name by id alone; not what an earlier import of the same file brought, which it replaces


@dataclass(frozen=True)
class Brought:
    """What came of a file."""

    votes: int
    pairs: int
    rejected: int
    reasons: list[tuple[str, int]]
    cards: pl.DataFrame  # rows of `judges`


def bring(path: Path, settings: JudgeSettings) -> Brought:
    """Replaces what an earlier import of a file of this name brought.

    Raises:
        OrchardError: no such file, not what its name says, a missing column, or no row that could be used.
    """
    rows, columns = read(path)
    origin = path.name
    with Lake(config.home()) as lake:
        found = recorded.read(rows, columns, origin, _names(lake, origin))
        commit = Commit(f"import {origin}")
        lake.write("recorded_pairs", found.pairs, commit, partition={"origin": origin})
        own = {"source": "recorded", "origin": origin}
        lake.write("votes", found.votes, commit, partition=own, rejects=reject_rows(found.rejects))
        items, labels = lake.query_file("judge_items"), lake.query_file("judge_labels")
    cards = card.cards(found.votes, items, labels, settings)
    reasons = Counter(reject.reason for reject in found.rejects).most_common(5)
    return Brought(found.votes.height, found.pairs.height, len(found.rejects), reasons, cards)


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


def bring_code(path: Path) -> tuple[dict[str, int], int, list[tuple[str, int]]]:
    """Replaces what an earlier import of a file of this name brought into `recorded_code`.

    Returns:
        Pairs by method, how many of them have tests, and the reasons of the rejected rows, most frequent first.

    Raises:
        OrchardError: no such file, not what its name says, missing columns, or no row that could be used.
    """
    rows, columns = read(path)
    found = codefavor_recorded.read(rows, columns, path.name)
    commit = Commit(f"import-code {path.name}", fingerprint=content_id(found.rows.to_dicts()))
    with Lake(config.home()) as lake:
        own = {"origin": path.name}
        lake.write(
            "recorded_code", found.rows, commit, partition=own, rejects=reject_rows(found.rejects)
        )
    methods = dict(found.rows.group_by("method").len().sort("method").iter_rows())
    reasons = Counter(reject.reason for reject in found.rejects).most_common(5)
    return methods, found.rows["tests"].count(), reasons
