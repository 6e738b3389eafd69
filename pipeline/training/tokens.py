"""From rows of `preferences` to token ids."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline import tables
from pipeline.errors import OrchardError
from pipeline.ids import content_id

Ids = tuple[int, ...]


@dataclass(frozen=True)
class Example:
    """One preference as token ids, with the columns that a loss may read; None is unknown."""

    pair_id: str
    context: Ids
    chosen: Ids
    rejected: Ids
    rejected_context: Ids  # the same ids as context unless the sides have different prompts
    weight: float = 1.0
    strength: float | None = None  # P(chosen is better)
    margin: float | None = None

    @property
    def shared(self) -> bool:
        return self.context == self.rejected_context

    @property
    def sides(self) -> tuple[tuple[Ids, Ids], tuple[Ids, Ids]]:
        """(context, text) of the chosen and of the rejected side."""
        return (self.context, self.chosen), (self.rejected_context, self.rejected)


@dataclass(frozen=True)
class Examples:
    """Rows in = examples + rejects."""

    examples: list[Example]
    truncated: int  # examples whose context lost tokens on the left
    rejects: pl.DataFrame


def text_id(context: Ids, text: Ids) -> str:
    """The id of a text in its context; the end-of-turn token, where there is one, is part of the ids."""
    return content_id(context, text)


def tokenize(pairs: pl.DataFrame, tokenizer: Any, max_length: int) -> Examples:
    """Token ids of every pair, in the order of the rows.

    Context and text are tokenised apart, as they are when the model samples. A context that does not fit into
    `max_length` loses tokens on the left, the same ones for both sides of a shared context; a text that alone does
    not leave room for one token of context is dropped.
    """
    if tokenizer.chat_template is None:
        raise OrchardError(f"tokenizer of {tokenizer.name_or_path}: no chat template: use an instruction-tuned model")
    examples: list[Example] = []
    rejects: list[dict[str, Any]] = []
    truncated = 0
    for row in pairs.iter_rows(named=True):
        example = _example(row, tokenizer)
        reason = _fault(example, max_length)
        if reason:
            rejects.append(_reject(row, reason))
            continue
        cut = _truncate(example, max_length)
        truncated += cut != example
        examples.append(cut)
    return Examples(examples, truncated, pl.DataFrame(rejects, schema=tables.empty("rejects").schema))


def _example(row: dict[str, Any], tokenizer: Any) -> Example:
    context = _context(row["messages"], row["prefix"], tokenizer)
    other = context
    if row["rejected_messages"] is not None or row["rejected_prefix"] is not None:
        messages = row["messages"] if row["rejected_messages"] is None else row["rejected_messages"]
        prefix = row["prefix"] if row["rejected_prefix"] is None else row["rejected_prefix"]
        other = _context(messages, prefix, tokenizer)
    return Example(
        pair_id=row["pair_id"],
        context=context,
        chosen=_text(row["chosen"], row["chosen_ends"], tokenizer),
        rejected=_text(row["rejected"], row["rejected_ends"], tokenizer),
        rejected_context=other,
        weight=row["weight"],
        strength=row["strength"],
        margin=row["margin"],
    )


def _context(messages: Sequence[dict[str, str]], prefix: str, tokenizer: Any) -> Ids:
    rendered = tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, tokenize=False)
    return tuple(tokenizer.encode(rendered + prefix, add_special_tokens=False))


def _text(text: str, ends: bool, tokenizer: Any) -> Ids:
    ids = tuple(tokenizer.encode(text, add_special_tokens=False))
    if not ends or not ids:
        return ids
    if tokenizer.eos_token_id is None:
        raise OrchardError(f"tokenizer of {tokenizer.name_or_path}: has no end-of-turn token: set eos_token")
    return (*ids, tokenizer.eos_token_id)


def _fault(example: Example, max_length: int) -> str | None:
    longest = max(len(example.chosen), len(example.rejected))
    if not example.chosen or not example.rejected:
        return "a text has no tokens"
    if not example.context or not example.rejected_context:
        return "a context has no tokens"
    if longest >= max_length:
        return f"a text of {longest} tokens does not fit into max_length {max_length}"
    return None


def _truncate(example: Example, max_length: int) -> Example:
    longest = max(len(example.chosen), len(example.rejected))
    chosen_room = max_length - (longest if example.shared else len(example.chosen))
    rejected_room = max_length - (longest if example.shared else len(example.rejected))
    cuts = {"context": example.context[-chosen_room:], "rejected_context": example.rejected_context[-rejected_room:]}
    return Example(**{**example.__dict__, **cuts})


def _reject(row: dict[str, Any], reason: str) -> dict[str, Any]:
    return {
        "reject_id": content_id("training_runs", "training", row["pair_id"], reason),
        "table": "training_runs",
        "step": "training",
        "row_id": row["pair_id"],
        "reason": reason,
        "row": json.dumps(row, ensure_ascii=False, default=str),
    }
