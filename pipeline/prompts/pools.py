"""From pools to the prompts table:
templates, normalised answers, splits, and a reason for every row left out.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import polars as pl

from pipeline import cells, tables
from pipeline.cells import BadRow
from pipeline.config import PersonalDataSettings, PoolSettings, Settings, SplitSettings
from pipeline.conversation import CALLS
from pipeline.errors import OrchardError
from pipeline.folding import turns_id
from pipeline.ids import content_id, unit_for
from pipeline.personal import PersonalData, refuse_personal
from pipeline.prompts.record import Record, to_json
from pipeline.prompts.source import SOURCES, Source
from pipeline.prompts.turns import (
    Messages,
    check_template,
    messages_of,
    read_prompt,
    read_turns,
    with_tools,
)
from pipeline.store.refused import reason_of
from pipeline.verify import canonical, check

Row = dict[str, Any]
KEPT_FOR_TESTS = "left out of what is learned from: the evaluation set"


@dataclass
class _Loaded:
    prompts: list[Row] = field(default_factory=list)
    rejects: list[Row] = field(default_factory=list)
    # What a conversation looks like -> (where, prompt).
    seen: dict[str, tuple[str, Row]] = field(default_factory=dict)
    erased: Mapping[str, str] = field(default_factory=dict)
    sets: Collection[str] = ()  # pools of the role evaluation
    asked: Mapping[str, str] = field(default_factory=dict)  # what sets of pairs ask -> the set
    personal: PersonalDataSettings = PersonalDataSettings()


class Erased(BadRow):
    """The row asks what was erased."""


def load_pools(
    settings: Settings,
    erased: Mapping[str, str] | None = None,
    asked: Mapping[str, str] | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All pools of the settings as rows of the tables prompts and rejects, in order, those of the
    role evaluation before the others.

    Of equal prompts the first stays: what an evaluation set asks is left out of what is learned
    from.

    Args:
        settings: of the profile.
        erased: the day of its erasure by id, of prompts and of their turns (`turns_id`).
        asked: conversations (`turns_id`) of sets of pairs for evaluation, and the set of each.

    Raises:
        OrchardError: a pool that cannot be read, or without a usable row; splits that leave no
            train prompts.
    """
    if settings.splits.validation + settings.splits.test >= 1:
        raise OrchardError(
            "splits: validation and test together must stay below 1: they leave no train prompts"
        )
    sets = evaluation_pools(settings)
    personal = settings.personal_data
    loaded = _Loaded(erased=erased or {}, sets=sets, asked=asked or {}, personal=personal)
    for pool in sorted(settings.pools, key=lambda pool: pool.role != "evaluation"):
        _load(pool, settings.splits, loaded)
    return _frame("prompts", loaded.prompts), _frame("rejects", loaded.rejects)


def split_of(messages: list[dict[str, str]], splits: SplitSettings) -> tables.Split:
    """A prompt's split: by hash of its messages alone,
    so that it never moves when its pool grows or others join.
    """
    unit = unit_for("split", messages)
    if unit < splits.test:
        return "test"
    return "validation" if unit < splits.test + splits.validation else "train"


def _load(pool: PoolSettings, splits: SplitSettings, loaded: _Loaded) -> None:
    verifier = verifier_of(pool)
    check_template(pool)
    before, dropped = len(loaded.prompts), len(loaded.rejects)
    for record in _records(pool):
        try:
            said = (record.question, record.answer, record.metadata, record.tools)
            refuse_personal(said, loaded.personal)
            prompt = cells.attempt(_prompt, pool, record, verifier, splits)
            _refuse_erased(prompt, loaded.erased)
            _refuse_repeats(prompt, pool, record, loaded)
        except (Erased, PersonalData) as bad:  # a reject without a text of the row
            nothing = Record(record.where, None, None)
            loaded.rejects.append(_reject(pool, nothing, str(bad)))
        except BadRow as bad:
            loaded.rejects.append(_reject(pool, record, str(bad)))
        else:
            loaded.prompts.append(prompt)
    if len(loaded.prompts) == before:
        reasons = loaded.rejects[dropped:]
        raise OrchardError(
            f"pool {pool.name!r}: none of its {len(reasons)} rows can be used; "
            f"the first: {reasons[0]['reason']}"
            if reasons
            else f"pool {pool.name!r}: it has no rows"
        )


def _records(pool: PoolSettings) -> Iterator[Record]:
    """The rows of a pool, from its source, which may be a user's."""
    with cells.of_all_rows(f"pool {pool.name!r}: its source {pool.source!r} failed"):
        for number, record in enumerate(islice(source_of(pool).records(pool), pool.size), start=1):
            if not isinstance(record, Record):
                flaw = f"its source gives {cells.kind_of(record)}, not a Record"
                record = Record(f"row {number}", None, None, flaw=flaw)
            yield record


def source_of(pool: PoolSettings) -> Source:
    """The source of a pool.

    Raises:
        OrchardError: there is none of that name; the message has those that there are.
    """
    try:
        return SOURCES.find(pool.source)
    except OrchardError as error:
        raise OrchardError(f"pool {pool.name!r}: {error}") from error


def evaluation_pools(settings: Settings) -> list[str]:
    """Names of the pools that are evaluation sets."""
    return [pool.name for pool in settings.pools if pool.role == "evaluation"]


def verifiers_of(settings: Settings) -> list[str]:
    """Names of the verifiers of a profile's pools, each once."""
    names = [verifier_of(pool) for pool in settings.pools]
    return list(dict.fromkeys(name for name in names if name is not None))


def verifier_of(pool: PoolSettings) -> str | None:
    """The pool's verifier; the setting 'none' stands for prompts that nothing checks."""
    if pool.verifier == "none":
        return None
    if pool.verifier is None and source_of(pool).has_tasks:
        return source_of(pool).verifier(pool)  # whose task the source checks, with a better message
    name = pool.verifier or source_of(pool).verifier(pool)
    try:
        check(name)
    except OrchardError as error:
        raise OrchardError(f"pool {pool.name!r}: {error}") from error
    return name


def _prompt(pool: PoolSettings, record: Record, verifier: str | None, splits: SplitSettings) -> Row:
    if record.flaw:
        raise BadRow(record.flaw)
    messages = messages_of(pool, _question(record, pool))
    answer = None if verifier is None else _answer(record.answer, pool, verifier)
    return {
        "prompt_id": content_id(messages, answer, verifier),
        "pool": pool.name,
        "task": pool.task
        if source_of(pool).has_tasks or "task" in pool.model_fields_set
        else pool.name,
        "split": "test" if pool.role == "evaluation" else split_of(messages, splits),
        "messages": messages,
        "answer": answer,
        "verifier": verifier,
        "metadata": record.metadata if verifier is not None else None,
        "source": f"{pool.source}: {source_of(pool).origin(pool, record)}",
        "licence": pool.licence,
    }


def _question(record: Record, pool: PoolSettings) -> str | Messages:
    """What a row asks: a text, or the turns of a conversation that a response follows."""
    value, column = record.question, pool.prompt_column
    name = f"column {column!r}"
    if not (isinstance(value, list) and value and isinstance(value[0], dict)):
        question = _present(cells.text(value, name), column)
        turns = [{"role": "user", "content": question}]
        return question if record.tools is None else with_tools(turns, record.tools, name)
    if pool.last_answer == "drop":
        turns = with_tools(read_turns(value, name), record.tools, name)
        while turns and turns[-1]["role"] in ("assistant", CALLS):
            turns = turns[:-1]
        return read_prompt(turns, name) or []
    begun = pool.last_answer == "continue"
    return read_prompt(value, name, record.tools, begun=begun) or []


def _answer(value: Any, pool: PoolSettings, verifier: str) -> str:
    name = f"column {pool.answer_column!r}"
    text = _present(cells.answer(value, name), pool.answer_column)
    try:
        return canonical(text, verifier)
    except OrchardError as error:
        raise BadRow(f"{name}: {error}") from error


def _present(text: str | None, column: str) -> str:
    if text is None:
        raise BadRow(f"column {column!r} is missing")
    if not text:
        raise BadRow(f"column {column!r} is empty")
    return text


def _refuse_erased(prompt: Row, erased: Mapping[str, str]) -> None:
    for name in (prompt["prompt_id"], turns_id(prompt["messages"])) if erased else ():
        if name in erased:
            raise Erased(reason_of(erased[name]))


def _refuse_repeats(prompt: Row, pool: PoolSettings, record: Record, loaded: _Loaded) -> None:
    """Refuse a prompt that an earlier row has too, folded; capitals and white space count."""
    turns = turns_id(prompt["messages"])
    if pool.name not in loaded.sets and turns in loaded.asked:
        raise BadRow(f"{KEPT_FOR_TESTS} {loaded.asked[turns]!r} asks the same")
    where, first = loaded.seen.setdefault(turns, (record.where, prompt))
    if first is prompt:
        return
    if first["pool"] in loaded.sets and pool.name not in loaded.sets:
        raise BadRow(f"{KEPT_FOR_TESTS} {first['pool']!r} asks the same ({where})")
    same = (first["answer"], first["verifier"]) == (prompt["answer"], prompt["verifier"])
    other = (
        ""
        if same
        else f", with another answer or verifier ({first['answer']}, here {prompt['answer']})"
    )
    raise BadRow(f"duplicate of {where}{other}")


def _reject(pool: PoolSettings, record: Record, reason: str) -> Row:
    reason = f"{record.where}: {reason}"
    row = to_json({"pool": pool.name, "question": record.question, "answer": record.answer})
    return {
        "reject_id": content_id("prompts", pool.name, record.where, reason, row),
        "table": "prompts",
        "step": "prompts",
        "row_id": None,
        "reason": reason,
        "row": row,
    }


def _frame(table: str, rows: list[Row]) -> pl.DataFrame:
    return tables.TABLES[table].validate(pl.DataFrame(rows, schema=tables.empty(table).schema))
