"""Code pairs and critics' replies from a file:
another critic's work, people's fixes, or drafts that were kept.

One row is one pair, in one of three forms; other columns are kept as metadata, but those that would
change the task are an error:

- `instruction`, `naive` and `improved`: two programs for one task, the second held to be the better
  one;
- `instruction`, `draft` and `reply`: what a critic said of a draft, with the marks of Critic-Evol;
- `reply` alone: a critic's third turn about a commit, with the marks of Commit-Instruct.

And with each: `tests` (Python with assert statements; with `names` and `setup` as in a pool),
`criteria`, `feedback`, `critic` and `drafter` (names), `licence`, `source`. A reply is read by the
same parser as our own critic's.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

import polars as pl

from pipeline import cells, tables
from pipeline.cells import BadRow, Row
from pipeline.config import SplitSettings
from pipeline.engine.base import Completion, Reject
from pipeline.errors import OrchardError
from pipeline.ids import content_id
from pipeline.prompts.pools import split_of
from pipeline.prompts.record import to_json
from pipeline.synthesis.codefavor import commit_messages
from pipeline.synthesis.codefavor_code import parse, same, stripped
from pipeline.synthesis.codefavor_reply import GoodEnough, Malformed, read_commit, read_evol
from pipeline.verify import code

STEP = "import-code"
FORMS = {
    "two programs": {"instruction", "naive", "improved"},
    "a critic's reply to a draft": {"instruction", "draft", "reply"},
    "a critic's reply about a commit": {"reply"},
}
KNOWN = {
    "tests",
    "names",
    "setup",
    "criteria",
    "feedback",
    "critic",
    "drafter",
    "licence",
    "source",
}.union(*FORMS.values())


@dataclass(frozen=True)
class RecordedCode:
    """What a file holds: rows of `recorded_code`, what was rejected,
    and the forms that were recognised.
    """

    rows: pl.DataFrame
    rejects: list[Reject] = field(default_factory=list)
    layout: str = ""


def read(rows: Iterable[tuple[int, Row]], columns: list[str], origin: str) -> RecordedCode:
    """The pairs of a file; the same pair counts once.

    Args:
        rows: numbered rows with named columns, as `pipeline.prompts.files.read` gives them.
        columns: all the file's columns.
        origin: the file's name.

    Raises:
        OrchardError: the columns tell no pair, or no row could be used.
    """
    rows = list(rows)
    layout = _recognised(rows, columns, origin)
    taken: dict[str, Row] = {}
    rejects: list[Reject] = []
    for number, raw in rows:
        where = f"{origin} row {number}"
        try:
            row = cells.attempt(_row, raw, origin, where)
            if row["record_id"] in taken:
                raise BadRow(f"the same pair as {taken[row['record_id']]['_where']}{cells.REPEAT}")
        except BadRow as bad:
            rejects.append(Reject("recorded_code", STEP, where, str(bad), raw))
        else:
            taken[row["record_id"]] = {**row, "_where": where}
    if not taken:
        why = (
            f"no row could be used: {rejects[0].row_id}: {rejects[0].reason}"
            if rejects
            else "it has no rows"
        )
        raise OrchardError(f"{origin}: {why}")
    found = [
        {name: value for name, value in row.items() if name != "_where"} for row in taken.values()
    ]
    return RecordedCode(
        pl.DataFrame(found, schema=tables.empty("recorded_code").schema), rejects, layout
    )


def _recognised(rows: cells.Rows, columns: list[str], origin: str) -> str:
    """The forms that the columns tell, in words."""
    told = [name for name, form in FORMS.items() if form <= set(columns)]
    if not told:
        raise OrchardError(
            f"{origin}: columns {', '.join(columns) or 'none'}: "
            "needed are instruction, naive and improved; or instruction, draft and reply; or reply"
        )
    if unread := cells.unread_meaning(rows, KNOWN):
        raise OrchardError(
            f"{origin}: its columns {', '.join(unread)} would change the task: "
            "put them into instruction, or remove them"
        )
    return " or ".join(told)


def pairs(records: pl.DataFrame, splits: SplitSettings) -> tuple[list[Row], dict[str, str]]:
    """Rows of `code_pairs` without measurements,
    and the verifier's JSON of those that have tests, by code_pair_id.
    """
    rows: list[Row] = []
    tests: dict[str, str] = {}
    for record in records.sort("record_id").to_dicts():
        messages = record["messages"]
        prompt_id = content_id(messages, None, None)
        pair_id = content_id("recorded", prompt_id, record["naive"], record["improved"])
        if record["tests"] is not None:
            tests[pair_id] = record["tests"]
        kept = (
            "method",
            "messages",
            "instruction",
            "criteria",
            "naive",
            "improved",
            "feedback",
            "reflection",
        )
        rows.append(
            {
                "code_pair_id": pair_id,
                "prompt_id": prompt_id,
                "split": split_of(messages, splits),
                **{name: record[name] for name in (*kept, "source", "licence")},
                "policy_id": record["critic"],
                "draft_id": record["drafter"],
                "tokens": 0,  # paid for elsewhere
            }
        )
    return rows, tests


def _row(raw: Row, origin: str, where: str) -> Row:
    cells.check_row(raw)
    found = (
        _evol(raw) if _text(raw, "draft") else _commit(raw) if _text(raw, "reply") else _plain(raw)
    )
    instruction, improved = found["instruction"], found["improved"]
    tests = _tests(raw, improved)
    named = {"source": where, "licence": "unknown", "critic": origin, "drafter": origin}
    return {
        "record_id": content_id(origin, instruction, found["naive"], improved),
        "origin": origin,
        **{"criteria": None, "feedback": None, "reflection": None, **found},
        "tests": tests,
        "metadata": _others(raw),
        **{name: _text(raw, name) or default for name, default in named.items()},
    }


def _plain(raw: Row) -> Row:
    instruction, naive, improved = (
        _needed(raw, name) for name in ("instruction", "naive", "improved")
    )
    for name, source in (("naive", naive), ("improved", improved)):
        if stripped(source) is None:
            raise BadRow(
                f"{name} is nested too deeply" if parse(source) else f"{name} is not Python"
            )
    if same(naive, improved):
        raise BadRow("both codes say the same")
    found: Row = {
        "method": "recorded",
        "instruction": instruction,
        "naive": naive,
        "improved": improved,
    }
    found |= {name: _text(raw, name) for name in ("criteria", "feedback")}
    return {**found, "messages": [{"role": "user", "content": instruction}]}


def _evol(raw: Row) -> Row:
    instruction, draft, reply = (_needed(raw, name) for name in ("instruction", "draft", "reply"))
    metadata = _metadata(raw)
    program = code.program(draft, metadata)
    if program is None:
        raise BadRow("malformed: the draft holds no program")
    read_ = read_evol(_said(reply), program, metadata)
    if isinstance(read_, GoodEnough):
        raise BadRow("good enough: the critic has nothing to improve")
    if isinstance(read_, Malformed):
        raise BadRow(f"malformed: {read_.reason}")
    found = {
        name: getattr(read_, name)
        for name in ("criteria", "naive", "improved", "feedback", "reflection")
    }
    messages = [{"role": "user", "content": instruction}]
    return {"method": "evol", "instruction": instruction, "messages": messages, **found}


def _commit(raw: Row) -> Row:
    read_ = read_commit(_said(_needed(raw, "reply")))
    if isinstance(read_, Malformed):
        raise BadRow(f"malformed: {read_.reason}")
    found = {
        name: getattr(read_, name)
        for name in ("instruction", "criteria", "naive", "improved", "feedback")
    }
    return {"method": "commit", "messages": commit_messages(read_), **found}


def _tests(raw: Row, improved: str) -> str | None:
    """The verifier's JSON; null where the row has no tests."""
    tests = _text(raw, "tests")
    if tests is None:
        return None
    names, setup = cells.plain(raw.get("names")), _text(raw, "setup")
    return code.task_of({"answer": improved, "tests": tests, "names": names, "setup": setup})[1]


def _metadata(raw: Row) -> str | None:
    """What tells a program from an example of its use:
    the tests and the names that they call; null where not given.
    """
    tests, names = _text(raw, "tests"), cells.plain(raw.get("names"))
    if tests is None or not names:
        return None
    if not code.are_names(names):
        raise BadRow(f"names must be a list of texts, not {str(names)[:40]!r}")
    return json.dumps({"tests": tests, "names": names})


def _others(raw: Row) -> str | None:
    more = cells.other_columns(raw, KNOWN)
    return to_json(more) if more else None


def _said(text: str) -> Completion:
    """A reply of a file: how it ended is not known, so that it needs all its marks."""
    return Completion(text, (), (), "unknown", None, 0)


def _needed(raw: Row, name: str) -> str:
    value = _text(raw, name)
    if value is None:
        raise BadRow(f"no {name}")
    return value


def _text(raw: Row, name: str) -> str | None:
    """A column's text, stripped; null where it is missing or empty."""
    return cells.text(raw.get(name), name) or None
