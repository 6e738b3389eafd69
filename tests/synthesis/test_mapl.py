"""MAPL's pairs: whatever is made is valid by checkers called from outside,
and gives nothing away by its form.
"""

import json
import re
from typing import Any

import polars as pl
import pytest
from scipy.stats import binomtest

from pipeline import tables
from pipeline.config import MaplSettings
from pipeline.errors import OrchardError
from pipeline.synthesis.mapl import synthesise, valid
from pipeline.synthesis.prompts import leak
from pipeline.verify.instructions import Instruction, contradiction, read
from pipeline.verify.instructions.keywords import VOCABULARY
from pipeline.verify.instructions.text import words

STORIES = (
    "The farmer walks to the market and sells potatoes. It rains, yet nobody minds!",
    "Why should a captain trust the weather? "
    "Clouds gather, winds rise, and every sailor waits for orders from above.",
    "First we add the apples.\nThen we add the pears.\nThe answer is 12.",
    "Nothing happened yesterday, "
    "so the teacher wrote a letter about winter and closed the window before midnight.",
)


def frames(n: int, **prompt: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    """n prompts with two responses each, and the pair of them."""
    columns = {"split": "train", "answer": "12", "own": None, **prompt}
    rows: list[dict[str, Any]] = []
    pairs: list[dict[str, Any]] = []
    for i in range(n):
        context = {
            "prompt_id": f"p{i}",
            "messages": [{"role": "user", "content": f"Tell story {i}."}],
            **columns,
        }
        first, second = STORIES[i % 4], STORIES[(i + 1) % 4] + f" Story {i}."
        rows += [
            {**context, "response_id": f"a{i}", "text": first},
            {**context, "response_id": f"b{i}", "text": second},
        ]
        pairs.append(
            {
                **context,
                "chosen_id": f"a{i}",
                "chosen": first,
                "rejected_id": f"b{i}",
                "rejected": second,
            }
        )
    return tuple(pl.DataFrame(part, infer_schema_length=None) for part in (rows, pairs))  # type: ignore[return-value]


@pytest.fixture(scope="module")
def made() -> tuple[pl.DataFrame, dict[str, str]]:
    responses, pairs = frames(120)
    rows, _ = synthesise(responses, pairs, MaplSettings(), 0)
    return rows, dict(responses.select("response_id", "text").iter_rows())


def verdicts(metadata: str, text: str) -> list[bool]:
    """Read from the table's own JSON, as someone else would."""
    value = json.loads(metadata)
    return [
        Instruction.of(n, a).check(text)
        for n, a in zip(value["instruction_id_list"], value["kwargs"], strict=True)
    ]


def test_every_row_fulfils_its_condition_when_checked_from_the_table(
    made: tuple[pl.DataFrame, dict[str, str]],
) -> None:
    rows, texts = made
    good, bad = tables.Instructions.filter(rows)
    assert good.height == rows.height > 250 and not bad.counts()
    for row in rows.to_dicts():
        better = verdicts(row["instructions"], texts[row["response_id"]])
        if row["kind"] == "inter":
            assert all(better) and not any(verdicts(row["instructions"], texts[row["other_id"]]))
            continue
        worse = verdicts(row["other_instructions"], texts[row["response_id"]])
        if row["condition"] == "A":
            assert all(better) and not all(worse)
        else:
            assert any(better) and not any(worse)


def test_both_prompts_have_the_same_kinds_and_as_many_words(
    made: tuple[pl.DataFrame, dict[str, str]],
) -> None:
    rows = made[0].filter(pl.col("kind") == "intra")
    for row in rows.to_dicts():
        better, worse = (json.loads(row[key]) for key in ("instructions", "other_instructions"))
        assert better["instruction_id_list"] == worse["instruction_id_list"]
        asked = [row[key][-1]["content"] for key in ("messages", "other_messages")]
        assert len(words(asked[0])) == len(words(asked[1]))
        # all but the numbers and the quoted words is the same
        better_text, worse_text = (re.sub(r'"[^"]*"|\w+', "", text) for text in asked)
        assert better_text == worse_text


def laxity(name: str, arguments: dict[str, Any]) -> int:
    """How easily any text at all would fulfil it, to one who has not seen the response."""
    relation = next(
        (value for value in arguments.values() if value in ("at least", "less than")), None
    )
    number = next((value for value in arguments.values() if isinstance(value, int)), 0)
    common = sum(
        word in VOCABULARY
        for value in arguments.values()
        if isinstance(value, list)
        for word in value
    )
    if relation:
        return -number if relation == "at least" else number
    return common if name == "keywords:forbidden_words" else -common


def test_a_rule_that_reads_the_two_prompts_alone_is_a_coin(
    made: tuple[pl.DataFrame, dict[str, str]],
) -> None:
    rows = made[0].filter(pl.col("kind") == "intra").to_dicts()
    right = wrong = 0
    for row in rows:
        better, worse = (json.loads(row[key]) for key in ("instructions", "other_instructions"))
        sides = zip(better["instruction_id_list"], better["kwargs"], worse["kwargs"], strict=True)
        gaps = [laxity(name, x) - laxity(name, y) for name, x, y in sides if x != y]
        score = sum((gap > 0) - (gap < 0) for gap in gaps)
        right, wrong = right + (score > 0), wrong + (score < 0)
    assert right + wrong > 100 and binomtest(right, right + wrong).pvalue > 0.01


def test_every_two_prompts_stand_in_both_orders(made: tuple[pl.DataFrame, dict[str, str]]) -> None:
    """So any rule on the prompts is right as often as wrong:
    on their length, their numbers, their words.
    """
    rows = made[0].filter(pl.col("kind") == "intra").to_dicts()
    seen = {
        (row["messages"][-1]["content"], row["other_messages"][-1]["content"]): row["condition"]
        for row in rows
    }
    assert len(seen) == len(rows) > 150
    for (better, worse), condition in seen.items():
        assert seen[worse, better] == {"A": "B", "B": "A"}[condition]


def test_inter_sample_rows_come_in_both_directions_with_as_many_instructions(
    made: tuple[pl.DataFrame, dict[str, str]],
) -> None:
    rows = made[0].filter(pl.col("kind") == "inter")
    sides: dict[str, dict[str, int]] = {}
    for row in rows.to_dicts():
        assert row["other_messages"] == [
            {"role": "user", "content": row["other_messages"][-1]["content"]}
        ]
        assert row["messages"][-1]["content"].startswith(
            row["other_messages"][-1]["content"] + "\n"
        )
        sides.setdefault(row["prompt_id"], {})[row["condition"]] = len(read(row["instructions"]))
        assert row["response_id"][0] == {"chosen": "a", "rejected": "b"}[row["condition"]]
    assert all(
        set(found) == {"chosen", "rejected"} and len(set(found.values())) == 1
        for found in sides.values()
    )
    assert len(sides) > 100


def test_no_set_is_contradictory_and_none_names_the_answer(
    made: tuple[pl.DataFrame, dict[str, str]],
) -> None:
    for row in made[0].to_dicts():
        for key in ("instructions", "other_instructions"):
            if row[key]:
                instructions = read(row[key])
                assert contradiction(instructions) is None
                assert not any(
                    re.search(r"\b12\b", one.text(style))
                    for one in instructions
                    for style in range(3)
                )


def test_order_of_rows_does_not_matter_and_a_second_run_is_equal() -> None:
    responses, pairs = frames(12)
    first, rejects = synthesise(responses, pairs, MaplSettings(), 7)
    again, _ = synthesise(responses.reverse(), pairs.reverse(), MaplSettings(), 7)
    assert first.equals(again) and not rejects
    assert not first.equals(synthesise(responses, pairs, MaplSettings(), 8)[0])


@pytest.mark.parametrize("text", ["", "Yes", "...", "\n\t"])
def test_empty_and_one_word_responses_are_rejected_with_a_reason(text: str) -> None:
    responses, pairs = frames(1)
    rows, rejects = synthesise(
        responses.with_columns(text=pl.lit(text)),
        pairs.with_columns(rejected=pl.lit(text)),
        MaplSettings(),
        0,
    )
    assert rows.is_empty() and len(rejects) == 3
    assert {reject.reason for reject in rejects} == {
        f"a response of {len(words(text))} words has nothing to instruct about"
    }


def test_instructions_that_the_prompt_has_already_are_not_contradicted() -> None:
    own = {
        "instruction_id_list": ["length_constraints:number_words"],
        "kwargs": [{"relation": "less than", "num_words": 5}],
    }
    rows, rejects = synthesise(
        *frames(40, own=json.dumps(own)), MaplSettings(max_instructions=5), 0
    )
    assert any("contradictory instructions" in reject.reason for reject in rejects) or rows.height
    for row in rows.to_dicts():
        for key in ("instructions", "other_instructions"):
            if row[key]:
                assert contradiction([*read(json.dumps(own)), *read(row[key])]) is None


def test_pairs_that_nothing_tells_apart_and_unknown_kinds_are_told() -> None:
    responses, pairs = frames(2)
    same = pairs.with_columns(rejected=pl.col("chosen"))
    _, rejects = synthesise(responses.clear(), same, MaplSettings(), 0)
    assert {reject.reason for reject in rejects} == {
        "no instruction tells the two responses apart in both directions"
    }
    with pytest.raises(OrchardError, match=r"mapl.kinds: unknown instruction 'x'"):
        synthesise(responses, pairs, MaplSettings(kinds=("x",)), 0)


@pytest.mark.parametrize(
    ("better", "worse", "condition", "right"),
    [
        (1, 0.5, "A", True),
        (1, 1, "A", False),
        (0.5, 0, "A", False),
        (0.5, 0, "B", True),
        (1, 0.5, "B", False),
    ],
)
def test_the_two_conditions(better: float, worse: float, condition: str, right: bool) -> None:
    assert valid(better, worse, condition) is right


def test_what_gives_the_answer_or_the_response_away_is_seen() -> None:
    assert leak("Use at least 12 words.", "short", "12") == "the answer"
    assert leak("Use at least 120 words.", "short", "12") is None
    assert (
        leak("Begin with: over the hills and far", "They went over the hills and away", None)
        == "words of the response"
    )
