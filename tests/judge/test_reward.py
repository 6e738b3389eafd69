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
from tests.judge.simulated import prompts, responses

TEXTS = {"p": ["a", "bbb", "bad"], "q": ["x", "x"]}


def test_votes_of_a_reward_model_are_bradley_terry_and_what_is_no_number_is_rejected() -> None:
    def score(items):
        return [math.nan if text == "bad" else float(len(text)) for _, text in items]

    known = (prompts(*TEXTS), responses(TEXTS), tables.empty("recorded_pairs"))
    rows, rejects = reward.votes(score, "rm@0", known, JudgeSettings())
    found = {(row["first_id"], row["second_id"]): row["p_first"] for row in rows.to_dicts()}
    p = 1 / (1 + math.exp(2.0))  # one character against three
    assert found == pytest.approx({("p-0", "p-1"): p, ("p-1", "p-0"): 1 - p})
    assert set(rows["method"]) == {"scores"} and set(rows["criterion"]) == {"reward"}
    assert not tables.Votes.filter(rows)[1].counts()
    assert {(reject.row_id, reject.reason.split(":")[0]) for reject in rejects} == {
        ("p-2", "its reward is no number"),
        ("q-1", "identical to an earlier response"),
        ("q-0", "one response only"),
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
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    shape = LlamaConfig(vocab_size=len(tokenizer), num_labels=1, pad_token_id=0, **sizes)
    path = tmp_path_factory.mktemp("classifier")
    LlamaForSequenceClassification(shape).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def test_a_reward_is_the_head_on_the_last_token_of_the_whole_chat(classifier: Path) -> None:
    import torch
    from transformers import AutoTokenizer, LlamaForSequenceClassification

    turns = [{"role": "user", "content": "2 + 2?"}]
    tokenizer = AutoTokenizer.from_pretrained(str(classifier))
    own = LlamaForSequenceClassification.from_pretrained(str(classifier)).eval()
    expected = []
    for text in ("4", "five, I think"):
        chat = tokenizer.apply_chat_template([*turns, {"role": "assistant", "content": text}], tokenize=False)
        hidden = own.model(torch.tensor([tokenizer(chat, add_special_tokens=False)["input_ids"]])).last_hidden_state
        expected.append(float(own.score(hidden[:, -1]).detach()))
    found = reward.scorer(classifier, 512)([(turns, "4"), (turns, "five, I think")])
    assert found == pytest.approx(expected, abs=1e-6) and found[0] != found[1]


def test_a_model_with_several_outputs_is_no_reward_model(classifier: Path, tmp_path: Path) -> None:
    import json
    import shutil

    shutil.copytree(classifier, tmp_path, dirs_exist_ok=True)
    shape = json.loads((tmp_path / "config.json").read_text())
    two = {**shape, "id2label": {"0": "a", "1": "b"}, "label2id": {"a": 0, "b": 1}}
    (tmp_path / "config.json").write_text(json.dumps(two))
    (tmp_path / "model.safetensors").unlink()
    from transformers import LlamaConfig, LlamaForSequenceClassification

    LlamaForSequenceClassification(LlamaConfig(**two)).save_pretrained(tmp_path)
    with pytest.raises(OrchardError, match="2 outputs, not 1"):
        reward.scorer(tmp_path, 512)


def test_a_judge_may_answer_on_servers_of_its_own_while_the_policy_is_sampled_here(classifier: Path, model: Model, models: Path, tmp_path: Path) -> None:  # fmt: skip  # noqa: E501
    judge = {"name": str(classifier), "servers": [{"url": "http://127.0.0.1:9", "model": "big"}], "max_model_len": 99}
    quick = config.load("quick")
    settings = config.Settings(**{**quick.model_dump(), "judge": {"models": [judge]}, "engine": {"cache": False}})
    from pipeline.engine.model import resolve

    home, meter = models.parent, Meter(settings.budget)
    resident = Resident(settings.engine, settings.model)
    judging = open_engine(resolve(settings.judge.models[0], home), settings, home, resident, meter)
    assert isinstance(judging, ServerEngine) and judging._servers[0].model == "big"
    assert isinstance(open_engine(model, settings, home, resident, meter), VllmEngine)
    with pytest.raises(ValueError, match="a reward model is computed here"):
        config.JudgeModelSettings(**judge, kind="reward")
