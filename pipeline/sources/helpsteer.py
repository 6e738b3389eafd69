"""HelpSteer 1 and 2 (Wang et al. 2024): ratings of single responses on five criteria."""

import json
import re
from typing import Any

from pipeline import cells
from pipeline.cells import BadRow, Row, Rows
from pipeline.engine.base import Reject
from pipeline.prompts.turns import Messages, read_prompt
from pipeline.sources.answers import Answer, Answers, with_ranks
from pipeline.sources.layout import Gathered, layout

JUDGE = "HelpSteer annotators"
# The first makes the order of the responses, as the paper makes pairs for DPO.
ASPECTS = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
ITEMS = "(rows of one prompt)"
# How the set writes further turns into a prompt.
_TURN = re.compile(r"<extra_id_1>(User|Assistant)\n")


def spread(rows: Rows, origin: str) -> tuple[list[Gathered], list[Reject]]:
    """All rows of a prompt as one."""
    groups: dict[str, list[tuple[int, Answer]]] = {}
    prompts: dict[str, Any] = {}
    rejects: list[Reject] = []
    for number, row in rows:
        try:
            key, answer = cells.attempt(_rated, row, number)
            groups.setdefault(key, []).append((number, answer))
            prompts[key] = row["prompt"]
        except BadRow as bad:
            rejects.append(Reject("votes", "import", f"{origin} row {number}", str(bad), row))
    found: list[Gathered] = []
    for key, own in groups.items():
        made = {"prompt": prompts[key], ITEMS: [one for _, one in own], cells.OTHERS: {}}
        found.append((tuple(number for number, _ in own), made))
    return found, rejects


def _rated(row: Row, number: int) -> tuple[str, Answer]:
    """What rows of one prompt share, and the response of this one."""
    cells.check_row(row)
    turns = _turns(row.get("prompt"))
    ratings = {name: cells.number(row.get(name), name) for name in ASPECTS}
    if turns is None or not cells.text(row.get("response"), "response"):
        raise BadRow("a rating needs a prompt and a response")
    if ratings[ASPECTS[0]] is None:
        raise BadRow(f"no {ASPECTS[0]}")
    answer = Answer(
        row["response"],
        score=ratings[ASPECTS[0]],
        ratings={name: one for name, one in ratings.items() if one is not None},
        metadata=cells.other_columns(row, {"prompt", "response", *ASPECTS}),
        number=number,
    )
    return json.dumps(turns), answer


@layout("HelpSteer", "prompt response helpfulness", knows=" ".join(ASPECTS), spread=spread)
def ratings(row: Row) -> Answers:
    """The responses to a prompt, ranked by helpfulness; every criterion is a vote on each pair."""
    items = with_ranks(row[ITEMS])
    return Answers(
        _turns(row["prompt"]),
        items,
        judge_id=JUDGE,
        is_list=len(items) > 1,
        keeps_ties=True,
    )


def _turns(value: Any) -> Messages | None:
    """A prompt, in which the set writes further turns after <extra_id_1>."""
    if not isinstance(value, str) or not _TURN.search(value):
        return read_prompt(value, "prompt")
    first, *parts = _TURN.split(value)
    turns = [{"role": "user", "content": first.strip()}]
    for role, content in zip(parts[::2], parts[1::2], strict=True):
        turns.append({"role": role.lower(), "content": content.strip()})
    if turns[-1] == {"role": "assistant", "content": ""}:
        turns = turns[:-1]
    return read_prompt(turns, "prompt")
