"""What the tables of votes are made from: a change of the pairs that are voted on reaches all of them."""

from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from assets.produce import Recipe
from assets.workshop import Workshop

from assets import noise
from assets.noise import NOISE
from pipeline import config, tables
from pipeline.engine.model import Model
from pipeline.ids import content_id
from pipeline.noise.combine import TOGETHER
from pipeline.noise.elsewhere import external_scores
from pipeline.preferences.build import identity
from pipeline.rewards.texts import Said
from pipeline.store import Commit, Lake
from tests.noise.test_selftest import drawn
from tests.preferences.test_build import frame
from tests.training.toy import save_tokenizer

QUERY = "SELECT a.prompt_id, a.text AS chosen, b.text AS rejected FROM responses a JOIN responses b USING (prompt_id)"
PROFILE = """
pools: [{{name: x, size: 1}}]
variants: [{{name: mine, sql: mine.sql}}, {{name: again, source: mine}}]
noise: {{source: {source}, method: none}}
validation: {{variants: [again, voted_flip]}}
judge: {{clip: {clip}}}
"""


@pytest.fixture
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Recipe]:
    """The recipe of every table, by name, as the assets ask for it."""
    found: dict[str, Recipe] = {}

    def remember(context: object, shop: object, recipe: Recipe, compute: object) -> Mapping[str, object]:
        found[recipe.table] = recipe
        return {}

    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path))
    monkeypatch.setattr(Workshop, "base", Model(tmp_path, "m@0"))
    monkeypatch.setattr(noise, "produce", remember)
    return found


def asked(
    folder: Path, recipes: dict[str, Recipe], query: str, clip: float = 0.01, source: str = "again"
) -> dict[str, str]:
    """What every recipe's settings are, as one id."""
    (folder / "mine.sql").write_text(query)
    (folder / "p.yaml").write_text(PROFILE.format(clip=clip, source=source))
    shop = Workshop(profile=str(folder / "p.yaml"))
    for asset in NOISE:
        asset.op.compute_fn.decorated_fn(dg.build_asset_context(), shop)  # type: ignore[union-attr]
    assert {"votes", "recorded_votes"} <= set(recipes["noise_tests"].parents)
    assert set(recipes) == {"scores", "pair_votes", "pair_strengths", "voters", "noise_tests"}
    return {name: content_id(recipe.settings) for name, recipe in recipes.items()}


def test_another_query_of_the_source_makes_every_table_of_votes_anew(
    tmp_path: Path, recipes: dict[str, Recipe]
) -> None:
    before = asked(tmp_path, recipes, QUERY)
    assert asked(tmp_path, recipes, QUERY) == before
    changed = asked(tmp_path, recipes, f"{QUERY} WHERE a.correct")
    assert all(changed[name] != before[name] for name in before)


def test_a_judge_setting_counts_where_the_source_reads_judgements(tmp_path: Path, recipes: dict[str, Recipe]) -> None:
    plain, judged = (asked(tmp_path, recipes, QUERY, 0.01, source) for source in ("again", "osp"))
    assert asked(tmp_path, recipes, QUERY, 0.02, "again") == plain  # else heads are trained anew for nothing
    changed = asked(tmp_path, recipes, QUERY, 0.02, "osp")
    assert all(changed[name] != judged[name] for name in judged)


def test_a_voted_variant_is_another_one_where_its_source_is(tmp_path: Path, recipes: dict[str, Recipe]) -> None:
    found = []
    for query in (QUERY, f"{QUERY} WHERE a.correct"):
        asked(tmp_path, recipes, query)
        settings = config.load(str(tmp_path / "p.yaml"))
        found.append([identity(name, settings) for name in ("voted_flip", "voted_flip_random", "outcome")])
    assert found[0][0] != found[1][0] and found[0][1] != found[1][1]
    assert found[0][2] == found[1][2] == []


def test_peoples_votes_on_a_pair_that_is_too_long_for_the_heads_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_tokenizer(tmp_path)
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path))
    monkeypatch.setattr(Workshop, "base", Model(tmp_path, "m@0"))
    prompt = {"pool": "x", "task": "x", "split": "train", "answer": "7", "verifier": "number", "source": "t",
              "licence": "none", "prompt_id": "p", "messages": [{"role": "user", "content": "?"}]}  # fmt: skip
    response = {"prompt_id": "p", "policy_id": "m", "on_policy": True, "draw": 0, "sampling": "{}", "tokens": 1,
                "prompt_tokens": 1, "logprob_mean": -1.0, "finish_reason": "stop"}  # fmt: skip
    responses = [{"response_id": "good", "text": "7" * 99, "correct": True},
                 {"response_id": "bad", "text": "8", "correct": False}]  # fmt: skip
    vote = {"vote_id": "1", "origin": "f", "pair_id": "any", "chosen_id": "good", "rejected_id": "bad", "order": "",
            "voter_id": "ann", "p": 0.8}  # fmt: skip
    with Lake(tmp_path) as lake:
        lake.write("prompts", frame("prompts", [prompt]), Commit("test"))
        lake.write("responses", frame("responses", responses, **response), Commit("test"))
        lake.write("recorded_votes", frame("recorded_votes", [vote]), Commit("test"))
    (tmp_path / "p.yaml").write_text(
        "pools: [{name: x, size: 1}]\nnoise: {method: none, max_length: 50}\nvalidation: {variants: [voted_flip]}\n"
    )
    shop = Workshop(profile=str(tmp_path / "p.yaml"))
    assert dg.materialize([noise.pair_votes], resources={"shop": shop}).success
    with Lake(tmp_path) as lake:
        assert lake.read("pair_votes").select("chosen_id", "voter_id", "p").rows() == [("good", "ann", 0.8)]


def test_people_and_judges_are_scorers_of_the_self_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features, pairs = drawn(120)
    monkeypatch.setattr(noise, "texts_of", lambda *_: (pairs, features, []))
    monkeypatch.setattr(noise, "_external_scores", lambda *_: (tables.empty("scores"), []))
    keys = ["pair_id", "chosen_id", "rejected_id"]
    votes = pairs.select(*keys, vote_id="pair_id", origin=pl.lit("f"), voter_id=pl.lit("ann"), order=pl.lit(""), p=0.9)
    judged = pairs.select(
        vote_id="pair_id", prompt_id="prompt_id", first_id="chosen_id", second_id="rejected_id", judge_id=pl.lit("j"),
        criterion=pl.lit("help"), method=pl.lit("pairwise"), p_first=0.1, source=pl.lit("model"), tokens=0,
        origin=pl.lit("responses"),
    )  # fmt: skip
    own = config.NoiseSettings(models=1, folds=2, min_steps=1, epochs=1, test_shares=(0.2,))
    settings = config.load("quick").model_copy(update={"noise": own})
    with Lake(tmp_path) as lake:
        lake.write("recorded_votes", frame("recorded_votes", votes.to_dicts()), Commit("test"))
        lake.write("votes", frame("votes", judged.to_dicts()), Commit("test"))
        rows = noise.self_test(lake, settings, Model(tmp_path, "m@0")).rows
    found = dict(rows.filter(metric="auroc").select("name", "value").iter_rows())
    assert (found["ann"], found["j on help"]) == (1.0, 0.0)  # right of every label before the flips, and wrong of each


def test_external_models_are_heard_each_or_together_as_the_profile_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, pairs = drawn(120)
    sides = [
        pairs.select("prompt_id", text_id=f"{side}_text_id", response_id=f"{side}_id", raw=pl.lit(raw))
        for side, raw in (("chosen", 1.0), ("rejected", -1.0))
    ]
    said = Said("x", dict(pl.concat(sides).select("text_id", "raw").iter_rows()), {})
    other = Said("y", {key: 0.5 * value for key, value in said.rewards.items()}, {})
    scores = external_scores(pairs, [(said, "help"), (other, "safe")], 0.85)
    monkeypatch.setattr(noise, "texts_of", lambda *_: (pairs, features, []))
    monkeypatch.setattr(noise, "_external_scores", lambda *_: scores)
    names = []
    for how in ("none", "log_sigmoid"):
        own = config.NoiseSettings(models=1, folds=2, min_steps=1, epochs=1, test_shares=(0.2,), combine=how)
        settings = config.load("quick").model_copy(update={"noise": own})
        with Lake(tmp_path) as lake:
            rows = noise.self_test(lake, settings, Model(tmp_path, "m@0")).rows.filter(metric="auroc")
        names.append(set(rows.filter(value=1.0)["name"]))
    assert names[0] >= {"x", "y"} and names[1] & {"x", "y", TOGETHER} == {TOGETHER}
