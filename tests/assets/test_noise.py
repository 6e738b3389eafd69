"""What the tables of votes are made from:
a change of the pairs that are voted on reaches all of them.
"""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from assets.noise import NOISE_TESTS, PAIR_VOTES, STEPS, VOTER_CHECKS
from assets.preferences import PREFERENCES, TREATED_PREFERENCES
from pipeline import config, tables
from pipeline.engine.model import Model
from pipeline.engine.rendering import Renderer
from pipeline.noise import outside, trial
from pipeline.noise.combine import TOGETHER
from pipeline.noise.elsewhere import external_scores
from pipeline.noise.features import Features
from pipeline.rewards.texts import Said
from pipeline.steps.inputs import needs_of
from pipeline.steps.recipe import fingerprint
from pipeline.store import Commit, Lake
from tests.judge import simulated
from tests.noise.test_selftest import drawn
from tests.preferences.test_build import frame
from tests.runs import CHARACTERS, ScriptedRoom, ScriptedRun, make, write_pairs
from tests.training.toy import save_tokenizer

QUERY = (
    "SELECT a.prompt_id, a.text AS chosen, b.text AS rejected "
    "FROM responses a JOIN responses b USING (prompt_id)"
)
OTHER = f"{QUERY} WHERE a.response_id < b.response_id"
PROFILE = """
pools: [{{name: x, size: 1}}]
variants: [{{name: mine, sql: mine.sql}}]
noise: {{source: {source}, method: none}}
validation: {{variants: [outcome, mine, osp, voted_flip, voted_flip_random]}}
judge: {{clip: {clip}}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with two responses to a prompt, and a sure vote on them."""
    # no tokenizer: a token is a character
    monkeypatch.setattr(Renderer, "chat", CHARACTERS)
    votes = simulated.votes([("p-0", "p-1", 0.9999), ("p-1", "p-0", 0.0001)])
    with Lake(tmp_path) as lake:
        lake.write("prompts", simulated.prompts("p"), Commit("test"))
        right = simulated.responses({"p": ["7", "8"]}, lambda text: text == "7")
        lake.write("responses", right, Commit("test"))
        lake.write("votes", votes, Commit("test"))
    return tmp_path


def asked(folder: Path, query: str, clip: float = 0.01, source: str = "mine") -> dict[str, str]:
    """Fingerprints of the tables of votes and of voted pairs, after the pairs were made."""
    (folder / "mine.sql").write_text(query)
    (folder / "p.yaml").write_text(PROFILE.format(clip=clip, source=source))
    settings = config.load(str(folder / "p.yaml"))
    with Lake(folder) as lake:
        run = ScriptedRun(lake, settings)
        make(run, PREFERENCES)
        found = {step.name: fingerprint(step, run) for step in STEPS}
        treated = {
            n: fingerprint(TREATED_PREFERENCES, run, n) for n in ("voted_flip", "voted_flip_random")
        }
        others = {
            "osp": fingerprint(PREFERENCES, run, "osp"),
            "outcome": fingerprint(PREFERENCES, run, "outcome"),
        }
    names = {"scores", "pair_votes", "pair_strengths", "voters", "voter_checks", "noise_tests"}
    assert set(found) == names
    return found | treated | others


VOTED = (
    "scores",
    "pair_votes",
    "pair_strengths",
    "voters",
    "voter_checks",
    "noise_tests",
    "voted_flip",
    "voted_flip_random",
)


def test_another_query_of_the_source_makes_every_table_of_votes_anew(folder: Path) -> None:
    before = asked(folder, QUERY)
    assert asked(folder, QUERY) == before
    assert asked(folder, f"{QUERY} -- the same rows") == before
    changed = asked(folder, OTHER)
    assert all(changed[name] != before[name] for name in VOTED)
    assert changed["outcome"] == before["outcome"] and changed["osp"] == before["osp"]


def test_a_judge_setting_counts_where_the_source_reads_judgements(folder: Path) -> None:
    plain, judged = (asked(folder, QUERY, 0.01, source) for source in ("mine", "osp"))
    unmoved = asked(folder, QUERY, 0.02, "mine")  # else heads are trained anew for nothing
    assert all(unmoved[name] == plain[name] for name in VOTED) and unmoved["osp"] != plain["osp"]
    changed = asked(folder, QUERY, 0.03, "osp")
    assert all(changed[name] != judged[name] for name in VOTED)


def test_people_and_judges_are_read_by_the_self_test() -> None:
    assert {"votes", "recorded_votes"} <= set(needs_of(NOISE_TESTS.reads))


def test_peoples_votes_on_a_pair_that_is_too_long_for_the_heads_count(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    prompt = {"pool": "x", "task": "x", "split": "train", "answer": "7", "verifier": "number",
              "source": "t",
              "licence": "none", "prompt_id": "p",
              "messages": [{"role": "user", "content": "?"}]}  # fmt: skip
    response = {"prompt_id": "p", "policy_id": "m", "on_policy": True, "draw": 0, "sampling": "{}",
                "tokens": 1,
                "prompt_tokens": 1, "logprob_mean": -1.0, "finish_reason": "stop"}  # fmt: skip
    responses = [{"response_id": "good", "text": "7" * 99, "correct": True},
                 {"response_id": "bad", "text": "8", "correct": False}]  # fmt: skip
    vote = {"vote_id": "1", "origin": "f", "pair_id": "any", "chosen_id": "good",
            "rejected_id": "bad", "order": "",
            "voter_id": "ann", "p": 0.8}  # fmt: skip
    with Lake(tmp_path) as lake:
        lake.write("prompts", frame("prompts", [prompt]), Commit("test"))
        lake.write("responses", frame("responses", responses, **response), Commit("test"))
        lake.write("recorded_votes", frame("recorded_votes", [vote]), Commit("test"))
    (tmp_path / "p.yaml").write_text(
        "pools: [{name: x, size: 1}]\nnoise: {method: none, max_length: 50}\n"
        "validation: {variants: [voted_flip]}\n"
    )
    settings = config.load(str(tmp_path / "p.yaml"))
    with Lake(tmp_path) as lake:
        write_pairs(lake, settings, "outcome")
        make(ScriptedRun(lake, settings), PAIR_VOTES)
        assert lake.read("pair_votes").select("chosen_id", "voter_id", "p").rows() == [
            ("good", "ann", 0.8)
        ]


def given(
    monkeypatch: pytest.MonkeyPatch, pairs: pl.DataFrame, features: Features, scores: pl.DataFrame
) -> None:
    """The self-test has these pairs, features and scores of external models."""
    monkeypatch.setattr(trial, "readable", lambda *_: (pairs, {}, []))
    monkeypatch.setattr(trial, "features_of", lambda *_: features)
    monkeypatch.setattr(trial, "score_by_external", lambda *_: (scores, []))


def test_people_and_judges_are_scorers_of_the_self_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, pairs = drawn(120)
    given(monkeypatch, pairs, features, tables.empty("scores"))
    keys = ["pair_id", "chosen_id", "rejected_id"]
    votes = pairs.select(
        *keys,
        vote_id="pair_id",
        origin=pl.lit("f"),
        voter_id=pl.lit("ann"),
        order=pl.lit(""),
        p=0.9,
    )
    judged = pairs.select(
        vote_id="pair_id", prompt_id="prompt_id", first_id="chosen_id", second_id="rejected_id",
        judge_id=pl.lit("j"),
        criterion=pl.lit("help"), method=pl.lit("pairwise"), p_first=0.1, source=pl.lit("model"),
        tokens=0, origin=pl.lit("responses"),
    )  # fmt: skip
    own = config.NoiseSettings(models=1, folds=2, min_steps=1, epochs=1, test_shares=(0.2,))
    settings = config.load("quick").model_copy(update={"noise": own})
    with Lake(tmp_path) as lake:
        lake.write("recorded_votes", frame("recorded_votes", votes.to_dicts()), Commit("test"))
        lake.write("votes", frame("votes", judged.to_dicts()), Commit("test"))
        rows = trial.self_test(lake, pairs, settings, Model(tmp_path, "m@0"), tmp_path).rows
    found = dict(rows.filter(metric="auroc").select("name", "value").iter_rows())
    # right of every label before the flips, and wrong of each
    assert (found["ann"], found["j on help"]) == (1.0, 0.0)


def test_external_models_are_heard_each_or_together_as_the_profile_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, pairs = drawn(120)
    sides = [
        pairs.select(
            "prompt_id", text_id=f"{side}_text_id", response_id=f"{side}_id", raw=pl.lit(raw)
        )
        for side, raw in (("chosen", 1.0), ("rejected", -1.0))
    ]
    said = Said("x", dict(pl.concat(sides).select("text_id", "raw").iter_rows()), {})
    other = Said("y", {key: 0.5 * value for key, value in said.rewards.items()}, {})
    scores = external_scores(pairs, [(said, "help"), (other, "safe")], 0.85)
    given(monkeypatch, pairs, features, scores[0])
    names = []
    for how in ("none", "log_sigmoid"):
        own = config.NoiseSettings(
            models=1, folds=2, min_steps=1, epochs=1, test_shares=(0.2,), combine=how
        )
        settings = config.load("quick").model_copy(update={"noise": own})
        with Lake(tmp_path) as lake:
            rows = trial.self_test(
                lake, pairs, settings, Model(tmp_path, "m@0"), tmp_path
            ).rows.filter(metric="auroc")
        names.append(set(rows.filter(value=1.0)["name"]))
    assert names[0] >= {"x", "y"} and names[1] & {"x", "y", TOGETHER} == {TOGETHER}


def by_length(texts: dict[str, tuple[int, ...]], *_: object) -> Features:
    """Stands for a model whose state is how long a text is."""
    keys = sorted(texts)
    return Features(keys, np.array([[len(texts[key]), 1.0] for key in keys], dtype=np.float32))


def test_reward_models_are_checked_on_recorded_pairs_that_they_were_not_fitted_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_tokenizer(tmp_path)
    monkeypatch.setattr(outside, "features_of", by_length)
    monkeypatch.setattr(ScriptedRoom, "rest", lambda _: None, raising=False)
    names = "abcdefgh"
    common = {"origin": "bench", "messages": [{"role": "user", "content": "how?"}]}
    rows = [
        {**common, "pair_id": f"r{i}", "prompt_id": f"q{i}", "first": "x" * (i + 1),
         "second": "x" * 9, "first_id": f"f{i}", "second_id": f"s{i}", "label": float(i == 3),
         "metadata": '{"subset": "easy"}' if i else None}
        for i in range(4)
    ]  # fmt: skip
    rows.append({**rows[0], "pair_id": "known", "prompt_id": "a"})  # of a prompt that is learnt
    with Lake(tmp_path) as lake:
        lake.write("prompts", simulated.prompts(*names), Commit("test"))
        texts = {name: ["7" * 12, "8" * 3] for name in names}
        lake.write(
            "responses", simulated.responses(texts, lambda text: "7" in text), Commit("test")
        )
        lake.write("recorded_pairs", frame("recorded_pairs", rows), Commit("test"))
        noise = config.NoiseSettings(models=2, folds=2, min_steps=100, learning_rate=0.05)
        settings = config.load("quick").model_copy(update={"noise": noise})
        write_pairs(lake, settings, "outcome")
        make(ScriptedRun(lake, settings), VOTER_CHECKS)
        found = lake.read("voter_checks").sort("voter_id", "subset")
    # longer is better, they have learnt, and so is it of three of the four
    shares = found.select("voter_id", "subset", "n_pairs", "accuracy", "longer_accuracy").rows()
    assert shares == [
        (f"head {m} on m", subset, n, share, share)
        for m in range(2)
        for subset, n, share in (("", 4, 0.75), ("easy", 3, pytest.approx(2 / 3)))
    ]
