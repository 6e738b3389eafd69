"""Principles of responses over scripted annotators:
rows, consensus groups, costs and rejects, worked out by hand.
"""

import math

import polars as pl
import pytest

from pipeline import tables
from pipeline.config import PrincipleSettings
from pipeline.engine.base import RequestFailed
from pipeline.judge.annotate import annotate
from pipeline.judge.likeness import characters
from tests.judge.simulated import SimulatedJudge, prompts, responses

SETTINGS = PrincipleSettings()
FEEDBACK = "It is short and right."


class Annotator(SimulatedJudge):
    """Says FEEDBACK, then `named(response, draw)`: lines of principles.

    Its log-odds of Yes are log 4.
    """

    def __init__(self, named, policy_id: str = "judge@0", feedback: str = FEEDBACK) -> None:
        super().__init__(lambda first, second: 0.0, policy_id)
        self.named, self.feedback, self.seen = named, feedback, {}

    async def sample(self, prompt, sampling, seeds):
        asked = prompt.messages[-1]["content"]
        response = asked.split("Response:\n")[1].split("\n")[0]
        if response == "too long":
            raise RequestFailed("prompt of 999 tokens is longer than model.max_model_len")
        if "Principle: " in asked:
            return [self._complete(self.answers(asked), sampling)]
        if "List the principles" not in asked:
            return [self._complete(self.feedback, sampling)]
        draw = self.seen[response] = self.seen.get(response, -1) + 1
        return [self._complete(self.named(response, draw), sampling)]

    def answers(self, asked: str) -> str:
        return " No" if "truth" in asked else " Yes"

    async def verdict(self, prompt, words):
        return [0.8, 0.2]


def line(name: str, answer: str, span: str = "short and right") -> str:
    return f'{name} | {answer} | "{span}"'


def run(*judges: Annotator, texts: dict[str, list[str]], settings: PrincipleSettings = SETTINGS):
    return annotate(judges, prompts(*texts), responses(texts), settings, 0, characters)


def test_what_all_annotators_of_a_response_name_is_one_group_across_a_prompts_responses() -> None:
    def named(response: str, draw: int) -> str:
        brief = line("Brevity" if draw else "brevity", "yes" if response == "7" else "no")
        return "\n".join(
            [
                brief,
                line("truth", "yes" if draw else "no"),
                line("wit" if draw else "kindness", "yes"),
            ]
        )

    rows, rejects = run(Annotator(named), texts={"p": ["7", "it is 7"], "q": ["8"]})
    assert (
        rows.height == 3 * 2 * 3 and not rejects and not tables.Principles.filter(rows)[1].counts()
    )
    agreed = rows.filter(pl.col("group_id").is_not_null())
    # truth: the annotators say yes and no; each names one more of its own: only brevity is agreed
    # on
    assert agreed.height == 6 and set(agreed["name"]) == {"brevity", "Brevity"}
    assert (
        agreed.filter(prompt_id="p")["group_id"].n_unique() == 1
        and agreed["group_id"].n_unique() == 2
    )
    satisfied = set(agreed.select("response_id", "satisfied").rows())
    assert satisfied == {("p-0", True), ("p-1", False), ("q-0", False)}
    assert rows["log_odds"].to_list() == pytest.approx([1.3862943611] * 18) and set(
        rows["likeness"]
    ) == {100.0}


def test_the_first_line_of_an_annotator_bears_what_its_feedback_and_answer_cost() -> None:
    answer = "\n".join([line("brevity", "yes"), line("truth", "yes")])
    rows, _ = run(Annotator(lambda response, draw: answer), texts={"p": ["7"]})
    paid = len(FEEDBACK) + len(answer)
    # its own answer, and the probabilities
    assert sorted(rows["tokens"]) == [2, 2, paid + 2, paid + 2]
    free = annotate(
        [Annotator(lambda response, draw: answer)], prompts("p"), responses({"p": ["7"]}), SETTINGS,
        0, characters, must_answer=False,
    )[0]  # fmt: skip
    assert sorted(free["tokens"]) == [1, 1, paid + 1, paid + 1]
    _, rejects = run(Annotator(lambda response, draw: "it is fine\nindeed"), texts={"p": ["7"]})
    assert [reject.row["tokens"] for reject in rejects] == [len(FEEDBACK) + 17, 0] * 2


def test_two_models_agree_and_one_alone_agrees_with_nobody() -> None:
    texts, one = {"p": ["7"]}, SETTINGS.model_copy(update={"annotators": 1})

    def judge(name: str) -> Annotator:
        return Annotator(lambda response, draw: line("brevity", "yes"), name)

    assert (
        run(judge("a@0"), judge("b@0"), texts=texts, settings=one)[0]["group_id"].null_count() == 0
    )
    assert run(judge("a@0"), texts=texts, settings=one)[0]["group_id"].null_count() == 1


def test_every_way_to_fail_is_a_reject_with_its_reason_and_the_others_go_on() -> None:
    bad = "\n".join(
        [
            line("brevity", "yes", "words that nobody wrote"),
            line("truth", "partially"),
            line("wit", "yes"),
            line("Wit", "no"),
        ]
    )
    rows, rejects = run(Annotator(lambda response, draw: bad), texts={"p": ["7", "too long"]})
    assert rows["name"].to_list() == ["wit", "wit"]
    assert {reject.reason for reject in rejects} == {
        "its quoted words do not occur in the feedback",
        "answered 'partially', neither yes nor no",
        "named twice by one annotator: the first one counts",
        "prompt of 999 tokens is longer than model.max_model_len",
    }
    assert len({reject.row_id for reject in rejects}) == len(rejects) == 2 * 4
    silent, rejects = run(Annotator(lambda response, draw: bad, feedback=" "), texts={"p": ["7"]})
    assert silent.is_empty() and {reject.reason for reject in rejects} == {"empty feedback"}
    nothing, rejects = run(Annotator(lambda response, draw: "\n"), texts={"p": ["7"]})
    assert nothing.is_empty() and {reject.reason for reject in rejects} == {
        "the feedback names no principle"
    }


def test_a_principle_without_log_odds_is_one_reject_and_the_lines_after_it_stand() -> None:
    class Unsure(Annotator):
        """Answers neither Yes nor No about kindness, and with no number about truth."""

        def answers(self, asked: str) -> str:
            return " Maybe" if "kindness" in asked else " Yes"

        async def verdict(self, prompt, words):
            return [math.nan, math.nan] if "truth" in prompt.messages[-1]["content"] else [0.8, 0.2]

    answer = "\n".join(
        [line(name, "yes") for name in ("brevity", "truth", "kindness", "wit")] + ["rubbish"]
    )
    rows, rejects = run(Unsure(lambda response, draw: answer), texts={"p": ["7"]})
    assert rows["name"].to_list() == ["brevity", "wit"] * 2
    assert [(reject.row["line"], reject.reason[:32]) for reject in rejects[:3]] == [
        ("truth", "the judge's probabilities are no"),
        ("kindness", "the judge answered ' Maybe' inst"),
        ("rubbish", "not of the form: principle | yes"),
    ]


def test_rows_in_another_order_give_the_same_principles_and_limits_hold() -> None:
    texts = {f"p{i}": ["7", "7", f"it is {i}"] for i in range(5)}

    def judge() -> Annotator:
        return Annotator(lambda response, draw: line("brevity", "yes"))

    one, _ = annotate([judge()], prompts(*texts), responses(texts), SETTINGS, 0, characters)
    other, _ = annotate(
        [judge()], prompts(*reversed(texts)), responses(texts).reverse(), SETTINGS, 0, characters
    )
    assert one.sort("principle_id").equals(other.sort("principle_id"))
    assert one.height == 5 * 2 * 2  # the same text twice is annotated once
    few = SETTINGS.model_copy(update={"max_prompts": 2, "max_responses": 1})
    assert (
        run(judge(), texts=texts, settings=few)[0].select("prompt_id", "response_id").n_unique()
        == 2
    )
