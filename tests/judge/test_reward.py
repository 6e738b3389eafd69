"""Judges of other kinds: reward models that score, and models on servers of their own."""

import math
from pathlib import Path

import pytest

from pipeline import config, tables
from pipeline.config import JudgeSettings
from pipeline.engine.budget import Meter
from pipeline.engine.model import Model
from pipeline.engine.resident import Resident
from pipeline.engine.server import ServerEngine
from pipeline.engine.session import open_engine
from pipeline.engine.vllm import VllmEngine
from pipeline.errors import OrchardError
from pipeline.judge import reward, strength
from pipeline.judge.kind import kinds_of
from pipeline.rewards.texts import Said
from tests.judge.simulated import prompts, responses

TEXTS = {"p": ["a", "bbb", "bad"], "q": ["x", "x"]}


def test_votes_of_a_reward_model_are_bradley_terry_and_what_is_no_number_is_rejected() -> None:
    def score(texts, _):
        said = {key: turns[-1]["content"] for key, turns in texts.items()}
        rewards = {key: float(len(text)) for key, text in said.items() if text != "bad"}
        return Said(
            "rm",
            rewards,
            {key: "its score is not finite" for key, text in said.items() if text == "bad"},
        )

    known = (prompts(*TEXTS), responses(TEXTS), tables.empty("recorded_pairs"))
    rows, rejects = reward.votes(score, "rm@0", known, JudgeSettings())
    found = {(row["first_id"], row["second_id"]): row["p_first"] for row in rows.to_dicts()}
    p = 1 / (1 + math.exp(2.0))  # one character against three
    assert found == pytest.approx({("p-0", "p-1"): p, ("p-1", "p-0"): 1 - p})
    assert set(rows["method"]) == {"scores"} and set(rows["criterion"]) == {"reward"}
    assert not tables.Votes.filter(rows)[1].counts()
    assert {(reject.row_id, reject.reason[:32]) for reject in rejects} == {
        ("p-2", "judge rm@0 on 'reward': its scor"),
        ("q-1", "identical to an earlier response"),
        ("q-0", "one response only: nothing to co"),
    }
    (pair,) = strength.paired(rows, JudgeSettings()).to_dicts()
    assert pair["strength"] == pytest.approx(p) and not pair["flipped"]  # scores have no seat


@pytest.fixture(scope="module")
def classifier(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest Llama with one output, random weights, the default model's tokenizer."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForSequenceClassification

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(str(model.path))
    sizes = {
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
    }
    shape = LlamaConfig(vocab_size=len(tokenizer), num_labels=1, pad_token_id=0, **sizes)
    path = tmp_path_factory.mktemp("classifier")
    LlamaForSequenceClassification(shape).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def test_a_judge_may_answer_on_servers_of_its_own_while_the_policy_is_sampled_here(
    classifier: Path, model: Model, models: Path, tmp_path: Path
) -> None:
    judge = {
        "name": str(classifier),
        "servers": [{"url": "http://127.0.0.1:9", "model": "big"}],
        "max_model_len": 99,
    }
    quick = config.load("quick")
    settings = config.Settings(
        **{**quick.model_dump(), "judge": {"models": [judge]}, "engine": {"cache": False}}
    )
    from pipeline.engine.model import resolve

    home, meter = models.parent, Meter(settings.budget)
    resident = Resident(settings.engine, settings.model)
    judging = open_engine(resolve(settings.judge.models[0], home), settings, home, resident, meter)
    assert isinstance(judging, ServerEngine) and judging._servers[0].model == "big"
    assert isinstance(open_engine(model, settings, home, resident, meter), VllmEngine)
    scored = JudgeSettings(models=(config.JudgeModelSettings(**judge, kind="reward"),))
    with pytest.raises(OrchardError, match="of the kind 'reward' is computed here"):
        kinds_of(scored)
    with pytest.raises(OrchardError, match="unknown judge kind 'x': use one of generative, reward"):
        kinds_of(JudgeSettings(models=(config.JudgeModelSettings(kind="x"),)))
