"""Rationales: why is a pair's chosen side better? Generated, checked, and permuted for the control.

The paper ("Data-Centric Human Preference Optimization with Rationales") asks a model why one
response beats the other, in a general and in a detailed style. Its prompts were not found, so that
ours are our own. Its code always shows the chosen response first in training, which tells the
answer by position alone: here a hash decides who is shown first.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Any

import polars as pl
from rapidfuzz import fuzz, utils
from scipy.special import expit, logit

from pipeline import tables
from pipeline.by_hash import first_by_hash
from pipeline.config import RationaleSettings
from pipeline.conversation import shown, whole_response
from pipeline.engine.base import Engine, Prompt, Reject, RequestFailed, Sampling
from pipeline.engine.session import run_all
from pipeline.ids import content_id, seed_for, unit_for
from pipeline.judge.templates import render
from pipeline.judge.vote import check_words, shares

Row = dict[str, Any]
SEATS = ("A", "B")
WORDS = (" A", " B")
EDGE = 1e-6


def write(
    engine: Engine,
    pairs: pl.DataFrame,
    settings: RationaleSettings,
    run_seed: int,
    progress: Callable[[int, int], None] | None = None,
    *,
    must_answer: bool = True,
) -> tuple[pl.DataFrame, list[Reject]]:
    """Rows of `rationales`, and what failed.

    Args:
        engine: who writes, and who is asked for the verdict from the rationale alone.
        pairs: prompt_id, split, messages, chosen, rejected, chosen_id, rejected_id of whole
            responses.
        settings: see RationaleSettings.
        run_seed: the profile's seed.
        progress: called with (done, all) after each pair.
        must_answer: a reader whose own first token is neither A nor B gives no verdict, and its
            rationale is rejected.

    Raises:
        OrchardError: the verdict words are not one token each for this model.
    """
    if settings.check_polarity:
        check_words(engine, WORDS)
    chosen = explained_pairs(pairs, settings)
    found = run_all(
        [
            _explain(engine, pair, settings, run_seed, must_answer=must_answer)
            for pair in chosen.iter_rows(named=True)
        ],
        progress,
    )
    rows = [row for row in found if not isinstance(row, Reject)]
    frame = pl.DataFrame(rows, schema=tables.empty("rationales").schema).sort("rationale_id")
    return frame, [row for row in found if isinstance(row, Reject)]


def explained_pairs(pairs: pl.DataFrame, settings: RationaleSettings) -> pl.DataFrame:
    """The pairs that get a rationale, each once: at most `max_pairs`, by hash."""
    sides = ["chosen_id", "rejected_id"]
    different = pairs.unique(sides, keep="first", maintain_order=True)
    return first_by_hash(different, "rationales", settings.max_pairs, sides)


def permuted_rows(rationales: pl.DataFrame, splits: Mapping[str, str]) -> pl.DataFrame:
    """The control's rows of `rationales`; `splits` are those of the prompts."""
    rows = permuted(rationales.drop("recipe").to_dicts(), splits)
    return pl.DataFrame(rows, schema=rationales.schema).sort("rationale_id")


def permuted(rows: list[Row], splits: Mapping[str, str]) -> list[Row]:
    """The control: a pair's question with the text of another prompt's pair,
    each text used at most once.

    Whole rows must not be permuted: question and text would stay together, and training would see
    what it saw before. Texts move within a split, a kind and the same shown-first side, so that
    what is said is wrong and not the seat; and between prompts, because what is said of a sibling
    pair (which may share a side) is often right. Rows stand prompt
    by prompt in a circle and move by the size of the largest prompt: so each lands on another
    prompt, if none has more than half of the rows. A pair that would get a text of its own prompt,
    or its own words, gets none.
    """

    def group(row: Row) -> tuple[str, str, bool]:
        return splits[row["prompt_id"]], row["kind"], row["chosen_first"]

    def place(row: Row) -> tuple[float, float]:
        return unit_for("permute", row["prompt_id"]), unit_for("permute", row["rationale_id"])

    ordered = sorted(rows, key=lambda row: (*group(row), *place(row)))
    moved: list[Row] = []
    for _, members in groupby(ordered, key=group):
        own = list(members)
        largest = max(Counter(row["prompt_id"] for row in own).values())
        for row, other in zip(own, own[largest:] + own[:largest], strict=True):
            if row["prompt_id"] != other["prompt_id"] and row["text"] != other["text"]:
                new = content_id("permuted", row["rationale_id"], other["rationale_id"])
                free = {"p_chosen": None, "agrees": None, "tokens": 0, "permuted": True}
                moved.append({**row, **free, "rationale_id": new, "text": other["text"]})
    return moved


async def polarity(engine: Engine, text: str, seat: str, *, must_answer: bool = True) -> float:
    """P(the rationale argues for `seat`, A or B), from its text alone.

    Asked with "A or B" and with "B or A", the two log-odds averaged: our choice, against a
    favourite seat. `must_answer`: see `shares`.

    Raises:
        RequestFailed: the text is too long, the answer is neither A nor B, or a probability is no
            number.
    """
    odds = []
    for options in (SEATS, SEATS[::-1]):
        prompt = render("polarity", rationale=text, options=options)
        p = (await shares(engine, prompt, WORDS, must_answer=must_answer))[SEATS.index(seat)]
        odds.append(logit(min(max(p, EDGE), 1 - EDGE)))
    return float(expit(sum(odds) / 2))


async def _explain(
    engine: Engine, pair: Row, settings: RationaleSettings, run_seed: int, *, must_answer: bool
) -> Row | Reject:
    ids = (pair["chosen_id"], pair["rejected_id"])
    chosen_first = unit_for("rationale order", settings.kind, *ids) < 0.5
    prompt = question(pair, settings.kind, chosen_first=chosen_first)
    pair_id = content_id(settings.kind, *ids)
    row = {
        "prompt_id": pair["prompt_id"],
        "chosen_id": ids[0],
        "rejected_id": ids[1],
        "kind": settings.kind,
    }
    try:
        sampling = Sampling(settings.max_tokens, settings.temperature)
        (said,) = await engine.sample(prompt, sampling, [seed_for(run_seed, pair_id, "rationale")])
        text, paid = said.response.strip(), {"tokens": said.tokens}
        flaw = _flaw(text, pair, settings.max_copy)
        # training would teach that a reason ends in mid-sentence
        if not flaw and said.finish_reason == "length":
            flaw = f"cut at {settings.max_tokens} tokens: raise judge.rationales.max_tokens"
        if flaw:
            return Reject("rationales", "rationales", pair_id, flaw, {**row, **paid, "text": text})
        seat, p_chosen = SEATS[0 if chosen_first else 1], None
        if settings.check_polarity:
            p_chosen = await polarity(engine, text, seat, must_answer=must_answer)
    except RequestFailed as error:
        return Reject("rationales", "rationales", pair_id, error, row)
    if p_chosen is not None and p_chosen <= 0.5:
        reason = "it argues for the rejected side: read alone, it does not name the chosen one"
        return Reject(
            "rationales",
            "rationales",
            pair_id,
            reason,
            {**row, **paid, "text": text, "p_chosen": p_chosen},
        )
    return {
        **row,
        "rationale_id": content_id(pair_id, engine.policy_id, text),
        "messages": [dict(turn) for turn in prompt.messages],
        "text": text,
        "chosen_first": chosen_first,
        "p_chosen": p_chosen,
        "agrees": None if p_chosen is None else True,
        "judge_id": engine.policy_id,
        **paid,
        "permuted": False,
    }


def question(pair: Row, kind: str, *, chosen_first: bool) -> Prompt:
    """What the model is asked; the same turns stand before the rationale in training."""
    chosen, rejected = (
        whole_response(pair["messages"], pair[side]) for side in ("chosen", "rejected")
    )
    sides = (chosen, rejected) if chosen_first else (rejected, chosen)
    better, worse = SEATS if chosen_first else SEATS[::-1]
    request = shown(pair["messages"])
    return render(
        f"rationale_{kind}",
        request=request,
        first=sides[0],
        second=sides[1],
        better=better,
        worse=worse,
    )


def _flaw(text: str, pair: Row, max_copy: float) -> str | None:
    """Why a text is no rationale:
    empty, or a copy of a response (rapidfuzz's normalised edit similarity, 0 to 100).
    """
    if not utils.default_process(text):
        return "empty rationale"
    for side in ("chosen", "rejected"):
        alike = fuzz.ratio(text, pair[side], processor=utils.default_process)
        if alike >= max_copy:
            return f"a copy of the {side} response ({alike:.0f} of 100 alike)"
    return None
