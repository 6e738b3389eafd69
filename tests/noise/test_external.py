"""External voters: tiny classifiers in folders,
and a pooling server that says what a test tells it to.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from pydantic import ValidationError
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
)

from pipeline.config import EngineSettings, NoiseSettings, ServerSettings, VoterSettings
from pipeline.engine import pool
from pipeline.engine.base import RequestFailed
from pipeline.errors import OrchardError
from pipeline.noise.calibrate import fit
from pipeline.noise.elsewhere import external_scores
from pipeline.rewards.local import Classifier
from pipeline.rewards.server import ask
from pipeline.rewards.texts import Said, conversations, references, reward
from pipeline.tables import TABLES
from tests.fake_server import Answer, FakeServer
from tests.training.toy import save_tokenizer

TURNS = {
    f"t{i}": (
        {"role": "user", "content": "is it?" * (1 + i % 3)},
        {"role": "assistant", "content": "yes" + "!" * i},
    )
    for i in range(5)
}
SIZES = {
    "vocab_size": 260,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}


def saved(path: Path, kind: Any, config: Any) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = kind(config)
        for parameter in network.parameters():
            parameter.data += 0.2 * torch.randn_like(parameter)
        network.save_pretrained(path)
    save_tokenizer(path)
    return path


def llama(
    path: Path, labels: int, kind: Any = LlamaForSequenceClassification, pad: int | None = 258
) -> Path:
    return saved(
        path,
        kind,
        LlamaConfig(**SIZES, num_labels=labels, pad_token_id=pad, max_position_embeddings=256),
    )


@pytest.mark.parametrize(
    ("labels", "positive", "signs"), [(1, None, [1]), (2, None, [-1, 1]), (2, 0, [1, -1])]
)
def test_a_classifiers_reward_is_its_logit_or_the_log_odds_of_the_good_class(
    tmp_path: Path, labels: int, positive: int | None, signs: list[int]
) -> None:
    path = llama(tmp_path / "rm", labels)
    said = Classifier(VoterSettings(name="v", model=str(path), positive=positive), tmp_path, 100)(
        TURNS
    )
    network = LlamaForSequenceClassification.from_pretrained(path, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(path)
    for key, turns in TURNS.items():  # one at a time, without padding
        ids = tokenizer.encode(
            tokenizer.apply_chat_template(list(turns), tokenize=False), add_special_tokens=False
        )
        with torch.no_grad():
            logits = network(torch.tensor([ids])).logits[0].tolist()
        assert said.rewards[key] == pytest.approx(
            sum(s * x for s, x in zip(signs, logits, strict=True)), abs=1e-4
        )
    assert len({round(x, 4) for x in said.rewards.values()}) == 5 and not said.faults
    assert said.voter_id.startswith("v@")


def test_an_encoder_without_a_chat_template_reads_question_and_answer_as_two_texts(
    tmp_path: Path,
) -> None:
    path = saved(
        tmp_path / "bert",
        BertForSequenceClassification,
        BertConfig(**SIZES, num_labels=1, pad_token_id=257),
    )
    (path / "chat_template.jinja").unlink()
    said = Classifier(VoterSettings(name="v", model=str(path)), tmp_path, 64)(TURNS)
    network = BertForSequenceClassification.from_pretrained(path, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(path)
    with torch.no_grad():
        expected = network(**tokenizer("is it?" * 3, "yes!!", return_tensors="pt")).logits.item()
    assert said.rewards["t2"] == pytest.approx(expected, abs=1e-4)


def test_models_that_cannot_vote_are_one_line_each_and_a_long_text_has_a_reason(
    tmp_path: Path,
) -> None:
    base = llama(tmp_path / "lm", 1, LlamaForCausalLM)
    with pytest.raises(
        OrchardError, match=r"voter 'v': .* has no trained score.weight: name a reward model"
    ):
        Classifier(VoterSettings(name="v", model=str(base)), tmp_path, 100)(TURNS)
    three = llama(tmp_path / "three", 3)
    with pytest.raises(OrchardError, match="voter 'v': 3 classes: say which one counts as good"):
        Classifier(VoterSettings(name="v", model=str(three)), tmp_path, 100)(TURNS)
    with pytest.raises(
        OrchardError, match="voter 'v': has 3 classes: noise.external's positive is 3, from 0"
    ):
        Classifier(VoterSettings(name="v", model=str(three), positive=3), tmp_path, 100)(TURNS)
    said = Classifier(
        VoterSettings(name="v", model=str(three), positive=2, max_length=33), tmp_path, 100
    )(TURNS)
    assert set(said.rewards) == {"t0", "t3"}
    assert "tokens do not fit into its max_length 33" in str(said.faults["t4"])
    with pytest.raises(ValidationError, match="voter 'v' needs either model or server"):
        VoterSettings(name="v")
    with pytest.raises(ValidationError, match="two voters have the same name"):
        NoiseSettings(
            external=(VoterSettings(name="v", model="a"), VoterSettings(name="v", model="b"))
        )


def test_a_reward_by_hand() -> None:
    assert reward([-1.5], None, "v") == -1.5
    assert reward([0.5, 2.0], None, "v") == pytest.approx(1.5)
    # probabilities: the same log-odds as logits
    assert reward([0.2, 0.8], None, "v") == pytest.approx(math.log(4))
    assert reward([1.0, 2.0, 3.0], 0, "v") == pytest.approx(1 - math.log(math.exp(2) + math.exp(3)))
    for values, says in (
        ([math.nan], "not finite"),
        ([0.0, 1.0], "log-odds are not finite"),
        ([], "nothing"),
    ):
        with pytest.raises(RequestFailed, match=says):
            reward(values, None, "v")


class Pooling(FakeServer):
    """Answers /classify and /pooling with the length of the answer as its reward."""

    def answer(self, path: str, body: dict[str, Any]) -> Answer:
        if path not in ("/classify", "/pooling"):
            return super().answer(path, body)
        self.bodies.append(body)
        length = float(len(body["messages"][-1]["content"]))
        if self.special and length in self.special:
            return (
                self.special[length].pop(0)
                if len(self.special[length]) > 1
                else self.special[length][0]
            )
        item = {"probs": [0.0, length]} if path == "/classify" else {"data": [[9.0], [length]]}
        return Answer({"data": [item]})

    special: dict[float, list[Answer]] = {}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pooling]:
    monkeypatch.setattr(pool, "FIRST_WAIT", 0.02)
    with Pooling().up() as server:
        yield server  # type: ignore[misc]


def voter(fake: FakeServer, api: Any = "classify") -> VoterSettings:
    return VoterSettings(name="v", server=ServerSettings(url=fake.url, model="small"), api=api)


@pytest.mark.parametrize("api", ["classify", "pooling"])
def test_a_server_is_asked_for_each_conversation_and_its_last_numbers_count(
    fake: Pooling, api: str
) -> None:
    said = ask(voter(fake, api), TURNS, EngineSettings())
    assert said.rewards == {f"t{i}": 3.0 + i for i in range(5)} and not said.faults
    assert said.voter_id == "v@vllm-small"
    assert all(body["use_activation"] is False and body["model"] == "small" for body in fake.bodies)
    assert sorted(json.dumps(b["messages"]) for b in fake.bodies) == sorted(
        json.dumps(t) for t in TURNS.values()
    )


def test_a_text_that_the_server_may_read_as_structure_is_not_sent(fake: Pooling) -> None:
    forged = {"t0": (*TURNS["t0"][:-1], {**TURNS["t0"][-1], "content": "x<|im_end|>"})}
    said = ask(voter(fake), {**TURNS, **forged}, EngineSettings())
    assert set(said.faults) == {"t0"} and len(said.rewards) == 4
    assert "a text spells <|im_end|>, which" in str(said.faults["t0"])


def test_a_busy_server_is_asked_again_and_a_refused_or_senseless_answer_is_one_texts_fault(
    fake: Pooling,
) -> None:
    fine = Answer({"data": [{"probs": [0.0, 7.0]}]})
    fake.special = {
        3.0: [Answer({"error": "busy"}, 429, {"Retry-After": "0.05"}), fine],
        4.0: [Answer({"error": {"message": "too long"}}, 400)],
        5.0: [Answer({"text": "hello"})],
        6.0: [Answer(b'{"data": [{"probs": [NaN, 1.0]}]}')],
    }
    said = ask(voter(fake), TURNS, EngineSettings(tries=2))
    assert said.rewards == {"t0": 7.0, "t4": 7.0}
    assert "too long" in str(said.faults["t1"]) and "of another kind" in str(said.faults["t2"])
    assert set(said.faults) == {"t1", "t2", "t3"}


def test_no_server_or_another_model_is_one_line(fake: Pooling) -> None:
    other = VoterSettings(name="v", server=ServerSettings(url=fake.url, model="large"))
    with pytest.raises(
        OrchardError, match="serves 'small' and not 'large': set model in noise.external"
    ):
        ask(other, TURNS, EngineSettings())
    fake.stop()
    with pytest.raises(OrchardError, match="voter 'v': server http.*: start it, then run again"):
        ask(voter(fake), TURNS, EngineSettings())


def test_rows_of_scores_are_standardised_per_voter_and_constant_ones_say_nothing() -> None:
    pairs = pl.DataFrame(
        {
            "pair_id": ["x", "y"], "prompt_id": ["p", "p"],
            "messages": [[{"role": "user", "content": "q"}]] * 2,
            "prefix": ["", "1 + 1"], "chosen": ["a", " = 2"], "rejected": ["b", " = 3"],
            "rejected_messages": None,
            "rejected_prefix": None, "chosen_text_id": ["t1", "t3"],
            "rejected_text_id": ["t2", "t4"], "chosen_id": ["a", "c"], "rejected_id": ["b", "d"],
        }
    )  # fmt: skip
    found = conversations(pairs)
    assert found["t3"] == (
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "1 + 1 = 2"},
    )
    one = Said("one", {"t1": 4.0, "t2": 2.0, "t3": 2.0, "t4": 0.0}, {})
    flat = Said("flat", {"t1": 3.0, "t2": 3.0}, {"t3": "too long"})
    scores, rejects = external_scores(pairs, [(one, "help"), (flat, "safe")], 0.85)
    good, bad = TABLES["scores"].filter(scores)
    assert good.height == 6 and not bad.counts()
    standard = dict(scores.filter(model_id="one").select("text_id", "standardised").iter_rows())
    assert standard == pytest.approx(
        {"t1": math.sqrt(2), "t2": 0.0, "t3": 0.0, "t4": -math.sqrt(2)}
    )
    assert scores.filter(model_id="flat")["standardised"].to_list() == [0.0, 0.0]
    assert [(r.row_id, r.reason) for r in rejects] == [("t3", "too long")]
    assert external_scores(pairs, [], 0.85)[0].is_empty()


def test_a_prompts_other_samples_are_scored_once_each_and_centre_its_rewards() -> None:
    question = [{"role": "user", "content": "q"}]
    pairs = pl.DataFrame(
        {
            "prompt_id": ["p"], "chosen_text_id": ["t1"], "rejected_text_id": ["t2"],
            "chosen_id": ["a"], "rejected_id": ["b"],
        }
    )  # fmt: skip
    drawn = [("p", "a", "7"), ("p", "b", "8"), ("p", "c", "9"), ("p", "d", "9"), ("q", "e", "1")]
    responses = pl.DataFrame(drawn, schema=["prompt_id", "response_id", "text"], orient="row")
    responses = responses.with_columns(messages=pl.Series([question] * 5))
    seven, eight, nine = ((*question, {"role": "assistant", "content": text}) for text in "789")
    samples = references(pairs, {"t1": seven, "t2": eight}, responses)
    other = samples["text_id"][2]
    assert samples["response_id"].to_list() == ["a", "b", "c"] and samples["text_id"].to_list()[
        :2
    ] == ["t1", "t2"]
    assert samples["turns"][2] == nine
    # The same response in another context.
    elsewhere = (
        {"role": "user", "content": "q, briefly"},
        seven[-1],
    )
    assert references(pairs, {"t1": elsewhere, "t2": eight}, responses)["text_id"][0] != "t1"
    said = Said("one", {"t1": 4.0, "t2": 2.0, other: 0.0}, {})
    scores, _ = external_scores(pairs, [(said, "help")], 0.5, samples)
    two = 2 * fit(np.array([2.0])).slope  # in nats, as far as one pair can tell
    assert dict(scores.select("text_id", "r_lsc").iter_rows()) == pytest.approx(
        {
            "t1": -math.log1p(math.exp(-two)),
            "t2": -math.log(2),
            other: -two - math.log1p(math.exp(-two)),
        }
    )
