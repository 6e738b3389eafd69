"""Tables of what was erased: that it was, and what may not come in again."""

import dataframely as dy

import pipeline.tables.kinds as col
from pipeline.tables.declared import table


@table("erasures")
class Erasures(dy.Schema):
    """One row per finished erasure; of what was erased it holds hashes and counts, never a text."""

    erasure_id = col.identifier("hash of what was asked, and of the day", key=True)
    kind = col.choice(["row", "prompt", "source", "text"], "what was asked for")
    asked = col.identifier("hash of the row, prompt, source or text that was named")
    erased_on = col.text("the day, ISO 8601, in UTC")
    rows = col.text("JSON of table to rows that went, of all versions together")
    completions = col.count("completions that left the cache")
    policies = col.text("JSON list of the policies that had learned from it")


@table("erased_ids")
class ErasedIds(dy.Schema):
    """One row per id that may not enter again: rows that have it become rejects without a text."""

    id = col.identifier("of a prompt, or of a row that was imported", key=True)
    erased_on = col.text("the day, ISO 8601, in UTC")
    erasure_id = col.identifier("the erasure that it went with")
