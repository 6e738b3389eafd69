"""A pool whose prompts the model's template refuses is told in one line, before it is sampled."""

import json

import polars as pl
import pytest

from pipeline import tables
from pipeline.errors import OrchardError
from pipeline.prompts.renderable import check_renderable
from tests.engine.chats import CHATML, GEMMA, MISTRAL, STRIPPED, chat

USER = {"role": "user", "content": "3 + 4"}
SYSTEM = {"role": "system", "content": "You are a careful calculator."}
TOOLS = {"role": "tools", "content": json.dumps([{"function": {"name": "add"}}])}


def pools(**conversations: list[list[dict[str, str]]]) -> pl.DataFrame:
    rows = [
        {"prompt_id": f"{pool} {number}", "pool": pool, "messages": turns}
        for pool, all_turns in conversations.items()
        for number, turns in enumerate(all_turns)
    ]
    return pl.DataFrame(rows, schema=tables.empty("prompts").schema)


def refusal(prompts: pl.DataFrame, style: object) -> str:
    with pytest.raises(OrchardError) as caught:
        check_renderable(prompts, chat(style), "m@1")  # type: ignore[arg-type]
    (line,) = str(caught.value).splitlines()
    return line


def test_a_pool_with_a_system_turn_that_the_template_refuses() -> None:
    line = refusal(pools(sums=[[SYSTEM, USER]] * 12), GEMMA)
    assert line.startswith(
        "pool 'sums': m@1 takes none of its 12 prompts: the chat template refuses these turns: "
        "System role not supported: mend the rows, or the pool's system and examples, or set model"
    )


def test_each_pool_is_told_once_and_pools_that_work_are_not() -> None:
    found = pools(a=[[SYSTEM, USER], [USER, USER]], b=[[TOOLS, USER]], c=[[USER]])
    line = refusal(found, MISTRAL)
    assert line.count("pool ") == 2 and "pool 'c'" not in line
    assert "pool 'b': m@1 takes not its one prompt: the chat template leaves out the tools" in line


def test_a_pool_of_which_one_prompt_works_is_taken() -> None:
    check_renderable(pools(a=[[SYSTEM, USER], [USER]], b=[[USER]]), chat(GEMMA), "m@1")
    check_renderable(pools(a=[[TOOLS, USER]]), chat(STRIPPED), "m@1")
    check_renderable(pools(), chat(CHATML), "m@1")
