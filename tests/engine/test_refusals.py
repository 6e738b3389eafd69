"""Whatever a template or tokenizer raises about one row is that row's reject; the others go on."""

import builtins
import gc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import polars as pl
import pytest

from pipeline import responses
from pipeline.config import SamplingSettings, TreeSettings
from pipeline.engine.base import Completion, Prompt, RequestFailed, Sampling
from pipeline.engine.refusals import refusals
from pipeline.engine.rendering import Renderer
from pipeline.engine.session import run_all
from pipeline.errors import OrchardError
from pipeline.training.tokens import tokenize
from pipeline.trees.forest import plant
from tests.engine.chats import GEMMA, MISTRAL, Style, fast
from tests.scripted import ScriptedEngine
from tests.test_responses import prompts
from tests.training.toy import frame, pair

SYSTEM = {"role": "system", "content": "You are a careful calculator."}
USER = {"role": "user", "content": "3 + 4"}


class Rendering(ScriptedEngine):
    """An engine that renders what it is asked, as every real one does."""

    def __init__(self, renderer: Renderer) -> None:
        super().__init__(lambda prefix, sampling, n: "The answer is 7.")
        self.renderer = renderer

    async def sample(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        self.renderer.tokens(prompt)
        return await super().sample(prompt, sampling, seeds)


def of_style(style: Style) -> Renderer:
    renderer = Renderer(Path(style.name))
    renderer.__dict__["tokenizer"] = fast(style)  # in place of the folder's
    return renderer


def asked(*turns: Sequence[Mapping[str, str]]) -> pl.DataFrame:
    rows = prompts(*(str(number) for number in range(len(turns))))
    return rows.with_columns(messages=pl.Series(turns, dtype=rows.schema["messages"]))


REFUSED = [
    (GEMMA, [SYSTEM, USER], "System role not supported"),
    (MISTRAL, [USER, USER], "Conversation roles must alternate"),
    (MISTRAL, [{"role": "tool", "content": "7"}, USER], "Conversation roles must alternate"),
]


@pytest.mark.parametrize(("style", "turns", "words"), REFUSED)
def test_a_row_that_the_template_refuses_is_a_reject_with_its_words(
    style: Style, turns: list[dict[str, str]], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Rendering(of_style(style))
    frame_ = asked(*[turns] * 20, [USER])
    rows, rejects = responses.draw(engine, frame_, SamplingSettings(n=2, max_tokens=8), 0)
    assert rows["prompt_id"].to_list() == ["20", "20"]
    assert len(rejects) == 20
    assert all(words in reject.reason for reject in rejects)
    settings = TreeSettings(children=1, rollouts=1, max_depth=1, max_expansions=1)
    nodes, dropped = plant(engine, frame_, settings, 0)
    assert nodes["prompt_id"].unique().to_list() == ["20"]
    assert len(dropped) == 20 and all(words in reject.reason for reject in dropped)
    gc.collect()
    assert not caplog.records


def test_a_pair_that_the_template_refuses_is_a_reject_of_the_training() -> None:
    pairs = frame([pair("a"), pair("b", messages=[SYSTEM, USER]), pair("c")])
    read = tokenize(pairs, fast(GEMMA), 256)
    assert len(read.examples) == 2
    assert read.rejects["reason"].to_list() == [
        "the chat template refuses these turns: System role not supported"
    ]
    assert read.rejects["row_id"].to_list() == [pairs["pair_id"][1]]


def every_exception() -> list[type[Exception]]:
    found = [kind for kind in vars(builtins).values() if isinstance(kind, type)]
    kinds = [kind for kind in found if issubclass(kind, Exception)]
    more = [jinja2.TemplateError, jinja2.UndefinedError, jinja2.TemplateRuntimeError]
    return [kind for kind in [*kinds, *more] if not issubclass(kind, MemoryError)]


def thrown(kind: type[Exception]) -> Exception:
    """An error of that class; those of Unicode want five values."""
    if issubclass(kind, UnicodeDecodeError):
        return kind("utf-8", b"x", 0, 1, "bad row")
    if issubclass(kind, UnicodeEncodeError):
        return kind("utf-8", "x", 0, 1, "bad row")
    if issubclass(kind, UnicodeTranslateError):
        return kind("x", 0, 1, "bad row")
    if issubclass(kind, BaseExceptionGroup):
        return kind("bad row", [ValueError()])
    return kind("bad row")


@pytest.mark.parametrize("kind", every_exception(), ids=lambda kind: kind.__name__)
def test_every_error_of_a_template_is_its_rows_own(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = of_style(GEMMA)
    real = renderer.tokenizer.apply_chat_template

    def template(turns: list[dict[str, str]], **how: Any) -> str:
        if turns[0]["content"] == "bad":
            raise thrown(kind)
        return str(real(turns, **how))

    monkeypatch.setattr(renderer.tokenizer, "apply_chat_template", template)
    engine = Rendering(renderer)
    bad = {"role": "user", "content": "bad"}
    rows, rejects = responses.draw(engine, asked([bad], [USER]), SamplingSettings(n=1), 0)
    assert rows["prompt_id"].to_list() == ["1"]
    assert [(reject.row_id, reject.reason[:38]) for reject in rejects] == [
        ("0", "the chat template refuses these turns:")
    ]


@pytest.mark.parametrize("error", [OrchardError("ours"), MemoryError(), KeyboardInterrupt()])
def test_what_is_no_fault_of_the_row_passes(error: BaseException) -> None:
    with pytest.raises(type(error)), refusals("it refuses"):
        raise error
    assert not isinstance(error, RequestFailed)


def test_a_run_that_ends_prints_no_other_tasks_errors(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(number: int) -> None:
        raise ValueError(str(number))

    with pytest.raises(ValueError, match="0"):
        run_all([fail(number) for number in range(50)])
    gc.collect()  # asyncio speaks of an error that nobody looked at when its task is collected
    assert not caplog.records
