"""MAPL's synthetic data:
instructions that a response provably fulfils or violates, added to its prompt.

The paper has no public code. From summaries (second-hand): intra-sample data set the same response
y under two prompts that the same instruction functions made with opposite arguments; a pair is
valid where

    (A) y fulfils all instructions of the better prompt and not all of the worse one, or
    (B) y fulfils none of the worse prompt and at least one of the better one;

both responses of an original pair are used. Our own choices, for want of anything readable: the
functions (IFEval's and ours), k, and that any two responses to a prompt serve (intra-sample data
need no label).

Inter-sample data are our reading of the abstract, not the paper's construction: to an original pair
(right over wrong) instructions are added that one response fulfils wholly and the other not at all,
once in favour of each, so that neither side of the label goes with the instructions.

What keeps a model from winning by other means than reading (our choices):

- The two prompts of an intra-sample pair serve two responses to the prompt, in opposite order: each
  form of an instruction is fulfilled by one response and violated by the other, so that (A) for the
  one is (B) for the other. A rule that does not read the response is right exactly as often as it
  is wrong, whatever it goes by.
- Both prompts of an intra-sample pair have the same kinds in the same wording and order, and
  equally many words.
- An instruction that names the prompt's answer, or repeats four words in a row of a response, is
  not used.
- Contradictory sets are refused, also on the worse side, and together with instructions that the
  prompt has already.
- All are checked again on the real text. The wording is a template's, or the model's own
  (rewording.py).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from operator import itemgetter
from random import Random
from typing import Any

import polars as pl

from pipeline import tables
from pipeline.config import MaplSettings
from pipeline.engine.base import Reject
from pipeline.errors import OrchardError
from pipeline.ids import content_id, seed_for, unit_for
from pipeline.synthesis.prompts import added, leak
from pipeline.verify.instructions import KINDS, Instruction, build, contradiction, read, write
from pipeline.verify.instructions.text import words

Row = dict[str, Any]
# of one kind: fulfilled by the first response only, by the second only
Choice = tuple[Instruction, Instruction]
STEP = "instructions"
_TRIES = 4  # seeds per kind for a pair of responses


@dataclass(frozen=True)
class Sides:
    """The instructions of the better and of the worse prompt,
    the style of wording, and what makes the pair valid.
    """

    better: tuple[Instruction, ...]
    worse: tuple[Instruction, ...]
    style: int
    condition: str


def synthesise(
    responses: pl.DataFrame, pairs: pl.DataFrame, settings: MaplSettings, run_seed: int
) -> tuple[pl.DataFrame, list[Reject]]:
    """Rows of `instructions`, and what was dropped with a reason.

    Args:
        responses: prompt_id, split, messages, answer (null where there is none), own (metadata of
            the prompt's own instructions, or null), response_id, text.
        pairs: original pairs: the prompt's columns as above, chosen_id, chosen, rejected_id,
            rejected.

    Raises:
        OrchardError: the settings name an unknown kind of instruction.
    """
    kinds = _kinds(settings)
    made = chain(
        _intra_all(
            _first(responses, "response_id", settings.max_per_prompt), kinds, settings, run_seed
        ),
        chain.from_iterable(
            inter(row, kinds, settings, run_seed)
            for row in _first(pairs, "chosen_id", settings.max_per_prompt)
        ),
    )
    rows: dict[str, Row] = {}
    rejects: list[Reject] = []
    for item in made:
        if isinstance(item, Reject):
            rejects.append(item)
        else:
            rows[item["synthesis_id"]] = item
    ordered = [rows[key] for key in sorted(rows)]
    return pl.DataFrame(ordered, schema=tables.empty("instructions").schema), rejects


def _intra_all(
    rows: Iterable[Row], kinds: Sequence[str], settings: MaplSettings, run_seed: int
) -> Iterator[Row | Reject]:
    """Each prompt's responses, two by two."""
    for _, group in groupby(rows, key=itemgetter("prompt_id")):
        usable: list[Row] = []
        for row in group:
            reason = _too_short(row["text"])
            if reason:
                yield _reject(row["response_id"], reason, row)
            else:
                usable.append(row)
        for first, second in zip(usable[::2], usable[1::2], strict=False):
            yield from intra(first, second, kinds, settings, run_seed)
        if len(usable) % 2:
            yield _reject(
                usable[-1]["response_id"],
                "no other response to the prompt to go with it",
                usable[-1],
            )


def intra(
    first: Row, second: Row, kinds: Sequence[str], settings: MaplSettings, run_seed: int
) -> Iterator[Row | Reject]:
    """Two responses to one prompt, each under the same two prompts:
    the better one of the first is the second's worse.

    Both or neither becomes a row; a reject names a response.
    """
    own, seed = _own(first), ("intra", run_seed, first["response_id"], second["response_id"])
    random = Random(seed_for(*seed))
    wanted = random.randint(1, settings.max_instructions)
    style, condition = random.randrange(3), random.choice("AB")
    choices: list[Choice] = []
    for kind in _others(random.sample(kinds, len(kinds)), own):
        choice = _opposite(kind, first, second, style, seed) if len(choices) < wanted else None
        if choice and _agree(own, [*choices, choice]):
            choices.append(choice)
    if not choices:
        reason = (
            "no instruction has a form that only this response, "
            "and one that only the other, fulfils"
        )
        yield from (_reject(row["response_id"], reason, row) for row in (first, second))
        return
    sides = _sides(choices, condition, style, random)
    found = [_under(first, sides, own), _under(second, _exchanged(sides), own)]
    fault = next((made.reason for made in found if isinstance(made, Reject)), None)
    yield from (
        (_reject(row["response_id"], fault, row) for row in (first, second)) if fault else found
    )


def _under(row: Row, sides: Sides, own: Sequence[Instruction]) -> Row | Reject:
    """One response under two prompts."""
    if clash := _clash(own, sides.better) or _clash(own, sides.worse):
        return _reject(row["response_id"], f"contradictory instructions: {clash}", row)
    messages, other = (
        added(row["messages"], side, sides.style) for side in (sides.better, sides.worse)
    )
    shares = [_share(side, row["text"]) for side in (sides.better, sides.worse)]
    if not valid(shares[0], shares[1], sides.condition):
        reason = f"its own checker disagrees: {shares} is not condition {sides.condition}"
        return _reject(row["response_id"], reason, row)
    ids = {"response_id": row["response_id"], "other_id": row["response_id"]}
    return _row("intra", sides, row, messages, other, ids, shares, write(sides.worse))


def inter(
    row: Row, kinds: Sequence[str], settings: MaplSettings, run_seed: int
) -> Iterator[Row | Reject]:
    """An original pair with instructions that tell its responses apart, in favour of each in turn;
    both or neither.
    """
    seed = ("inter", run_seed, row["chosen_id"], row["rejected_id"])
    random = Random(seed_for(*seed))
    pair_id = f"{row['chosen_id']} {row['rejected_id']}"
    for text in (row["chosen"], row["rejected"]):
        if reason := _too_short(text):
            yield _reject(pair_id, reason, row)
            return
    wanted, style = random.randint(1, settings.max_instructions), random.randrange(3)
    own = _own(row)
    order = _others(random.sample(kinds, len(kinds)), own)
    found = {
        side: list(_telling(order, row[side], row[other], row["answer"], style, seed))
        for side, other in (("chosen", "rejected"), ("rejected", "chosen"))
    }
    n = min(wanted, *map(len, found.values()))
    if n == 0:
        yield _reject(
            pair_id, "no instruction tells the two responses apart in both directions", row
        )
        return
    rows = []
    for side, other in (("chosen", "rejected"), ("rejected", "chosen")):
        chosen = tuple(found[side][:n])
        shares = [_share(chosen, row[side]), _share(chosen, row[other])]
        if clash := _clash(own, chosen):
            yield _reject(pair_id, f"contradictory instructions: {clash}", row)
            return
        ids = {"response_id": row[f"{side}_id"], "other_id": row[f"{other}_id"]}
        messages = added(row["messages"], chosen, style)
        rows.append(
            _row(
                "inter",
                Sides(chosen, (), style, side),
                row,
                messages,
                row["messages"],
                ids,
                shares,
                None,
            )
        )
    if any((made["fulfilled"], made["other_fulfilled"]) != (1, 0) for made in rows):
        yield _reject(pair_id, "its own checker disagrees", row)
        return
    yield from rows


def valid(better: float, worse: float, condition: str) -> bool:
    """The paper's validity (second-hand) of two shares of fulfilled instructions,
    those of the better and the worse.
    """
    return better == 1 > worse if condition == "A" else worse == 0 < better


def _opposite(
    kind: str, first: Row, second: Row, style: int, seed: Sequence[object]
) -> Choice | None:
    """The form of a kind that only the first response fulfils,
    and the one that only the second does.

    None where there are none with equally many words.
    """
    texts, answer = (first["text"], second["text"]), first["answer"]
    found = [
        next(_telling([kind], *order, answer, style, seed), None) for order in (texts, texts[::-1])
    ]
    if found[0] is None or found[1] is None:
        return None
    return (
        (found[0], found[1])
        if len({len(words(one.text(style))) for one in found if one}) == 1
        else None
    )


def _telling(
    kinds: Sequence[str],
    text: str,
    other: str,
    answer: str | None,
    style: int,
    seed: Sequence[object],
) -> Iterator[Instruction]:
    """Instructions that `text` fulfils and `other` violates, at most one of a kind;
    never contradictory: text has them.

    Each is built on the one or on the other response, whichever fits first: the number lies at
    random between them.
    """
    for kind in kinds:
        built = (
            build(kind, source, want, *seed, attempt)
            for attempt in range(_TRIES)
            for source, want in ((text, True), (other, False))
        )
        for one in built:
            if one is None or not one.check(text) or one.check(other):
                continue
            if not any(leak(one.text(style), side, answer) for side in (text, other)):
                yield one
                break


def _agree(own: Sequence[Instruction], choices: Sequence[Choice]) -> bool:
    """True where neither all of the first
    nor all of the second forms are known to be contradictory.
    """
    return not any(_clash(own, [choice[side] for choice in choices]) for side in (0, 1))


def _clash(own: Sequence[Instruction], more: Sequence[Instruction]) -> str | None:
    return contradiction([*own, *more])


def _own(row: Row) -> tuple[Instruction, ...]:
    """The instructions that the prompt has already:
    what is added must agree with them, and is of other kinds.
    """
    return read(row["own"]) if row["own"] else ()


def _others(kinds: Sequence[str], own: Sequence[Instruction]) -> list[str]:
    return [kind for kind in kinds if kind not in {one.name for one in own}]


def _sides(choices: Sequence[Choice], condition: str, style: int, random: Random) -> Sides:
    """(A) all fulfilled against some violated;
    (B) some fulfilled against all violated; which: at random.

    Fulfilled and violated are said of the first response.
    """
    order = random.sample(range(len(choices)), len(choices))
    opposite = set(order[: random.randint(1, len(choices))])
    yes, no = (tuple(choice[side] for choice in choices) for side in (0, 1))
    mixed = tuple(
        (no if (i in opposite) == (condition == "A") else yes)[i] for i in range(len(choices))
    )
    return (
        Sides(yes, mixed, style, condition)
        if condition == "A"
        else Sides(mixed, no, style, condition)
    )


def _exchanged(sides: Sides) -> Sides:
    """The same two prompts for a response that fulfils just what the other violates:
    (A) becomes (B), and (B) (A).
    """
    return Sides(sides.worse, sides.better, sides.style, "AB"[sides.condition == "A"])


def _share(instructions: Sequence[Instruction], text: str) -> float:
    return sum(one.check(text) for one in instructions) / len(instructions)


def _kinds(settings: MaplSettings) -> list[str]:
    unknown = [name for name in settings.kinds if name not in KINDS]
    if unknown:
        raise OrchardError(
            f"mapl.kinds: unknown instruction {unknown[0]!r}: use some of {', '.join(KINDS)}"
        )
    return sorted(settings.kinds or KINDS)


def _first(frame: pl.DataFrame, key: str, limit: int) -> Iterator[Row]:
    """At most `limit` rows of each prompt, chosen by hash."""
    order = [unit_for(STEP, *ids) for ids in frame.select(key, "prompt_id").iter_rows()]
    ranked = frame.with_columns(order=pl.Series(order, dtype=pl.Float64)).sort("order")
    yield from (
        ranked.group_by("prompt_id", maintain_order=True)
        .head(limit)
        .drop("order")
        .iter_rows(named=True)
    )


def _too_short(text: str) -> str | None:
    n = len(words(text))
    return None if n > 1 else f"a response of {n} words has nothing to instruct about"


def _reject(row_id: str, reason: str, row: Row) -> Reject:
    return Reject("instructions", STEP, row_id, reason, {"prompt_id": row["prompt_id"]})


def _row(
    kind: str,
    sides: Sides,
    row: Row,
    messages: list[Row],
    other_messages: list[Row],
    ids: Row,
    shares: Sequence[float],
    other_instructions: str | None,
) -> Row:
    return {
        "synthesis_id": content_id(kind, messages, other_messages, *ids.values()),
        "kind": kind,
        "condition": sides.condition,
        "prompt_id": row["prompt_id"],
        "split": row["split"],
        "messages": messages,
        "other_messages": other_messages,
        "instructions": write(sides.better),
        "other_instructions": other_instructions,
        **ids,
        "fulfilled": shares[0],
        "other_fulfilled": shares[1],
        "reworded": 0,
        "tokens": 0,
    }
