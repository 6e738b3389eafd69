"""Treatments of a variant's pairs, on votes written by hand."""

from pathlib import Path

import polars as pl
import pytest

from pipeline import config, tables
from pipeline.errors import OrchardError
from pipeline.preferences.build import build
from pipeline.preferences.registry import check_sources, registry
from pipeline.preferences.voted import apply, voted_on
from pipeline.store import Commit, Lake
from tests.runs import made_from, write_pairs

BASE = config.load("quick")
SETTINGS = BASE.model_copy(
    update={"noise": config.NoiseSettings(flip_share=0.4, drop_share=0.4, soft=0.2)}
)
VARIANTS = registry(BASE)
# pairs 5 (train) and 6 (validation): no votes, and a negative one
MEANS = {0: -2.0, 1: -1.0, 2: 0.5, 3: 1.0, 4: 2.0}
NOISE = {0: 0.9, 1: 0.7, 2: 0.4, 3: 0.2, 4: 0.1}


def fill(table: str, rows: list[dict[str, object]], **common: object) -> pl.DataFrame:
    return pl.DataFrame([{**common, **row} for row in rows], schema=tables.empty(table).schema)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Seven prompts with one right and one wrong response each."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    prompts = [
        {
            "prompt_id": f"p{i}",
            "split": "validation" if i == 6 else "train",
            "messages": [{"role": "user", "content": f"question {i}"}],
        }
        for i in range(7)
    ]
    pool = {
        "pool": "x",
        "task": "x",
        "answer": "7",
        "verifier": "number",
        "source": "test",
        "licence": "none",
    }
    response = {
        "policy_id": "m", "on_policy": True, "draw": 0, "sampling": "{}", "tokens": 1,
        "prompt_tokens": 1, "logprob_mean": -1.0, "finish_reason": "stop",
    }  # fmt: skip
    responses = [
        {
            "response_id": f"{side}{i}",
            "prompt_id": f"p{i}",
            "text": f"{side} {i}",
            "correct": side == "good",
        }
        for i in range(7)
        for side in ("good", "bad")
    ]
    voted = [
        {"chosen_id": f"good{i}", "rejected_id": f"bad{i}", "pair_id": f"x{i}",
         "prompt_id": f"p{i}", "mean": mean,
         "noise_score": NOISE.get(i, 0.8), "split": "validation" if i == 6 else "train"}
        for i, mean in {**MEANS, 6: -3.0}.items()
    ]  # fmt: skip
    common = {
        "source": "outcome",
        "n_votes": 3,
        "spread": 1.0,
        "share_against": 0.5,
        "decile": 0,
        "flip_rate": 0.25,
    }
    lake.write("prompts", fill("prompts", prompts, **pool), Commit("test"))
    lake.write("responses", fill("responses", responses, **response), Commit("test"))
    lake.write("pair_strengths", fill("pair_strengths", voted, **common), Commit("test"))
    write_pairs(lake, SETTINGS, "outcome")
    return lake


def rows(lake: Lake, name: str) -> dict[str, dict[str, object]]:
    built = build(name, lake, SETTINGS)
    good, bad = tables.Preferences.filter(built)
    assert good.height == built.height and not bad.counts()
    return {row["prompt_id"]: row for row in built.to_dicts()}


def test_a_flip_exchanges_the_weakest_pairs_and_the_original_is_still_in_its_variant(
    lake: Lake,
) -> None:
    flipped, original = rows(lake, "voted_flip"), rows(lake, "outcome")
    assert [key for key, row in flipped.items() if row["flipped"]] == ["p0", "p1"]
    assert flipped["p0"]["chosen"] == "bad 0" == original["p0"]["rejected"]
    # The noise score is that of the label that the row has now; so is the strength.
    assert flipped["p0"]["noise_score"] == pytest.approx(0.1) and flipped["p0"][
        "strength"
    ] == pytest.approx(0.9)
    assert flipped["p4"]["chosen"] == "good 4" and flipped["p4"]["noise_score"] == pytest.approx(
        0.1
    )


def test_margins_weights_and_soft_labels_are_columns(lake: Lake) -> None:
    margins = rows(lake, "voted_margin")
    assert [margins[f"p{i}"]["margin"] for i in range(6)] == [-2.0, -1.0, 0.5, 1.0, 2.0, 0.0]
    both = rows(lake, "voted_flip_margin")
    assert [both[f"p{i}"]["margin"] for i in range(6)] == [2.0, 1.0, 0.5, 1.0, 2.0, 0.0]
    soft = rows(lake, "voted_soft")
    assert [soft[f"p{i}"]["strength"] for i in range(6)] == [0.8, 0.8, 1.0, 1.0, 1.0, 1.0]
    weights = rows(lake, "voted_weight")
    assert [weights[f"p{i}"]["weight"] for i in range(6)] == pytest.approx(
        [0.1, 0.3, 0.6, 0.8, 0.9, 1.0]
    )


@pytest.mark.parametrize("strength", [0.65, None])
def test_a_soft_label_is_1_where_nothing_is_doubted_whatever_the_sources_strength(
    strength: float | None,
) -> None:
    common = {
        "rejected_id": "r",
        "chosen": "x",
        "rejected": "y",
        "flipped": False,
        "chosen_ends": True,
    }
    common |= {"rejected_ends": True, "prefix": "", "strength": strength, "margin": None}
    splits = ("train", "train", "train", "validation")
    pairs = pl.DataFrame(
        [
            {**common, "pair_id": f"x{i}", "chosen_id": f"c{i}", "split": split}
            for i, split in enumerate(splits)
        ],
        schema_overrides={"strength": pl.Float64, "margin": pl.Float64},
    )
    voted = pl.DataFrame(
        {
            "chosen_id": ["c0", "c1", "c3"],
            "rejected_id": "r",
            "mean": [-2.0, 2.0, -3.0],
            "noise_score": 0.5,
        }
    ).with_columns(flip_rate=0.2)
    found = apply("soft", pairs, voted, SETTINGS.noise).sort("pair_id")
    assert found["strength"].to_list() == [0.8, 1.0, 1.0, 1.0]
    assert found["margin"].to_list() == [-2.0, 2.0, 0.0, 0.0]
    kept = apply("weight", pairs, voted, SETTINGS.noise).sort("pair_id")
    assert kept["strength"].to_list() == [strength] * 4


def test_a_posterior_is_the_soft_label_of_its_loss_and_its_control_has_the_same_ones(
    lake: Lake,
) -> None:
    assert VARIANTS["voted_posterior"].loss == VARIANTS["voted_posterior_random"].loss == "soft"
    found, control = rows(lake, "voted_posterior"), rows(lake, "voted_posterior_random")
    labels = [found[f"p{i}"]["strength"] for i in range(6)]
    assert labels == pytest.approx([0.1, 0.3, 0.6, 0.8, 0.9, 1.0])
    assert found["p0"]["chosen"] == "good 0" and not found["p0"]["flipped"]
    shuffled = [control[f"p{i}"]["strength"] for i in range(6)]
    assert sorted(map(str, shuffled)) == sorted(map(str, labels)) and shuffled != labels


def test_lcpo_reads_what_the_votes_say_of_each_label(lake: Lake) -> None:
    assert VARIANTS["voted_lcpo"].loss == "lcpo"
    found = rows(lake, "voted_lcpo")
    assert [found[f"p{i}"]["noise_score"] for i in range(6)] == [0.9, 0.7, 0.4, 0.2, 0.1, None]
    assert {found[f"p{i}"]["strength"] for i in range(6)} == {1.0}


def test_rdpo_gets_the_rate_of_the_labels_source_and_not_the_pairs_own(lake: Lake) -> None:
    found = rows(lake, "voted_rdpo")
    assert [found[f"p{i}"]["noise_score"] for i in range(6)] == [0.25] * 5 + [None]


def test_a_pair_without_votes_keeps_its_label_and_has_no_noise_score(lake: Lake) -> None:
    for name in ("flip", "margin", "soft", "drop", "weight"):
        row = rows(lake, f"voted_{name}")["p5"]
        assert (row["chosen"], row["noise_score"], row["weight"], row["flipped"]) == (
            "good 5",
            None,
            1.0,
            False,
        )


def test_held_out_pairs_are_never_treated(lake: Lake) -> None:
    for name in (name for name in VARIANTS if name.startswith("voted_")):
        row = rows(lake, name)["p6"]
        assert (row["chosen"], row["weight"], row["flipped"], row["strength"]) == (
            "good 6",
            1.0,
            False,
            1.0,
        )


def test_every_treatment_has_a_control_of_the_same_size_whose_votes_belong_to_other_pairs(
    lake: Lake,
) -> None:
    names = [
        name
        for name, variant in VARIANTS.items()
        if name.startswith("voted_") and not variant.control_of
    ]
    names.remove("voted_none")  # the baseline of them all
    names.remove("voted_rdpo")  # one rate for all pairs: permuted votes are the same ones
    assert len(names) == 8 and "voted_rdpo_random" not in VARIANTS
    for name in names:
        real, control = rows(lake, name), rows(lake, f"{name}_random")
        assert VARIANTS[f"{name}_random"].control_of == name
        assert len(real) == len(control)
        for column in ("weight", "flipped", "noise_score"):
            each = [sorted(str(r[column]) for r in found.values()) for found in (real, control)]
            if name != "voted_drop":
                assert each[0] == each[1]
    assert set(rows(lake, "voted_drop")) == {"p2", "p3", "p4", "p5", "p6"}
    assert set(rows(lake, "voted_drop_random")) != {"p2", "p3", "p4", "p5", "p6"}


def test_flips_on_purpose_are_exactly_the_share_and_only_training_labels(lake: Lake) -> None:
    half = SETTINGS.model_copy(update={"noise": config.NoiseSettings(inject=0.5)})
    seen = {row["prompt_id"]: row for row in voted_on(lake, half).to_dicts()}
    wrong = {key for key, row in seen.items() if row["flipped"]}
    assert len(wrong) == 3 and "p6" not in wrong  # of six training pairs
    assert all(
        seen[key]["chosen"].startswith("bad") and seen[key]["strength"] == 1.0 for key in wrong
    )
    untreated = {
        row["prompt_id"]: row["chosen"] for row in build("voted_none", lake, half).to_dicts()
    }
    assert untreated == {key: row["chosen"] for key, row in seen.items()}


def test_the_cost_of_a_voted_variant_is_that_of_its_source() -> None:
    made = made_from("voted_flip", SETTINGS)
    assert made[:2] == ["preferences", "pair_strengths"]  # the nearest first
    assert set(made[2:]) == {"responses", "prompts", "pair_votes", "scores"}
    trees = SETTINGS.model_copy(update={"noise": config.NoiseSettings(source="tree_plv")})
    assert "tree_nodes" in made_from("voted_flip", trees)
    assert "responses" not in made_from("voted_flip", trees)


def test_a_source_made_from_votes_and_a_lake_without_votes_are_one_line_each(
    lake: Lake, tmp_path: Path
) -> None:
    names = SETTINGS.validation.model_copy(update={"variants": ("voted_drop",)})
    noise = config.NoiseSettings(source="voted_flip")
    with pytest.raises(OrchardError, match="noise.source: 'voted_flip' is itself made from votes"):
        check_sources(SETTINGS.model_copy(update={"noise": noise, "validation": names}))
    empty = Lake(tmp_path)
    assert build("voted_flip", empty, SETTINGS).is_empty()
    for table in ("prompts", "responses"):
        empty.write(table, lake.read(table), Commit("test"))
    write_pairs(empty, SETTINGS, "outcome")
    with pytest.raises(
        OrchardError, match="no votes on the pairs of 'outcome': materialise pair_strengths first"
    ):
        build("voted_flip", empty, SETTINGS)
