"""The default model as a judge:
the machinery works, and its report card says that it is no judge.
"""

from itertools import product

import polars as pl
import pytest

from pipeline import tables
from pipeline.config import JudgeSettings, PrincipleSettings, RationaleSettings
from pipeline.engine.vllm import VllmEngine
from pipeline.errors import OrchardError
from pipeline.judge import rationales
from pipeline.judge.annotate import annotate
from pipeline.judge.card import cards
from pipeline.judge.collect import collect
from pipeline.judge.contexts import ask, by_length
from pipeline.judge.likeness import characters
from tests.judge.simulated import prompts, responses

SUMS = {
    f"{a} + {b}": [f"{a} + {b} = {a + b}.", f"{a} + {b} = {a + b + 1}."]
    for a, b in product((2, 3, 4), (3, 5))
}
PROMPTS = prompts(*SUMS)
RESPONSES = responses(SUMS, lambda text: eval(text.replace("=", "==").rstrip(".")))
NOTHING = tables.empty("recorded_pairs")


def test_every_pair_is_judged_in_both_orders_and_the_card_says_how_little_that_is_worth(
    engine: VllmEngine,
) -> None:
    settings = JudgeSettings()
    rows, rejects = collect(engine, PROMPTS, RESPONSES, NOTHING, settings)
    assert rows.height == 2 * len(SUMS) and not rejects
    items = RESPONSES.select("response_id", "policy_id", chars=pl.col("text").str.len_chars())
    right = RESPONSES.filter("correct")["response_id"].to_list()
    labels = pl.DataFrame(
        {
            "prompt_id": [one[:-2] for one in right],
            "a_id": right,
            "b_id": [one[:-1] + "1" for one in right],
            "label": 1.0,
        }
    )
    card = cards(rows, items, labels, settings).to_dicts()[0]
    assert card["n_labelled"] == len(SUMS) and card["judge_id"] == engine.policy_id
    assert card["verdict"].startswith("near chance") and "flip with the order" in card["verdict"]


def test_a_scale_whose_last_number_is_two_tokens_is_one_error_at_the_start(
    engine: VllmEngine,
) -> None:
    settings = JudgeSettings(method="scores", scale=10)
    with pytest.raises(OrchardError, match=r"verdict word '10' is 2 tokens.*judge.scale"):
        collect(engine, PROMPTS, RESPONSES, NOTHING, settings)
    rows, rejects = collect(
        engine, PROMPTS, RESPONSES, NOTHING, JudgeSettings(method="scores", must_answer=False)
    )
    assert (
        rows.height == 2 * len(SUMS) and rows["score_first"].is_between(1, 9).all() and not rejects
    )


def test_rationales_are_written_and_every_pair_is_a_row_or_a_reject(engine: VllmEngine) -> None:
    pairs = RESPONSES.join(PROMPTS.select("prompt_id", "split", "messages"), on="prompt_id")
    sides = pairs.filter("correct").join(
        pairs.filter(~pl.col("correct")), on="prompt_id", suffix="_r"
    )
    named = {
        "chosen": "text",
        "rejected": "text_r",
        "chosen_id": "response_id",
        "rejected_id": "response_id_r",
    }
    table = sides.select(
        "prompt_id", "split", "messages", **{new: pl.col(old) for new, old in named.items()}
    )
    rows, rejects = rationales.write(engine, table, RationaleSettings(max_tokens=32), run_seed=0)
    real = rows.filter(~pl.col("permuted"))
    assert real.height + len(rejects) == len(SUMS)
    assert (
        real["p_chosen"].is_between(0.5, 1).all() and not tables.Rationales.filter(rows)[1].counts()
    )


def test_annotators_and_reversed_contexts_account_for_every_question(engine: VllmEngine) -> None:
    """The default model keeps to no format,
    so that nearly all it says of principles is rejected, with a reason.
    """
    settings = PrincipleSettings(max_prompts=2, feedback_tokens=32, principle_tokens=48)
    rows, rejects = annotate([engine], PROMPTS, RESPONSES, settings, 0, characters)
    said = {
        (r["response_id"], r["annotator"])
        for r in [*rows.to_dicts(), *(reject.row for reject in rejects)]
    }
    assert len(said) == 2 * 2 * 2 and all(reject.reason for reject in rejects)
    assert len({reject.row_id for reject in rejects}) == len(rejects)
    long = pl.when(pl.col("draw") == 0).then(pl.col("text") + " So it is.").otherwise("text")
    longer = RESPONSES.with_columns(text=long)
    asked, refused = ask(engine, by_length(PROMPTS, longer), JudgeSettings(must_answer=False))
    assert asked.height == 2 * len(SUMS) and not refused
    assert (
        asked.group_by("a_id")
        .agg(pl.col("points").sum())["points"]
        .is_in([0.0, 0.5, 1.0, 1.5, 2.0])
        .all()
    )
