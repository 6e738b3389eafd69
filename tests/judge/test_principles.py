"""Principles with the words that say so, their consensus, and how alike two names are."""

import asyncio
import math

import pytest

from pipeline.engine.model import Model
from pipeline.judge.likeness import alike, characters, mean_pooled
from pipeline.judge.principles import (
    Dropped,
    Principle,
    consensus,
    extract,
    groups,
    log_odds,
    parse,
)
from tests.judge.simulated import SimulatedJudge

FEEDBACK = "The answer is short and to the point, but it invents a date that nobody asked for."
TURNS = ({"role": "user", "content": "When?"},)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("it is fine", "not of the form"),
        (
            'conciseness | partially | "short and to the point"',
            "answered 'partially', neither yes nor no",
        ),
        ('Helpfulness | yes | "short and to the point"', "no principle of its own"),
        ('conciseness | yes | ""', "no quoted words"),
        (
            'politeness | no | "rude words to the reader"',
            "its quoted words do not occur in the feedback",
        ),
    ],
)
def test_a_line_that_is_no_principle_is_dropped_with_the_reason(line: str, reason: str) -> None:
    (found,) = parse(line, FEEDBACK)
    assert isinstance(found, Dropped) and found.reason.startswith(reason)


def test_principles_keep_the_words_of_the_feedback_that_say_so() -> None:
    answer = (
        '1. conciseness | yes | "Short and to the point"\n'
        '- truth | No | "invents a date nobody asked for"\n'
    )
    engine = SimulatedJudge(lambda first, second: 0.0, says=answer)
    found, tokens = asyncio.run(extract(engine, TURNS, "In 1066.", FEEDBACK, seed=0))
    assert tokens == len(answer) and all(isinstance(one, Principle) for one in found)
    assert [(one.name, one.satisfied) for one in found] == [("conciseness", True), ("truth", False)]
    assert found[0].likeness == 100 and 60 < found[1].likeness < 100


def test_consensus_keeps_what_every_judge_names_with_the_same_answer() -> None:
    def named(*principles: tuple[str, bool]) -> list[Principle]:
        return [Principle(name, satisfied, "x", 100) for name, satisfied in principles]

    one = named(("brevity", True), ("truth", False), ("style", True))
    other = named(("truth", False), ("brevity", False), ("Style", True), ("wit", True))
    same = lambda a, b: float(a.lower() == b.lower())  # noqa: E731
    kept = consensus([one, other], same)
    assert [[principle.name for principle in own] for own in kept] == [
        ["truth", "style"],
        ["truth", "Style"],
    ]
    third = named(("truth", False))
    kept = consensus([one, other, third], same)
    assert [[principle.name for principle in own] for own in kept] == [
        ["truth"],
        ["truth"],
        ["truth"],
    ]
    assert consensus([one], same) == [()] and consensus([one, []], same) == [(), ()]


def test_names_join_the_commonest_name_that_they_are_alike_to() -> None:
    near = lambda a, b: 0.9 if {a, b} <= {"brief", "briefly", "brevity"} else float(a == b)  # noqa: E731
    found = groups(["brevity", "brief", "brief", "truth"], near)
    assert found == {"brief": "brief", "brevity": "brief", "truth": "truth"}


def test_vectors_of_characters_have_length_1_and_their_product_is_the_share_of_runs() -> None:
    near = alike(["Accuracy", "accuracy", "accurate answer", "wit"], characters)
    assert near("Accuracy", "accuracy") == pytest.approx(1) and near("accuracy", "wit") == 0
    assert 0.2 < near("accuracy", "accurate answer") < 0.8
    # by hand: " wit " has six runs of 3 to 5, " wits " nine; " wi", "wit" and " wit" are in both
    assert alike(["wit", "wits"], characters)("wit", "wits") == pytest.approx(3 / math.sqrt(6 * 9))


def test_the_log_odds_of_yes_by_hand() -> None:
    class Reader(SimulatedJudge):
        async def verdict(self, prompt, words):
            assert (
                words == (" Yes", " No") and "Principle: brevity" in prompt.messages[-1]["content"]
            )
            return [0.8, 0.2]

    assert asyncio.run(
        log_odds(Reader(lambda a, b: 0.0, says="Yes"), TURNS, "1066", "brevity")
    ) == pytest.approx(math.log(4))


def test_an_embedding_is_the_mean_of_the_last_states_whatever_it_is_batched_with(
    model: Model,
) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    texts = ["brevity", "it says nothing that nobody asked for", "brevity"]
    found = mean_pooled(model.path)(texts)
    own = AutoModel.from_pretrained(str(model.path), dtype=torch.float32).eval()
    ids = AutoTokenizer.from_pretrained(str(model.path))(texts[0], return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        mean = own(ids).last_hidden_state[0].mean(0).numpy()
    assert (found**2).sum(1) == pytest.approx([1, 1, 1])
    assert found[0] == pytest.approx(mean / (mean**2).sum() ** 0.5, abs=1e-4)
    assert found[0] @ found[2] == pytest.approx(1) and found[0] @ found[1] < 0.999
