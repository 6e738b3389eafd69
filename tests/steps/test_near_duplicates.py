"""Responses that nearly repeat an earlier one make no pairs, in whatever variant reads them."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from assets.steps import GRAPH
from pipeline import config
from pipeline.engine.base import Prompt
from pipeline.engine.model import Model
from pipeline.ids import unit_for
from pipeline.preferences.registry import registry, wanted
from pipeline.steps import RunContext, run_step
from pipeline.steps.declared import Reads, Step, table_of
from pipeline.steps.inputs import needs_of
from pipeline.store import Lake
from tests.steps import world

ENDS = ("preferences", "treated_preferences", "unpaired")
# Read responses and compare none: to centre a reward model's scores, and to count in a report.
COMPARES_NONE = {"pair_votes", "judges"}
SUMS = {
    "name": "sums",
    "source": "reasoning_gym",
    "task": "chain_sum",
    "params": {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1},
    "size": 24,
    "licence": "Apache-2.0",
}
COUNTED = [  # instructions that are made in no time
    "keywords:letter_frequency",
    "length_constraints:number_words",
    "counts:characters",
    "counts:numbers",
    "punctuation:no_comma",
]
# Three ways to say an answer: two texts of one way are alike, whatever the answer.
WAYS = (
    "First the two numbers are read from the question, and the sign that stands between them.",
    "Nothing else is asked here; so take what is given, count it together and write it down.",
    "Let us be careful about this exercise! Adding is easy, yet a slip of one is soon made.",
)


class Wordy(world.Policy):
    """Draws answers in one of three ways."""

    def _said(self, prompt: Prompt, seed: int) -> str:
        text = super()._said(prompt, seed)
        if "The answer is" not in text or prompt.prefix:
            return text
        way = int(len(WAYS) * unit_for("way", prompt.messages[-1]["content"], seed))
        return f"{WAYS[way]}\n{text}"


SENT = {"sent", "sent_rationale"}  # imported pairs: no response stands in them


class Room(world.Room):
    """Hands out wordy engines."""

    def engine(self, model: Model, role: str = "policy") -> world.Policy:
        return self.engines.setdefault(model.policy_id, Wordy(model.policy_id))


def _steps_to(ends: tuple[str, ...], settings: config.Settings) -> list[Step]:
    """These steps and all before them, in order."""
    found, waiting = set(ends), list(ends)
    while waiting:
        more = {*GRAPH.before(GRAPH.steps[waiting.pop()], settings)} - found
        found, waiting = found | more, [*waiting, *more]
    return [step for step in GRAPH.in_order(settings) if step.name in found]


def _run(home: Path, lake: Lake, *, skips: bool) -> RunContext:
    """The pairs of every variant that is made from responses, from one scripted policy."""
    changes: dict[str, Any] = {
        "preferences": {"margin": 0.25, "skip_near_duplicates": skips},
        "sampling": {"n": 6, "max_tokens": 200},
        "mapl": {"max_per_prompt": 2, "kinds": COUNTED},
        "pools": [SUMS],
        "selection": {},
    }
    settings = config.load(str(world.profile(home, **changes)))
    path = world.profile(home, **changes, validation={"variants": sorted(_of_responses(settings))})
    run = RunContext(config.load(str(path)), lake, Room(), home, "run", GRAPH)  # type: ignore[arg-type]
    needed = GRAPH.needed(run.settings)
    for step in _steps_to(ENDS, run.settings):
        if step.name not in needed:
            continue
        for part in step.parts(run.settings) if step.parts else [None]:
            run_step(step, run, part)
    return run


def _of_responses(settings: config.Settings) -> set[str]:
    """Names of variants that are made from responses: of those that read the same, the first.

    Controls read what their variant does.
    """
    first: dict[Reads, str] = {}
    known = registry(settings)
    for name in _behind_responses(known, settings):
        if known[name].control_of is None:
            first.setdefault(replace(known[name].reads_for(settings), code=()), name)
    return {*first.values()}


def _behind_responses(names: Iterable[str], settings: config.Settings) -> list[str]:
    known = registry(settings)
    reads = {name: known[name].reads_for(settings) for name in names}
    return [n for n, own in reads.items() if "responses" in GRAPH.tables_behind(own, settings)]


def _near_duplicates(lake: Lake) -> pl.DataFrame:
    """Prompt and text of responses that nearly repeat an earlier one, and equal none."""
    drawn = lake.read("responses")
    marked = drawn.filter(pl.col("near_duplicate_of").is_not_null())
    first = drawn.filter(pl.col("near_duplicate_of").is_null())
    return marked.join(first, on=["prompt_id", "text"], how="anti").select("prompt_id", "text")


def _near_duplicates_learned(lake: Lake) -> dict[str, int]:
    """Variant (and its unpaired texts) -> how many near-duplicates are among its texts."""
    alike = _near_duplicates(lake).unique().with_columns(alike=pl.lit(True))
    texts = lake.sql(
        "SELECT variant, prompt_id, chosen AS text FROM preferences "
        "UNION SELECT variant, prompt_id, rejected FROM preferences "
        "UNION SELECT variant || ' unpaired', prompt_id, text FROM unpaired"
    )
    marked = texts.join(alike, on=["prompt_id", "text"], how="left")
    counts = marked.group_by("variant").agg(pl.col("alike").sum())
    return dict(counts.iter_rows())


def test_no_variant_has_a_pair_of_a_near_duplicate_unless_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path))
    with Lake(tmp_path) as lake:
        run = _run(tmp_path, lake, skips=True)
        skipped = _near_duplicates_learned(lake)
        assert _near_duplicates(lake).height > 20
        _run(tmp_path, lake, skips=False)
        kept = _near_duplicates_learned(lake)
    sampled = {*_behind_responses(wanted(run.settings), run.settings), "bco unpaired"} - SENT
    assert {
        "osp",
        "mapl_inter",
        "principles",
        "mine",
        "mixed",
        "bco unpaired",
        "voted_drop",
    } <= sampled
    assert skipped == dict.fromkeys(sampled | (SENT & skipped.keys()), 0)
    assert {name for name, n in kept.items() if n} == sampled


def test_every_step_on_the_way_to_pairs_that_reads_responses_says_that_it_makes_pairs() -> None:
    settings = config.load("quick")
    before = _steps_to(ENDS, settings)
    readers = {
        step.name
        for step in before
        if "responses" in {table_of(need) for need in needs_of(_reads(step, settings))}
    }
    says = {step.name for step in GRAPH.steps.values() if step.makes_pairs}
    assert readers - COMPARES_NONE <= says
    assert not COMPARES_NONE & says


def _reads(step: Step, settings: config.Settings):  # type: ignore[no-untyped-def]
    parts = step.all_parts(settings) if step.all_parts and step.reads_of else [None]
    reads = [step.reads_for(settings, part) for part in parts]
    return Reads().plus(*reads)
