"""A source layout: rows of a question and two answers with one to five stars each.

In a profile:

    extensions: [extensions/stars.py]

Then `orchard import stars.jsonl --profile my.yaml` takes files with these columns.
"""

from pipeline import cells
from pipeline.cells import BadRow, Row
from pipeline.sources.besides import BESIDES, Besides
from pipeline.sources.layout import layout


@layout("answers with stars", "question one two stars_one stars_two")
def stars(row: Row) -> Row:
    """The answer with more stars is better; equal stars are a tie."""
    one, two = (cells.number(row[name], name) for name in ("stars_one", "stars_two"))
    if one is None or two is None:
        raise BadRow("an answer has no stars")
    return {
        "prompt": row["question"],
        "first": row["one"],
        "second": row["two"],
        "label": 0.5 if one == two else float(one > two),
        BESIDES: Besides(scores=(one, two)),
    }
