"""A variant and its control: the shortest right response against the longest wrong one.

In a profile:

    extensions: [extensions/shortest.py]
    validation: {variants: [shortest, shortest_shuffled]}
"""

import polars as pl

from pipeline.config import Settings
from pipeline.preferences.controls import shuffled
from pipeline.preferences.variant import Variant, register
from pipeline.steps.declared import Reads
from pipeline.store.reader import Reader

PAIRS = """
    SELECT p.prompt_id, p.split, p.messages, 0 AS depth, '' AS prefix,
        arg_min(r.text, length(r.text)) FILTER (r.correct) AS chosen,
        arg_max(r.text, length(r.text)) FILTER (NOT r.correct) AS rejected,
        arg_min(r.response_id, length(r.text)) FILTER (r.correct) AS chosen_id,
        arg_max(r.response_id, length(r.text)) FILTER (NOT r.correct) AS rejected_id,
        true AS chosen_ends, true AS rejected_ends, any_value(r.policy_id) AS policy_id,
        NULL::DOUBLE AS strength, NULL::DOUBLE AS margin
    FROM prompts p JOIN responses r USING (prompt_id)
    GROUP BY ALL HAVING chosen IS NOT NULL AND rejected IS NOT NULL ORDER BY ALL
"""


def shortest(lake: Reader, settings: Settings) -> pl.DataFrame:
    """One pair for each prompt that has a right and a wrong response."""
    return lake.sql(PAIRS)


READS = Reads(tables=("prompts", "responses"))
OWN = Variant("shortest", "response", "shortest right, longest wrong", READS, shortest)
register(OWN, OWN.control("shuffled", "labels shuffled", shuffled(shortest)))
