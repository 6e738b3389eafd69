"""What the report says of judges, and of variants that could not be trained."""

from functools import partial
from pathlib import Path

import polars as pl
import pytest

from assets.steps import GRAPH
from pipeline import config, tables
from pipeline.config import JudgeSettings
from pipeline.engine.base import Reject
from pipeline.judge.card import cards
from pipeline.preferences.build import build
from pipeline.steps.rejects import reject_rows
from pipeline.store import Commit, Lake
from pipeline.validation.report import judges, page
from pipeline.validation.report.judges import strength_sentences
from pipeline.validation.untrained import untrained
from tests.judge.simulated import frame, prompts, responses, votes

TEXTS = {"p": ["7", "8 and more"], "q": ["7", "9 & <more>"]}
SETTINGS = config.load("quick")


def judge_section(lake: Lake) -> str:
    section = judges.cards(lake, SETTINGS)
    return page("t", [section]) if section else ""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path)
    lake.write("prompts", prompts(*TEXTS), Commit("test"))
    lake.write("responses", responses(TEXTS, lambda text: text == "7"), Commit("test"))
    return lake


def judged(lake: Lake) -> None:
    """Right on p at 0.8; a flip on q."""
    p = votes([("p-0", "p-1", 0.8), ("p-1", "p-0", 0.2)], prompt_id="p", judge_id="small<1>")
    q = votes([("q-0", "q-1", 0.9), ("q-1", "q-0", 0.9)], prompt_id="q", judge_id="small<1>")
    lake.write("votes", pl.concat([p, q]), Commit("test"))
    items, labels = lake.query_file("judge_items"), lake.query_file("judge_labels")
    context = {
        "context_id": "c", "judge_id": "small<1>", "prompt_id": "p", "kind": "length",
        "question": "?", "a_id": "p-0", "b_id": "p-1",
        "a_is_better": True, "with_a_first": 0.9, "with_b_first": 0.9, "points": 0.5, "tokens": 2,
    }  # fmt: skip
    contexts = frame("judge_contexts", [context])
    lake.write(
        "judges",
        cards(lake.read("votes"), items, labels, JudgeSettings(), contexts),
        Commit("test"),
    )
    lake.write("preferences", build("osp", lake, SETTINGS), Commit("test"))


def test_the_card_is_told_in_words_and_figures_and_a_judge_near_chance_is_called_one(
    lake: Lake,
) -> None:
    assert judge_section(lake) == ""
    judged(lake)
    html = str(judge_section(lake))
    for said in (
        "small&lt;1&gt;, asked &#39;c&#39; about pairs of responses: near chance: right on 0.75",
        "Its verdicts are not better than a coin&#39;s",
        "50% of its pairs flip with the order",
        "right on 0.50 of 1 reversed contexts",
        "osp: of 1 pairs that the verifier tells apart, the judge&#39;s side is right in 100%",
        "its mean strength there is 0.80: not too sure",
        "data:image/svg+xml;base64,",
    ):
        assert said in html, said
    assert "<script" not in html and "small<1>" not in html


def test_strengths_above_what_the_verifier_says_are_called_too_sure() -> None:
    rows = [
        {"variant": "osp", "pairs": 3, "mean_strength": 0.9, "share_right": 1 / 3},
        {"variant": "osp", "pairs": 1, "mean_strength": 0.5, "share_right": 1.0},
    ]
    (said,) = strength_sentences(rows)
    assert "of 4 pairs" in said and "right in 50%" in said and "0.80: too sure of itself" in said


def test_a_variant_without_pairs_says_how_many_rows_were_rejected_and_why(lake: Lake) -> None:
    names = ("outcome", "rationale", "osp")
    validation = SETTINGS.validation.model_copy(update={"variants": names})
    settings = SETTINGS.model_copy(update={"validation": validation})
    lost = [
        Reject("rationales", "rationales", f"{n}", "it argues for the rejected side", {})
        for n in range(4)
    ]
    lost += [Reject("rationales", "rationales", "e", "empty rationale", {})]
    lake.write("rationales", tables.empty("rationales"), Commit("test"), rejects=reject_rows(lost))
    lake.write("preferences", build("outcome", lake, settings), Commit("test"))
    made_from = partial(GRAPH.tables_behind, settings=settings)
    outcome, rationale, osp = untrained(lake, settings, made_from)
    assert outcome.startswith("outcome has 2 training pairs (2 of all splits) and no policy")
    assert rationale == (
        "rationale has 0 training pairs (0 of all splits) and no policy; rationales: 0 rows kept, "
        "5 rejected (4 because 'it argues for the rejected side', 1 because 'empty rationale')."
    )
    assert osp.endswith(": its tables responses, votes, prompts make none.")
