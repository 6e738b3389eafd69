"""The shipped mixture of sets by what is known of their pairs, and what is shown of it, by hand."""

from pathlib import Path

import polars as pl
import pytest

from pipeline import config
from pipeline.preferences.build import build
from pipeline.shipped import ROOT
from pipeline.store import Commit, Lake
from tests.preferences.test_build import frame

# prompt -> task, quality, difficulty, and of its pairs the reward margin
KNOWN = {
    "a": ("code", 0.9, 0.9, [1.0, 3.0]),  # the second pair is the prompt's best
    "b": ("code", 0.9, 0.5, [2.0]),
    "c": ("code", 0.9, 0.1, [2.0]),  # an easy one of a kind that has enough
    "d": ("maths", 0.9, 0.3, [1.0]),
    "e": ("maths", 0.2, 0.9, [5.0]),  # a poor prompt
    "f": ("writing", 0.9, 0.5, [-1.0, 0.5]),  # the first label is not what rewards say
    "g": ("other", 0.2, 0.5, [-2.0]),
    "h": ("other", 0.9, 0.6, [0.1]),
}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path)
    pairs = [(name, place, margin) for name, known in KNOWN.items()
             for place, margin in enumerate(known[3])]  # fmt: skip
    sent = [
        {"recorded_id": name, "prompt_id": name, "task": task, "n_pairs": len(margins),
         "messages": [{"role": "user", "content": name}]}
        for name, (task, _, _, margins) in KNOWN.items()
    ]  # fmt: skip
    lake.write(
        "source_prompts",
        frame("source_prompts", sent, origin="uf", split="train", n_turns=1, chars=1),
        Commit("test"),
    )
    rated = [
        {"prompt_id": name, "judge_id": judge, "quality": quality, "difficulty": difficulty + by}
        for name, (_, quality, difficulty, _) in KNOWN.items()
        for judge, by in (("one", 0.1), ("other", -0.1))
    ]
    lake.write(
        "prompt_ratings", frame("prompt_ratings", rated, tokens=4, recipe=None), Commit("test")
    )
    rows = [
        {"pair_id": f"{name}{place}", "prompt_id": name, "chosen": f"good {place}",
         "rejected": "bad", "chosen_id": f"{name}{place}c", "rejected_id": f"{name}{place}r",
         "messages": [{"role": "user", "content": name}]}
        for name, place, _ in pairs
    ]  # fmt: skip
    lake.write(
        "preferences",
        frame("preferences", rows, variant="uf", level="response", split="train", depth=0,
              prefix="", chosen_ends=True, rejected_ends=True, weight=1.0, flipped=False,
              method="imported pairs", margin=0.5),
        Commit("test"),
    )  # fmt: skip
    voted = [
        {"chosen_id": f"{name}{place}c", "rejected_id": f"{name}{place}r", "prompt_id": name,
         "pair_id": f"{name}{place}", "mean": margin, "spread": 0.0, "decile": 0,
         "noise_score": 0.1, "share_against": float(margin < 0)}
        for name, place, margin in pairs
    ]  # fmt: skip
    lake.write(
        "pair_strengths",
        frame("pair_strengths", voted, source="uf", split="train", n_votes=1, flip_rate=0.1),
        Commit("test"),
    )
    return lake


def test_the_mixture_takes_a_pair_a_prompt_and_a_quarter_a_task(lake: Lake) -> None:
    own = {"name": "ultramix", "sql": str(ROOT / "sql" / "ultramix.sql"), "source": "uf"}
    settings = config.load("quick").model_copy(
        update={
            "sources": (config.SourceSettings(name="uf"),),
            "variants": (config.UserVariant(**own),),
        }
    )
    found = build("ultramix", lake, settings)
    # Six prompts have a good pair: a, b, c, d, f, h. A kind of task gives at most two of them
    # (6 / 4, rounded up): of code the two hardest.
    best = {"a": "good 1", "b": "good 0", "d": "good 0", "f": "good 1", "h": "good 0"}
    assert dict(found.select("prompt_id", "chosen").iter_rows()) == best
    assert set(found["variant"]) == {"ultramix"} and set(found["split"]) == {"train"}
    assert found["messages"].to_list()[0] == [{"role": "user", "content": "a"}]


def test_what_pairs_are_mixed_by_stands_beside_each(lake: Lake) -> None:
    found = lake.query_file("mixed_by")
    assert found.height == 10
    row = found.filter(pl.col("pair_id") == "a1").row(0, named=True)
    assert row["task"] == "code" and row["chosen_chars"] == 6 and row["rejected_chars"] == 3
    assert (row["quality"], row["difficulty"]) == (pytest.approx(0.9), pytest.approx(0.9))
    assert (row["margin"], row["reward_margin"], row["noise_score"]) == (0.5, 3.0, 0.1)


def test_the_pairs_of_all_sources_are_taken_once_and_only_where_sets_agree(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    sent = [
        {"origin": origin, "recorded_id": f"{origin}-{prompt}", "prompt_id": prompt,
         "messages": [{"role": "user", "content": prompt}],
         "split": "test" if prompt == "t" else "train"}
        for origin in ("one", "other")
        for prompt in ("a", "b", "t")
    ]  # fmt: skip
    lake.write(
        "source_prompts",
        frame("source_prompts", sent, task="code", n_turns=1, chars=1, n_pairs=1),
        Commit("test"),
    )
    known = [  # origin, prompt, label: P(the first is better), scores
        ("one", "a", "x", "y", 1.0, (3.0, 1.0)),
        ("other", "a", "y", "x", 0.2, (None, None)),  # the same pair again
        ("one", "a", "x", "z", 0.5, (None, None)),  # a tie
        ("one", "b", "x", "y", 0.0, (1.0, 2.5)),
        ("one", "b", "p", "q", 1.0, (None, None)),
        ("other", "b", "p", "q", 0.0, (None, None)),  # the sets order it differently
        ("one", "t", "x", "y", 1.0, (None, None)),  # of a test prompt
        ("one", "b", "same", " same", 1.0, (None, None)),
    ]
    rows = [
        {"pair_id": f"{n}", "origin": origin, "prompt_id": f"{origin}-{prompt}",
         "messages": [{"role": "user", "content": prompt}], "first": first, "second": second,
         "first_id": f"{n}f", "second_id": f"{n}s", "label": label,
         "first_score": scores[0], "second_score": scores[1]}
        for n, (origin, prompt, first, second, label, scores) in enumerate(known)
    ]  # fmt: skip
    lake.write("recorded_pairs", frame("recorded_pairs", rows), Commit("test"))
    found = lake.query_file("all_sources")
    sides = [(row["prompt_id"], row["chosen"], row["rejected"], row["margin"])
             for row in found.iter_rows(named=True)]  # fmt: skip
    assert sides == [("a", "x", "y", 2.0), ("b", "y", "x", 1.5)]
