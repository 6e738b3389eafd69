"""Code pairs and critics' replies from a file: another critic's work, people's fixes, or drafts that were kept.

One row is one pair, in one of three forms; other columns are ignored:

- `instruction`, `naive` and `improved`: two programs for one task, the second held to be the better one;
- `instruction`, `draft` and `reply`: what a critic said of a draft, with the marks of Critic-Evol;
- `reply` alone: a critic's third turn about a commit, with the marks of Commit-Instruct.

And with each: `tests` (Python with assert statements; with `names` and `setup` as in a pool), `criteria`, `feedback`,
`critic` and `drafter` (names), `licence`, `source`. A reply is read by the same parser as our own critic's.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from pipeline import tables
from pipeline.config import SplitSettings
from pipeline.engine.base import Completion, Reject
from pipeline.errors import OrchardError
from pipeline.ids import content_id
from pipeline.prompts.pools import split_of
from pipeline.synthesis.codefavor import commit_messages
from pipeline.synthesis.codefavor_code import parse, same, stripped
from pipeline.synthesis.codefavor_reply import GoodEnough, Malformed, read_commit, read_evol
from pipeline.verify import code

Row = dict[str, Any]
STEP = "import-code"
FORMS = ({"instruction", "naive", "improved"}, {"instruction", "draft", "reply"}, {"reply"})


class _Bad(Exception):
    """Why a row is not taken."""


@dataclass(frozen=True)
class RecordedCode:
    """What a file holds: rows of `recorded_code`, and what was rejected."""

    rows: pl.DataFrame
    rejects: list[Reject] = field(default_factory=list)


def read(rows: Iterable[tuple[int, Row]], columns: list[str], origin: str) -> RecordedCode:
    """The pairs of a file; the same pair counts once.

    Args:
        rows: numbered rows with named columns, as `pipeline.prompts.files.read` gives them.
        columns: all the file's columns.
        origin: the file's name.

    Raises:
        OrchardError: the columns tell no pair, or no row could be used.
    """
    if not any(form <= set(columns) for form in FORMS):
        raise OrchardError(
            f"{origin}: columns {', '.join(columns) or 'none'}: needed are instruction, naive and improved; or "
            "instruction, draft and reply; or reply"
        )
    taken: dict[str, Row] = {}
    rejects: list[Reject] = []
    for number, raw in rows:
        try:
            row = _row(raw, origin, f"{origin} row {number}")
        except _Bad as bad:
            rejects.append(Reject("recorded_code", STEP, f"{origin} row {number}", str(bad), raw))
        else:
            taken[row["record_id"]] = row
    if not taken:
        raise OrchardError(f"{origin}: no row could be used: {rejects[0].row_id}: {rejects[0].reason}" if rejects
                           else f"{origin}: it has no rows")  # fmt: skip
    return RecordedCode(pl.DataFrame([*taken.values()], schema=tables.empty("recorded_code").schema), rejects)


def pairs(records: pl.DataFrame, splits: SplitSettings) -> tuple[list[Row], dict[str, str]]:
    """Rows of `code_pairs` without measurements, and the verifier's JSON of those that have tests, by code_pair_id."""
    rows: list[Row] = []
    tests: dict[str, str] = {}
    for record in records.sort("record_id").to_dicts():
        messages = record["messages"]
        prompt_id = content_id(messages, None, None)
        pair_id = content_id("recorded", prompt_id, record["naive"], record["improved"])
        if record["tests"] is not None:
            tests[pair_id] = record["tests"]
        kept = ("method", "messages", "instruction", "criteria", "naive", "improved", "feedback", "reflection")
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
    found = _evol(raw) if _text(raw, "draft") else _commit(raw) if _text(raw, "reply") else _plain(raw)
    instruction, improved = found["instruction"], found["improved"]
    tests = _tests(raw, improved)
    named = {"source": where, "licence": "unknown", "critic": origin, "drafter": origin}
    return {
        "record_id": content_id(origin, instruction, found["naive"], improved),
        "origin": origin,
        **{"criteria": None, "feedback": None, "reflection": None, **found},
        "tests": tests,
        **{name: _text(raw, name) or default for name, default in named.items()},
    }


def _plain(raw: Row) -> Row:
    instruction, naive, improved = (_needed(raw, name) for name in ("instruction", "naive", "improved"))
    for name, source in (("naive", naive), ("improved", improved)):
        if stripped(source) is None:
            raise _Bad(f"{name} is nested too deeply" if parse(source) else f"{name} is not Python")
    if same(naive, improved):
        raise _Bad("both codes say the same")
    found: Row = {"method": "recorded", "instruction": instruction, "naive": naive, "improved": improved}
    found |= {name: _text(raw, name) for name in ("criteria", "feedback")}
    return {**found, "messages": [{"role": "user", "content": instruction}]}


def _evol(raw: Row) -> Row:
    instruction, draft, reply = (_needed(raw, name) for name in ("instruction", "draft", "reply"))
    metadata = _metadata(raw)
    program = code.program(draft, metadata)
    if program is None:
        raise _Bad("malformed: the draft holds no program")
    read_ = read_evol(_said(reply), program, metadata)
    if isinstance(read_, GoodEnough):
        raise _Bad("good enough: the critic has nothing to improve")
    if isinstance(read_, Malformed):
        raise _Bad(f"malformed: {read_.reason}")
    found = {name: getattr(read_, name) for name in ("criteria", "naive", "improved", "feedback", "reflection")}
    messages = [{"role": "user", "content": instruction}]
    return {"method": "evol", "instruction": instruction, "messages": messages, **found}


def _commit(raw: Row) -> Row:
    read_ = read_commit(_said(_needed(raw, "reply")))
    if isinstance(read_, Malformed):
        raise _Bad(f"malformed: {read_.reason}")
    found = {name: getattr(read_, name) for name in ("instruction", "criteria", "naive", "improved", "feedback")}
    return {"method": "commit", "messages": commit_messages(read_), **found}


def _tests(raw: Row, improved: str) -> str | None:
    """The verifier's JSON; null where the row has no tests."""
    tests = _text(raw, "tests")
    if tests is None:
        return None
    task = {"answer": improved, "tests": tests, "names": raw.get("names"), "setup": raw.get("setup")}
    try:
        return code.task_of(task)[1]
    except OrchardError as error:
        raise _Bad(str(error)) from error


def _metadata(raw: Row) -> str | None:
    """What tells a program from an example of its use: the tests and the names that they call; null where not given."""
    tests, names = _text(raw, "tests"), raw.get("names")
    if tests is None or not names:
        return None
    if not code.are_names(names):
        raise _Bad(f"names must be a list of texts, not {str(names)[:40]!r}")
    return json.dumps({"tests": tests, "names": names})


def _said(text: str) -> Completion:
    return Completion(text, (), (), "stop", None, 0)


def _needed(raw: Row, name: str) -> str:
    value = _text(raw, name)
    if value is None:
        raise _Bad(f"no {name}")
    return value


def _text(raw: Row, name: str) -> str | None:
    """A column's text, stripped; null where it is missing or empty."""
    value = raw.get(name)
    if value is not None and not isinstance(value, str):
        raise _Bad(f"{name} must be a text, not {str(value)[:40]!r}")
    return value.strip() or None if value else None
