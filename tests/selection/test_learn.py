"""Selectors on texts and features whose truth is known: what is read, and what is learnt."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr

from pipeline.config import NoiseSettings, Settings
from pipeline.engine.model import Model
from pipeline.engine.rendering import Renderer
from pipeline.errors import OrchardError
from pipeline.noise.features import Features, sides
from pipeline.noise.heads import fit_heads
from pipeline.selection.learn import learn
from pipeline.selection.score import _neighbours, material, score_steps
from pipeline.selection.steps import steps_of
from tests.training.toy import pair, save_llama


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    path = save_llama(tmp_path_factory.mktemp("selection") / "model", seed=0)
    return Model(path, "toy@1")


def answers(*texts: str, finish: str = "stop") -> pl.DataFrame:
    turns = [{"role": "user", "content": "2 + 3?"}]
    return pl.DataFrame(
        [
            {
                "prompt_id": "p",
                "response_id": f"r{number}",
                "text": text,
                "finish_reason": finish,
                "messages": turns,
                "answer": text[-1],
                "correct": text.endswith("5"),
            }
            for number, text in enumerate(texts)
        ]
    )


def test_a_step_of_a_response_is_the_text_that_a_pair_of_its_steps_holds(model: Model) -> None:
    found = steps_of(answers("2 and 3\nare 5"), Renderer(model.path), "\n", 200)
    assert found.rows.select("item_id", "step").rows() == [("r0", 0), ("r0", 1)]
    first = pair("2 + 3?", "2 and 3\n", "no\n", chosen_ends=False, rejected_ends=False)
    second = pair("2 + 3?", "are 5", "are 6", prefix="2 and 3\n")
    _, texts, _ = sides(pl.DataFrame([first, second], infer_schema_length=None), model, 200)
    assert set(found.texts.values()) <= set(texts.values())


def test_a_cut_response_ends_no_turn_and_one_that_is_too_long_is_a_reject(model: Model) -> None:
    whole = steps_of(answers("5"), Renderer(model.path), "\n", 200)
    cut = steps_of(answers("5", finish="length"), Renderer(model.path), "\n", 200)
    (a,), (b,) = whole.texts.values(), cut.texts.values()
    assert a[:-1] == b
    found = steps_of(answers("5", "word " * 200), Renderer(model.path), "\n", 100)
    assert found.rows["item_id"].to_list() == ["r0"]
    assert [one.row_id for one in found.rejects] == ["r1"]
    assert "noise.max_length 100" in found.rejects[0].reason


def test_a_selector_orders_texts_by_the_reward_that_made_its_pairs() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(900, 12)).astype(np.float32)
    reward = matrix @ rng.normal(size=12)
    ids = [f"{n:04d}" for n in range(900)]
    better = [(a, b) if reward[a] > reward[b] else (b, a) for a, b in zip(range(300), range(300, 600), strict=True)]  # fmt: skip  # noqa: E501
    pairs = pl.DataFrame(
        [
            {"pair_id": ids[a], "chosen_text_id": ids[a], "rejected_text_id": ids[b],
             "chosen_tokens": 1, "rejected_tokens": 1}
            for a, b in better
        ]
    )  # fmt: skip
    settings = NoiseSettings(models=2, min_steps=200, learning_rate=1e-2)
    fit = fit_heads(settings)
    said = learn("tree_plv", pairs, Features(ids, matrix), 2, 0, fit)
    unseen = [said.scores[key] for key in ids[600:]]  # texts of no pair
    assert spearmanr(unseen, reward[600:])[0] > 0.9 and said.n_pairs == 300
    again = learn("tree_plv", pairs.reverse(), Features(ids, matrix), 2, 0, fit)
    assert again.scores == said.scores


def settings(**noise: object) -> Settings:
    return Settings(
        profile="test",
        pools=(),
        noise={"models": 1, "min_steps": 20, "max_length": 200, **noise},
        selection={"sources": ["tree_plv", "outcome"]},
        trees={"delimiter": "\n"},
    )


def made(model: Model, home: Path, **noise: object) -> dict[str, pl.DataFrame]:
    rows = [pair(f"{n}?", "yes", "no", split="train" if n < 4 else "validation") for n in range(6)]
    pairs = pl.DataFrame(rows, infer_schema_length=None)
    own = {"tree_plv": pairs, "outcome": pairs.head(1)}
    given = material(own, answers("2 and 3\nare 5", "6"), model, settings(**noise))
    frames = {}
    for source in own:
        frames[source], rejects = score_steps(source, given, model, settings(**noise), home)
        reasons = [one.reason for one in rejects]
        few = "fewer than 2 training pairs of 'outcome': no selector"
        assert reasons == ([] if source == "tree_plv" else [few])
    return frames


@pytest.mark.parametrize("method", ["heads", "full"])
def test_answers_and_held_out_pairs_are_scored_by_every_method(
    model: Model, tmp_path: Path, method: str
) -> None:
    frames = made(model, tmp_path, method=method)
    assert frames["outcome"].is_empty()
    rows = frames["tree_plv"].sort("kind", "item_id", "step")
    assert rows.filter(pl.col("kind") == "answer").select("item_id", "step", "correct").rows() == [
        ("r0", 0, True),
        ("r0", 1, True),
        ("r1", 0, False),
    ]
    assert rows["kind"].value_counts().sort("kind").rows() == [
        ("answer", 3),
        ("chosen", 2),
        ("rejected", 2),
    ]
    assert rows["n_pairs"].to_list() == [4] * 7


def test_meta_tells_neighbours_of_a_prompt_apart(model: Model, tmp_path: Path) -> None:
    rows = pl.DataFrame(
        {"prompt_id": ["p", "q", "p", "p", "p"], "text_id": ["c", "d", "a", "b", "a"]}
    )
    assert _neighbours(rows) == [("a", "b"), ("b", "c")]  # q has one text
    plain, meta = (
        made(model, tmp_path, meta={"step": step})["tree_plv"].sort("score_id")
        for step in (0.0, 50.0)
    )
    assert meta["score_id"].equals(plain["score_id"]) and not meta["score"].equals(plain["score"])


def test_no_reward_model_is_one_line(model: Model, tmp_path: Path) -> None:
    with pytest.raises(OrchardError, match="noise.method none trains no reward model"):
        made(model, tmp_path, method="none")
