"""MAPL's added instructions in the model's own words,
where a program can tell that they still say the same.

The paper says nothing readable about wording: all of this is our choice. A rewording is taken only
where

- it is one line, not the template's, and at most `reword_ratio` times as long or as short, in
  words;
- every number, quoted word, and comparison ("at least") occurs as often as in the template, and no
  other one does;
- it negates where the template does, and only there;
- it has every content word that all our own wordings of that kind share (a kind without any is not
  reworded), and is nearer to these wordings (Jaccard similarity of content words) than to those of
  any other kind with arguments of the same types;
- it repeats neither the prompt's answer nor a run of the response's words.

What fails keeps its template, and the reason is counted. The two prompts of an intra-sample pair
stay alike: the one whose instruction the model sees is drawn by hash, the other gets the same words
with its own numbers and keywords, and both must pass. What is kept as the instruction, and what the
checkers judge, does not change; they run once more.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import polars as pl

from pipeline.config import MaplSettings
from pipeline.engine.base import Engine, Prompt, Reject, RequestFailed, Sampling, Turn, Unanswered
from pipeline.engine.session import run_all
from pipeline.folding import folded
from pipeline.ids import content_id, seed_for, unit_for
from pipeline.synthesis.prompts import OPENINGS, leak, with_lines, without_lines
from pipeline.verify.instructions import KINDS, Instruction, read
from pipeline.verify.instructions.catalogue import WORDINGS, shown
from pipeline.verify.instructions.text import words

Row = dict[str, Any]
STEP = "reword"
_RULE = (
    "Say the user's instruction in other words. Keep its meaning. "
    "Keep every number and every word in quotes exactly as it is. "
    "Answer with the new sentence only."
)
_EXAMPLES = (
    (
        'Use "river" at least 3 times.',
        'In your reply, the word "river" has to come up at least 3 times.',
    ),
    ("Do not use any question marks.", "Please write without question marks."),
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_QUOTED = re.compile(r'"([^"]*)"')
_COMPARISONS = (
    "at least", "less than", "at most", "more than", "no fewer", "fewer than", "exactly", "maximum",
    "minimum", "up to", "or more", "or less", "or fewer",
)  # fmt: skip
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nothing|nowhere|without|avoid\w*|free of|cannot|neither)\b|n't\b", re.I
)
_PLACEHOLDER = re.compile(r"\{\w+\}")
# Words that carry none of an instruction's content.
_FREE = frozenset(
    "a all an and any anywhere answer appear appears be by can contain containing do does "
    "entire exactly following for from full give has have in include into is it its keep "
    "least less make may must no not occur of on one only or other out put reply response "
    "should sure than that the their there they this times to use used using way whole "
    "with without write written your you".split()
)


@dataclass
class Reworded:
    """A row with new words, and why lines kept their template."""

    row: Row
    kept: Counter[str] = field(default_factory=Counter)


def reword_all(
    engine: Engine,
    rows: pl.DataFrame,
    responses: pl.DataFrame,
    settings: MaplSettings,
    run_seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[pl.DataFrame, list[Reject], Counter[str]]:
    """Rows of `instructions` reworded, what was dropped,
    and how many lines kept their template for which reason.

    Args:
        rows: as `synthesise` makes them.
        responses: response_id, text, and the answer of its prompt (null where there is none).
    """
    known = {
        row["response_id"]: row
        for row in responses.select("response_id", "text", "answer").to_dicts()
    }

    async def one(row: Row) -> Reworded | Reject:
        sides = [known[row["response_id"]], known[row["other_id"]]][: 1 + (row["kind"] == "inter")]
        try:
            return await reword(
                engine,
                row,
                [side["text"] for side in sides],
                sides[0]["answer"],
                settings,
                run_seed,
            )
        except Unanswered as error:  # a template kept for want of a server would stay for good
            return Reject(
                "instructions", STEP, row["synthesis_id"], error, {"prompt_id": row["prompt_id"]}
            )

    found = run_all([one(row) for row in rows.to_dicts()], progress)
    done = [item for item in found if isinstance(item, Reworded)]
    kept = sum((item.kept for item in done), Counter())
    frame = pl.DataFrame([item.row for item in done], schema=rows.schema).sort("synthesis_id")
    return frame, [item for item in found if isinstance(item, Reject)], kept


async def reword(
    engine: Engine,
    row: Row,
    texts: Sequence[str],
    answer: str | None,
    settings: MaplSettings,
    run_seed: int,
) -> Reworded | Reject:
    """A row of `instructions` with its added lines in the model's words, where they pass.

    Args:
        row: as `synthesise` makes it.
        texts: the response, or of an inter-sample row the one that fulfils and the other.
        answer: the prompt's answer, which no line may name; null where there is none.
    """
    better, worse = read(row["instructions"]), _read(row["other_instructions"])
    found = _bare(row["messages"], better)
    if found is None:
        return Reworded(row, Counter({"not in a template's words": len(better)}))
    bare, style = found
    result, tokens, done = Reworded(row), 0, 0
    lines: list[tuple[str, ...]] = []
    for place, one in enumerate(better):
        both = (one, worse[place]) if worse else (one,)
        templates = tuple(each.text(style) for each in both)
        said, spent = await _said(
            engine, row["synthesis_id"], place, both, style, settings, run_seed
        )
        reason = (
            said
            if isinstance(said, str)
            else _fault(said, both, templates, texts, answer, settings)
        )
        tokens += spent
        done += reason is None
        lines.append(templates if reason or isinstance(said, str) else said)
        result.kept.update([reason] if reason else [])
    shares = [_share(side, text) for side, text in _judged(row, better, worse, texts)]
    if shares != [row["fulfilled"], row["other_fulfilled"]]:
        reason = f"its own checker disagrees after rewording: {shares}"
        return Reject(
            "instructions", STEP, row["synthesis_id"], reason, {"prompt_id": row["prompt_id"]}
        )
    messages = with_lines(bare, [line[0] for line in lines], style)
    other = with_lines(bare, [line[1] for line in lines], style) if worse else row["other_messages"]
    ids = (row["response_id"], row["other_id"])
    result.row = {
        **row,
        "synthesis_id": content_id(row["kind"], messages, other, *ids),
        "messages": messages,
        "other_messages": other,
        "reworded": done,
        "tokens": tokens,
    }
    return result


def fault(new: str, one: Instruction, template: str, ratio: float) -> str | None:
    """Why these words may not say the same as the template;
    None where nothing is known against them.
    """
    if not new or "\n" in new:
        return "more than one line" if new else "empty"
    if _plain(new) == _plain(template):
        return "the template's own words"
    size, was = len(words(new)), len(words(template))
    if not was / ratio <= size <= was * ratio:
        return "longer or shorter than allowed"
    for what, pattern in (("numbers", _NUMBER), ("quoted words", _QUOTED)):
        if Counter(pattern.findall(new)) != Counter(pattern.findall(template)):
            return f"other {what}"
    if any(new.lower().count(phrase) != template.lower().count(phrase) for phrase in _COMPARISONS):
        return "another comparison"
    if bool(_NEGATION.search(new)) != bool(_NEGATION.search(template)):
        return "negated otherwise"
    if any(shown(key, value) not in new for key, value in one.arguments.items()):
        return "an argument is missing"
    return _strays(new, one)


def _strays(new: str, one: Instruction) -> str | None:
    """Whether the words are about what the instruction is about."""
    if not _shared(one.name):
        return "nothing to check it by"
    if not _shared(one.name) <= _stems(new):
        return "what it is about is missing"
    return None if _is_nearest(new, one) else "it may be about something else"


async def _said(
    engine: Engine,
    row_id: str,
    place: int,
    both: Sequence[Instruction],
    style: int,
    settings: MaplSettings,
    run_seed: int,
) -> tuple[tuple[str, ...] | str, int]:
    """The model's words for each side, or why there are none; and the tokens they cost."""
    asked = int(unit_for("reword side", row_id, place) * len(both))
    turns = [Turn(role="system", content=_RULE)]
    for template, example in _EXAMPLES:
        turns += [Turn(role="user", content=template), Turn(role="assistant", content=example)]
    turns.append(Turn(role="user", content=both[asked].text(style)))
    sampling = Sampling(settings.reword_tokens, settings.reword_temperature)
    try:
        (reply,) = await engine.sample(
            Prompt(tuple(turns)), sampling, [seed_for(run_seed, row_id, "reword", place)]
        )
    except Unanswered:
        raise
    except RequestFailed as error:
        return str(error), 0
    if reply.finish_reason == "length":
        return "cut off by the token limit", reply.tokens
    said = reply.response.strip()
    sides = [said if one is both[asked] else _filled(said, both[asked], one, style) for one in both]
    known = tuple(side for side in sides if side is not None)
    return (
        known if len(known) == len(both) else "its arguments cannot be told from its words"
    ), reply.tokens


def _filled(said: str, one: Instruction, other: Instruction, style: int) -> str | None:
    """The same words with another instruction's arguments;
    None where these cannot be told from the other words.

    They can where the same replacement makes the one's template into the other's, and finds as many
    places in both.
    """
    template = one.text(style)
    for key, value in one.arguments.items():
        mine, theirs = shown(key, value), shown(key, other.arguments[key])
        if mine == theirs:
            continue
        place, new = re.compile(rf"(?<!\w){re.escape(mine)}(?!\w)"), theirs.replace("\\", r"\\")
        (said, found), (template, wanted) = place.subn(new, said), place.subn(new, template)
        if found != wanted:
            return None
    return said if template == other.text(style) else None


def _fault(
    new: Sequence[str],
    both: Sequence[Instruction],
    templates: Sequence[str],
    texts: Sequence[str],
    answer: str | None,
    settings: MaplSettings,
) -> str | None:
    for said, one, template in zip(new, both, templates, strict=True):
        if reason := fault(said, one, template, settings.reword_ratio):
            return reason
        if any(leak(said, text, answer) for text in texts):
            return "it gives away the answer or the response"
    return None if len({len(words(said)) for said in new}) == 1 else "its sides differ in length"


def _bare(
    messages: Sequence[dict[str, str]], better: Sequence[Instruction]
) -> tuple[list[Row], int] | None:
    """The prompt before instructions were added, and the style they were added in."""
    for style in range(len(OPENINGS)):
        bare = without_lines(messages, [one.text(style) for one in better], style)
        if bare is not None:
            return bare, style
    return None


def _judged(
    row: Row, better: Sequence[Instruction], worse: Sequence[Instruction], texts: Sequence[str]
) -> list[tuple[Sequence[Instruction], str]]:
    return [(better, texts[0]), (worse, texts[0]) if row["kind"] == "intra" else (better, texts[1])]


def _share(instructions: Sequence[Instruction], text: str) -> float:
    return sum(one.check(text) for one in instructions) / len(instructions)


def _read(metadata: str | None) -> tuple[Instruction, ...]:
    return read(metadata) if metadata else ()


@lru_cache(maxsize=256)
def _shared(name: str) -> frozenset[str]:
    """Stems of the content words that all templates of a kind share."""
    return frozenset.intersection(*map(_bare_stems, WORDINGS[name]))


def _is_nearest(new: str, one: Instruction) -> bool:
    """True where no other kind with arguments of the same types is worded as near to this one."""
    for value in sorted(
        (shown(key, value) for key, value in one.arguments.items()), key=len, reverse=True
    ):
        new = new.replace(value, " ")
    said = _stems(new)
    own = max(_jaccard(said, each) for each in map(_bare_stems, WORDINGS[one.name]))
    return all(
        _jaccard(said, each) < own for each in _rivals(one.name, bool(_NEGATION.search(new)))
    )


@lru_cache(maxsize=256)
def _rivals(name: str, negated: bool) -> list[frozenset[str]]:
    """Stems of the wordings, negated or not, of other kinds whose arguments have the same types."""
    types = sorted(KINDS[name].arguments.values())
    alike = [
        other
        for other, kind in KINDS.items()
        if sorted(kind.arguments.values()) == types and other != name
    ]
    found = [template for other in alike for template in WORDINGS[other]]
    return [
        _bare_stems(template) for template in found if bool(_NEGATION.search(template)) == negated
    ]


def _bare_stems(template: str) -> frozenset[str]:
    return _stems(_PLACEHOLDER.sub(" ", template))


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 1.0


def _stems(text: str) -> frozenset[str]:
    return frozenset(
        word.casefold().rstrip("s")[:5] for word in words(text) if word.casefold() not in _FREE
    )


def _plain(text: str) -> str:
    return " ".join(folded(text, case=False).split()).strip(' ."')
