"""What ids do not tell: rows that repeat a text, and texts that stand in rows that stay."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.erasure.reach import Held, Search
from pipeline.folding import folded, turns_id
from pipeline.ids import content_id
from pipeline.store.leaves import texts
from pipeline.store.refused import texts_in

_BATCH = 10_000  # rows that are held at once
_TELLING = 20  # characters of a reject's text that is part of a prompt; our choice
# whose completions are thought and text together
_THOUGHTS = ("responses", "policy_responses", "tree_nodes")


def places_of(held: Iterable[Held], text: str) -> Iterator[tuple[int, int]]:
    """(file, row) of every row in which a text stands, as it is or as JSON writes it."""
    needles = {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    for one in held:
        for start, batch in _batches(one):
            for values, rows in texts(batch):
                for needle in needles:
                    hits = rows.filter(pc.match_substring(values, needle).fill_null(False))
                    yield from ((one.number, start + row) for row in hits.to_pylist())


def marks(held: Iterable[Held], gone: Mapping[int, Sequence[int]]) -> set[bytes]:
    """Marks of all texts in rows that stay, of all versions; `gone`: rows that go, by file."""
    found: set[bytes] = set()
    for one in held:
        out = set(gone.get(one.number, ()))
        for start, batch in _batches(one):
            stay = np.array([start + row not in out for row in range(batch.num_rows)], dtype=bool)
            kept = batch.filter(pa.array(stay))
            for values, _ in texts(kept):
                found.update(mark(text) for text in values.to_pylist() if text)
            if one.table in _THOUGHTS and "thought" in kept.schema.names:
                both = zip(kept["thought"].to_pylist(), kept["text"].to_pylist(), strict=True)
                found.update(mark(f"{thought or ''}{text}") for thought, text in both)
    return found


def mark(text: str) -> bytes:
    """A hash of a text without its white space, which tables strip."""
    return blake2b("".join(text.split()).encode("utf-8", "surrogatepass"), digest_size=12).digest()


def repeating_rejects(search: Search) -> list[tuple[int, int]]:
    """(file, row) of rejects that repeat what a prompt that goes asked.

    Such as duplicates, and rows of its pool that could not be read at first: they have no id.
    """
    asked = {folded(text) for text in _asked(search)}
    if not asked:
        return []
    left = search.left("rejects", 'file, pos, "row", reason')
    few = sorted(asked) if len(asked) <= 100 else []
    return [
        (file, place)
        for file, place, row, reason in (left.iter_rows() if left.width else ())
        if any(_repeats(folded(text), asked, few) for text in (*_in_json(row), reason))
    ]


def turns_ids(search: Search) -> set[str]:
    """Hashes of the turns of prompts that go: a file may have the same under other answers.

    Of prompts of pools also the ids that the same turns have in imports, and without a verifier.
    """
    frames = {table: search.taken(table, "messages") for table in ("prompts", "recorded_pairs")}
    turns = {
        table: [one for one in frame["messages"].to_list() if one is not None]
        for table, frame in frames.items()
        if frame.width
    }
    found = {turns_id(one) for own in turns.values() for one in own}
    for one in turns.get("prompts", ()):
        found |= {content_id(one), content_id(one, None, None)}
    return found


def _asked(search: Search) -> Iterator[str]:
    rows = search.taken("prompts", "messages")
    for turns in rows["messages"].to_list() if rows.width else ():
        yield from (turn["content"] for turn in turns if turn["role"] == "user")


def _repeats(text: str, asked: set[str], few: Sequence[str]) -> bool:
    """Whether a text is a question, holds one, or is part of one (a template stands around it)."""
    if text in asked:
        return True
    long = len(text) >= _TELLING
    return any((long and text in one) or (len(one) >= _TELLING and one in text) for one in few)


def _in_json(row: str) -> set[str]:
    try:
        return texts_in(json.loads(row))
    except ValueError:
        return {row}


def _batches(one: Held) -> Iterator[tuple[int, pa.RecordBatch]]:
    """(number of its first row, rows) of a file."""
    start = 0
    for batch in pq.ParquetFile(one.path).iter_batches(_BATCH):
        yield start, batch
        start += batch.num_rows


def recorded_under(search: Search, prompt_id: str) -> list[str]:
    """Ids of imported code whose turns have that id as a prompt: its table does not name it."""
    rows = search.left("recorded_code", "record_id, messages")
    found: pl.DataFrame = rows if rows.width else pl.DataFrame({"record_id": [], "messages": []})
    return [
        record for record, turns in found.iter_rows() if content_id(turns, None, None) == prompt_id
    ]
