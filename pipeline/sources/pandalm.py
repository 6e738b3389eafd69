"""PandaLM's human test set (Wang et al. 2024): three annotators a pair, who may say tie."""

from pipeline import cells
from pipeline.cells import Row, Rows
from pipeline.engine.base import Reject
from pipeline.sources.alpaca import asked
from pipeline.sources.labels import side, verdict
from pipeline.sources.layout import Gathered, columns, layout

ANNOTATORS = ("annotator1", "annotator2", "annotator3")
FORM = "instruction response1 response2 annotator1"
KNOWS = "input annotator2 annotator3 cmp_key"


def spread(rows: Rows, origin: str) -> tuple[list[Gathered], list[Reject]]:
    """Rows once for each annotator, named as the judge; a row without any stays one."""
    found: list[Gathered] = []
    for number, row in rows:
        names = [name for name in ANNOTATORS if not cells.is_blank(row.get(name))]
        others = cells.other_columns(row, columns(f"{FORM} {KNOWS}"))
        found += [
            ((number,), {**row, cells.OTHERS: others, "judge_id": name})
            for name in names or (None,)
        ]
    return found, []


@layout("PandaLM", FORM, knows=KNOWS, spread=spread)
def pandalm(row: Row) -> Row:
    """Annotators say 1, 2, or 0 for a tie; their mean is the label.

    One's vote has no seat, as two scores have none.
    """
    said = {name: side(row.get(name), "verdict") for name in ANNOTATORS}
    votes = {name: verdict(one) for name, one in said.items() if one is not None}
    mine = votes.get(row.get("judge_id") or "")
    scores = {} if mine is None else {"first_score": mine, "second_score": 1 - mine}
    models = cells.identifier(row.get("cmp_key"), "cmp_key") or ""
    first_policy, _, second_policy = models.partition("_")
    return {
        "prompt": asked(row),
        "first": row.get("response1"),
        "second": row.get("response2"),
        "label": sum(votes.values()) / len(votes) if votes else None,
        "first_policy": first_policy,
        "second_policy": second_policy,
        "judge_id": row.get("judge_id"),
        **scores,
    }
