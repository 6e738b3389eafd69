"""From rows of `preferences`, `preference_lists` or `unpaired` to token ids."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import polars as pl

from pipeline import tables
from pipeline.engine.rendering import render
from pipeline.errors import OrchardError
from pipeline.ids import content_id
from pipeline.training.example import Example, Ids, Side

TooLong = Literal["truncate", "drop"]


@dataclass(frozen=True)
class Examples:
    """Rows in = examples + rejects."""

    examples: list[Example]
    truncated: int  # examples whose context lost tokens on the left
    rejects: pl.DataFrame


def tokenize(rows: pl.DataFrame, tokenizer: Any, max_length: int, too_long: TooLong = "truncate") -> Examples:
    """Token ids of every row, in the order of the rows; the columns tell which of the three tables they are of.

    Context and text are tokenised apart, as they are when the model samples. A context that does not leave room for
    the longest text of its row within `max_length` loses tokens on the left (`truncate`), or its row is rejected
    (`drop`). A text that alone does not leave room for one token of context is rejected always.
    """
    if tokenizer.chat_template is None:
        raise OrchardError(f"tokenizer of {tokenizer.name_or_path}: no chat template: use an instruction-tuned model")
    read = _reader(rows, tokenizer)
    examples: list[Example] = []
    rejects: list[dict[str, Any]] = []
    truncated = 0
    for row in rows.iter_rows(named=True):
        example = read(row)
        cut = _truncate(example, max_length)
        reason = _fault(example, max_length)
        if not reason and too_long == "drop" and cut != example:
            tokens = max(len(context) for context, _ in example.texts)
            reason = f"a context of {tokens} tokens does not fit into max_length {max_length} beside its text"
        if reason:
            rejects.append(_reject(row, example.row_id, reason))
            continue
        truncated += cut != example
        examples.append(cut)
    return Examples(examples, truncated, pl.DataFrame(rejects, schema=tables.empty("rejects").schema))


def _reader(rows: pl.DataFrame, tokenizer: Any) -> Callable[[dict[str, Any]], Example]:
    if "items" in rows.columns:
        return partial(_list, tokenizer=tokenizer)
    if "desirable" in rows.columns:
        return partial(_single, tokenizer=tokenizer)
    return partial(_pair, tokenizer=tokenizer)


def _pair(row: dict[str, Any], tokenizer: Any) -> Example:
    context = _context(row["messages"], row["prefix"], tokenizer)
    other = context
    if row["rejected_messages"] is not None or row["rejected_prefix"] is not None:
        messages = row["messages"] if row["rejected_messages"] is None else row["rejected_messages"]
        prefix = row["prefix"] if row["rejected_prefix"] is None else row["rejected_prefix"]
        other = _context(messages, prefix, tokenizer)
    chosen = context, _text(row["chosen"], row["chosen_ends"], tokenizer)
    rejected = other, _text(row["rejected"], row["rejected_ends"], tokenizer)
    rationale: tuple[Side, ...] = ()
    if row.get("rationale") is not None:  # see pipeline.training.rationales
        turns = _context(row["rationale_messages"], "", tokenizer)
        rationale = ((turns, _text(row["rationale"], True, tokenizer)),)
    return Example(
        row_id=row["pair_id"],
        texts=(chosen, rejected, *rationale),
        values=(1.0, 0.0),
        weight=row["weight"],
        strength=row["strength"],
        margin=row["margin"],
        noise_score=row["noise_score"],
        stage=row["stage"] or 0,
    )


def _list(row: dict[str, Any], tokenizer: Any) -> Example:
    context = _context(row["messages"], "", tokenizer)
    items = sorted(row["items"], key=lambda item: (-item["value"], item["item_id"]))  # any order gives equal tensors
    return Example(
        row_id=row["list_id"],
        texts=tuple((context, _text(item["text"], item["ends"], tokenizer)) for item in items),
        values=tuple(item["value"] for item in items),
        rewards=tuple(item["reward"] for item in items),
    )


def _single(row: dict[str, Any], tokenizer: Any) -> Example:
    context = _context(row["messages"], "", tokenizer)
    return Example(
        row_id=row["unpaired_id"],
        texts=((context, _text(row["text"], row["ends"], tokenizer)),),
        values=(1.0 if row["desirable"] else 0.0,),
        weight=row["weight"],
    )


def _context(messages: Sequence[dict[str, str]], prefix: str, tokenizer: Any) -> Ids:
    return tuple(tokenizer.encode(render(tokenizer, messages) + prefix, add_special_tokens=False))


def _text(text: str, ends: bool, tokenizer: Any) -> Ids:
    ids = tuple(tokenizer.encode(text, add_special_tokens=False))
    if not ends or not ids:
        return ids
    if tokenizer.eos_token_id is None:
        raise OrchardError(f"tokenizer of {tokenizer.name_or_path}: has no end-of-turn token: set eos_token")
    return (*ids, tokenizer.eos_token_id)


def _fault(example: Example, max_length: int) -> str | None:
    if not all(text for _, text in example.texts):
        return "a text has no tokens"
    if not all(context for context, _ in example.texts):
        return "a context has no tokens"
    longest = max(len(text) for _, text in example.texts)
    if longest >= max_length:
        return f"a text of {longest} tokens does not fit into max_length {max_length}"
    if len(example.values) > 1 and len(set(example.values)) == 1:
        return "all items have the same value: nothing is better"
    return None


def _truncate(example: Example, max_length: int) -> Example:
    compared = max((len(text) for _, text in example.compared), default=0)
    rooms = [max_length - compared] * len(example.values)
    rooms += [max_length - len(text) for _, text in example.texts[len(example.values) :]]
    cut = tuple((context[-max(room, 1) :], text) for (context, text), room in zip(example.texts, rooms, strict=True))
    return replace(example, texts=cut)


def _reject(row: dict[str, Any], row_id: str, reason: str) -> dict[str, Any]:
    return {
        "reject_id": content_id("training_runs", "training", row_id, reason),
        "table": "training_runs",
        "step": "training",
        "row_id": row_id,
        "reason": reason,
        "row": json.dumps(row, ensure_ascii=False, default=str),
    }
