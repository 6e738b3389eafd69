"""From rows of `preferences`, `preference_lists` or `unpaired` to token ids."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from pipeline import tables
from pipeline.config.training import LearnedThoughts, TooLong
from pipeline.engine.base import RequestFailed
from pipeline.engine.chat_tokenizer import ChatTokenizer
from pipeline.errors import OrchardError
from pipeline.ids import content_id
from pipeline.preferences.sampled import learned_ids, learned_thought
from pipeline.training.example import Example, Side

Row = dict[str, Any]
IDS = {"items": "list_id", "desirable": "unpaired_id", "pair_id": "pair_id"}  # by a column of each


@dataclass(frozen=True)
class Examples:
    """Rows in = examples + rejects."""

    examples: list[Example]
    truncated: int  # examples whose context lost tokens on the left
    rejects: pl.DataFrame


def tokenize(
    rows: pl.DataFrame,
    tokenizer: Any,
    max_length: int,
    too_long: TooLong = "truncate",
    thoughts: LearnedThoughts = "learned",
) -> Examples:
    """Token ids of every row, in the order of the rows.

    The columns tell which of the three tables they are of.

    Context and text are tokenised apart, as they are when the model samples. Turns are special
    tokens, and all that stands in them is plain text; only the marks of a model's own thoughts are
    the tokens that they were. A context that does not leave room for the longest text of its row
    within `max_length` loses tokens on the left (`truncate`), or its row is rejected (`drop`). A
    text that alone does not leave room for one token of context is rejected always, and so is a row
    whose turns the chat template refuses. `thoughts`: see TrainingSettings.
    """
    if tokenizer.chat_template is None:
        raise OrchardError(
            f"tokenizer of {tokenizer.name_or_path}: no chat template: "
            "use an instruction-tuned model"
        )
    read = _reader(rows, RowReader(ChatTokenizer(tokenizer), thoughts))
    named = next(name for column, name in IDS.items() if column in rows.columns)
    examples: list[Example] = []
    rejects: list[Row] = []
    truncated = 0
    for row in rows.iter_rows(named=True):
        try:
            example = read(row)
        except RequestFailed as error:
            rejects.append(_reject(row, row[named], str(error)))
            continue
        cut = _truncate(example, max_length)
        reason = _fault(example, max_length)
        if not reason and too_long == "drop" and cut != example:
            tokens = max(len(context) for context, _ in example.texts)
            reason = (
                f"a context of {tokens} tokens does not fit into max_length {max_length} "
                "beside its text"
            )
        if reason:
            rejects.append(_reject(row, example.row_id, reason))
            continue
        truncated += cut != example
        examples.append(cut)
    return Examples(
        examples, truncated, pl.DataFrame(rejects, schema=tables.empty("rejects").schema)
    )


def _reader(rows: pl.DataFrame, reader: "RowReader") -> Callable[[Row], Example]:
    if "items" in rows.columns:
        return reader.read_list
    if "desirable" in rows.columns:
        return reader.read_single
    return reader.read_pair


@dataclass(frozen=True)
class RowReader:
    """Reads rows of the three tables as examples, by one tokenizer and its template."""

    chat: ChatTokenizer
    thoughts: LearnedThoughts = "learned"

    def read_pair(self, row: Row) -> Example:
        """The example of a row of `preferences`."""
        sides = tuple(self._sides_of(row))
        if row.get("rationale") is not None:  # see pipeline.training.rationales
            sides += (self.side(row["rationale_messages"], row["rationale"], ends=True),)
        return Example(
            row_id=row["pair_id"],
            texts=sides,
            values=(1.0, 0.0),
            weight=row["weight"],
            strength=row["strength"],
            margin=row["margin"],
            noise_score=row["noise_score"],
            stage=row["stage"] or 0,
            loss=row.get("loss"),
        )

    def read_list(self, row: Row) -> Example:
        """The example of a row of `preference_lists`."""
        # Any order of the items gives equal tensors.
        items = sorted(row["items"], key=lambda item: (-item["value"], item["item_id"]))
        known = {one["item_id"]: one["thought"] for one in row.get("thoughts") or ()}
        if all(_has_step_rewards(item) for item in items):
            return self._read_steps(row, items, known)
        return Example(
            row_id=row["list_id"],
            texts=tuple(
                self.side(
                    row["messages"],
                    item["text"],
                    ends=item["ends"],
                    thought=known.get(item["item_id"]),
                )
                for item in items
            ),
            values=tuple(item["value"] for item in items),
        )

    def _read_steps(
        self, row: Row, items: Sequence[Row], thoughts: Mapping[str, str | None]
    ) -> Example:
        """The example of a list whose steps have rewards: each step a text, in the context of those
        before it.
        """
        texts, values, rewards, places = [], [], [], []
        for place, item in enumerate(items):
            before = ""
            for number, step in enumerate(item["steps"], 1):
                side = self.side(
                    row["messages"],
                    step["text"],
                    ends=item["ends"] and number == len(item["steps"]),
                    prefix=before,
                    thought=thoughts.get(item["item_id"]),
                )
                texts.append(side)
                values.append(item["value"])
                rewards.append(step["reward"])
                places.append(place)
                before += step["text"]
        return Example(
            row_id=row["list_id"],
            texts=tuple(texts),
            values=tuple(values),
            rewards=tuple(rewards),
            items=tuple(places),
        )

    def read_single(self, row: Row) -> Example:
        """The example of a row of `unpaired`."""
        return Example(
            row_id=row["unpaired_id"],
            texts=(
                self.side(
                    row["messages"],
                    row["text"],
                    ends=row["ends"],
                    thought=row.get("thought"),
                    sampled=learned_ids(row, "", self.thoughts),
                ),
            ),
            values=(1.0 if row["desirable"] else 0.0,),
            weight=row["weight"],
        )

    def side(
        self,
        messages: Sequence[Mapping[str, str]],
        text: str,
        *,
        ends: bool,
        prefix: str = "",
        thought: str | None = None,
        sampled: Sequence[int] | None = None,
    ) -> Side:
        """A context and the text that continues it, with the turn's end where the text ends it.

        A thought that comes right before the text is part of it where thoughts are learned; any
        other is context, as the response's own start is. `sampled` are the ids of thought and text
        together, where reading these again would give others.
        """
        kept = thought if thought and self.thoughts != "left_out" else ""
        learned = learned_thought(thought, self.thoughts, prefix)
        before = prefix if learned else kept + prefix
        return self.chat.side(messages, before, learned + text, ends=ends, sampled=sampled)

    def _sides_of(self, row: Row) -> Iterator[Side]:
        for side, own in (("chosen", ""), ("rejected", "rejected_")):
            messages, prefix = row[f"{own}messages"], row[f"{own}prefix"]
            yield self.side(
                row["messages"] if messages is None else messages,
                row[side],
                ends=row[f"{side}_ends"],
                prefix=row["prefix"] if prefix is None else prefix,
                thought=row.get(f"{side}_thought"),
                sampled=learned_ids(row, f"{side}_", self.thoughts),
            )


def _has_step_rewards(item: Row) -> bool:
    steps = item.get("steps") or ()
    return bool(steps) and all(step["reward"] is not None for step in steps)


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
    cut = tuple(
        (context[-max(room, 1) :], text)
        for (context, text), room in zip(example.texts, rooms, strict=True)
    )
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
