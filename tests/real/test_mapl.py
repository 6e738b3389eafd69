"""Responses of the real model, MAPL's prompts made from them, each instruction checked again."""

import json

import polars as pl
import pytest

from pipeline.config import MaplSettings, SamplingSettings
from pipeline.engine.vllm import VllmEngine
from pipeline.responses import draw
from pipeline.synthesis.mapl import synthesise
from pipeline.synthesis.rewording import reword_all
from pipeline.verify.instructions import fulfilment, read
from tests.synthesis.test_mapl import frames

QUESTIONS = (
    "What is a river?",
    "Why do birds sing?",
    "Tell me about winter.",
    "How is bread made?",
)


def test_pairs_made_from_a_models_own_responses_hold(engine: VllmEngine) -> None:
    prompts = pl.DataFrame(
        [
            {
                "prompt_id": f"p{i}",
                "messages": [{"role": "user", "content": question}],
                **{
                    "answer": None,
                    "verifier": None,
                    "metadata": None,
                    "split": "train",
                    "own": None,
                },
            }
            for i, question in enumerate(QUESTIONS)
        ]
    )
    drawn, _ = draw(engine, prompts, SamplingSettings(n=4, max_tokens=48), 0)
    context = prompts.select(
        "prompt_id", "messages", pl.col("answer").cast(pl.String), "split", "own"
    )
    texts = drawn.select("prompt_id", "response_id", "text").join(context, on="prompt_id")
    halves = [
        texts.filter(pl.Series([n % 2 == side for n in drawn["draw"]])).rename(
            {"response_id": f"{name}_id", "text": name}
        )
        for side, name in enumerate(("chosen", "rejected"))
    ]
    pairs = halves[0].join(halves[1].select("prompt_id", "rejected_id", "rejected"), on="prompt_id")
    rows, rejects = synthesise(texts, pairs, MaplSettings(), 0)
    known = dict(drawn.select("response_id", "text").iter_rows())
    assert set(rows["kind"]) == {"intra", "inter"} and rows.height > 20, [
        reject.reason for reject in rejects
    ]
    for row in rows.to_dicts():
        found = fulfilment([("x", known[row["response_id"]], read(row["instructions"]))])
        assert found["strict"].item() == pytest.approx(row["fulfilled"])
        assert row["condition"] == "B" or found["all_strict"].item()
        assert len(json.loads(row["instructions"])["kwargs"]) <= 3


def test_the_real_models_rewordings_pass_the_check_or_keep_their_template(
    engine: VllmEngine,
) -> None:
    responses, pairs = frames(10)
    settings = MaplSettings(reword_tokens=32)
    rows, _ = synthesise(responses, pairs, settings, 0)
    new, rejects, kept = reword_all(engine, rows, responses, settings, 0)
    asked = sum(len(read(each)) for each in rows["instructions"])
    assert not rejects and new.height == rows.height
    assert new["reworded"].sum() + sum(kept.values()) == asked > 20
    assert new["reworded"].sum() > 0, kept  # small as the model is, some of its words pass
    changed = new.filter(pl.col("reworded") > 0)
    assert set(changed["synthesis_id"]).isdisjoint(rows["synthesis_id"])
