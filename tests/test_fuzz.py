"""Inputs by chance for each reader, verifier and parser: each ends in a value or in one line.

A hundred each, and a thousand with `make real`.

Texts are put together from what means something to some parser, cut and joined at random.
"""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import config
from pipeline.cells import BadRow
from pipeline.config.section import Section
from pipeline.engine.thoughts import split_thought
from pipeline.errors import OrchardError
from pipeline.prompts.files import read
from pipeline.prompts.turns import read_prompt
from pipeline.sources import imported
from pipeline.sources.names import Names
from pipeline.trees.steps import split_path
from pipeline.verify import verifiers, verify
from pipeline.verify.verdict import VerifierFailed
from tests.hostile import TEXTS

INPUTS = pytest.mark.parametrize("inputs", [100, pytest.param(1000, marks=pytest.mark.long)])


def for_each(inputs: int, check: Callable[..., None], **strategies: Any) -> None:
    """Calls `check` with so many inputs."""
    chosen = settings(
        max_examples=inputs, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    chosen(given(**strategies)(check))()


PIECES = [
    *TEXTS.values(), "\\boxed{", "}", "{", "\\frac", "\\frac{1}{2}", "\\sqrt[3]", "$", "$$", "\\[",
    "\\left(", "\\right.", "\\begin{pmatrix}", "&", "\\\\", "\\end{pmatrix}", "^", "_", "\\pm",
    "1", "12,345", "-", "\u2212", "0.5", "1e9", "1/2", "%", "x", "=", " ", "\n", "\n\n", "####",
    "The answer is ", "Final Answer:", "答案是", "(A)", "B.", "yes", "no", "or", "and", "nan",
    "```python\n", "```", "def f(x):\n", "    return x\n", ">>> f(1)\n", "import os\n",
    "<think>", "</think>", "<|channel|>", "<|im_end|>", "\r\n", "\t", "\ufeff", "\u200b", "９",
    "é", "e\u0301", "\U0001f469\u200d\U0001f680", "[", "]", "\\u0000", '"', "'", ":", "- ", "? ",
]  # fmt: skip
TEXT = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=12).map("".join)
CELL = st.recursive(
    TEXT | st.none() | st.booleans() | st.integers() | st.floats(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(TEXT, inside, max_size=3),
    max_leaves=5,
)
ROLE = st.sampled_from(["system", "user", "assistant", "human", "tool"]) | TEXT
COLUMNS = [
    "prompt", "question", "chosen", "rejected", "response_a", "response_b", "label", "winner",
    "judge", "vote", "messages", "answer", "pair_id", "score", "criterion", "model", "output_1",
    "output_2", "preference", "instruction", "input", "verdict",
]  # fmt: skip
ROW = st.dictionaries(st.sampled_from(COLUMNS), CELL, max_size=8)
NAMES = [name for name in verifiers() if name != "code"]
OWN = [name for name in NAMES if not name.startswith("reasoning_gym")]
OTHERS = [name for name in NAMES if name.startswith("reasoning_gym")]
ANSWERS = {"number": "5", "math": "\\frac{1}{2}", "choice": "A", "word": "yes"}


def _check(name: str, text: str, answer: str) -> None:
    try:
        found = verify(text, answer, name, None)
    except OrchardError as error:
        # Of the reference; or a reject, where a verifier of a library cannot say anything.
        assert isinstance(error, VerifierFailed) or type(error) is OrchardError
        assert "\n" not in str(error)
        assert not (isinstance(error, VerifierFailed) and name in OWN)
    else:
        assert found.correct in (True, False, None)


@pytest.mark.parametrize("name", OWN)
@INPUTS
def test_a_verifier_says_something_of_every_text(name: str, inputs: int) -> None:
    """`code` is fuzzed in tests/verify/test_programs.py."""

    def check(text: str) -> None:
        _check(name, text, ANSWERS.get(name, "5"))

    for_each(inputs, check, text=TEXT)


@pytest.mark.parametrize("name", OWN)
@INPUTS
def test_a_reference_is_read_or_refused_in_one_line(name: str, inputs: int) -> None:
    def check(answer: str) -> None:
        _check(name, "The answer is 5.", answer)

    for_each(inputs, check, answer=TEXT)


@INPUTS
def test_a_verifier_of_a_library_says_something_or_its_row_is_a_reject(inputs: int) -> None:
    answers = TEXT | st.just("5")
    for_each(inputs, _check, name=st.sampled_from(OTHERS), text=TEXT, answer=answers)


@pytest.mark.long
@pytest.mark.parametrize("name", OTHERS)
def test_each_verifier_of_a_library_says_something_or_its_row_is_a_reject(name: str) -> None:
    def check(text: str) -> None:
        _check(name, text, "5")

    for_each(1000, check, text=TEXT)


BYTES = st.binary(max_size=60) | st.lists(ROW | CELL, max_size=4).map(
    lambda rows: "\n".join(json.dumps(row) for row in rows).encode()
)


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "parquet", "jsonl.gz"])
@INPUTS
def test_a_file_is_rows_or_one_line(ending: str, inputs: int, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"

    def check(data: bytes, packed: bool) -> None:
        path.write_bytes(gzip.compress(data) if packed and ending.endswith("gz") else data)
        try:
            rows, columns = read(path)
        except OrchardError as error:
            assert "\n" not in str(error)
        else:
            assert all(isinstance(row, dict) for _, row in rows)
            assert len(columns) == len(set(columns))

    for_each(inputs, check, data=BYTES, packed=st.booleans())


@INPUTS
def test_recorded_judgements_are_read_or_refused_in_one_line(inputs: int) -> None:
    def check(rows: list[dict[str, Any]]) -> None:
        columns = list(dict.fromkeys(name for row in rows for name in row))
        try:
            imported.read(list(enumerate(rows, 1)), columns, "a.jsonl", Names((), ()))
        except OrchardError as error:
            assert "\n" not in str(error)

    for_each(inputs, check, rows=st.lists(ROW, min_size=1, max_size=4))


TURNS = st.lists(st.fixed_dictionaries({"role": ROLE, "content": CELL}), max_size=3)


@INPUTS
def test_a_prompt_is_turns_or_a_bad_row(inputs: int) -> None:
    def check(value: Any) -> None:
        try:
            turns = read_prompt(value, "prompt")
        except BadRow as error:
            assert "\n" not in str(error)
        else:
            assert turns is None or all(isinstance(turn["content"], str) for turn in turns)

    for_each(inputs, check, value=CELL | TURNS)


FIELDS = sorted({name for one in Section.__subclasses__() for name in one.model_fields})
SETTING = st.sampled_from([*FIELDS, "extends", "<<"])
VALUE = st.recursive(
    CELL, lambda inside: st.dictionaries(SETTING, inside, max_size=3), max_leaves=6
)


SECTION = st.dictionaries(SETTING, VALUE, max_size=3) | VALUE
TOP = st.sampled_from([*config.Settings.model_fields])
PROFILE = TEXT | st.dictionaries(TOP, SECTION, max_size=4).map(yaml.safe_dump)


@INPUTS
def test_a_profile_is_settings_or_one_line(inputs: int, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"

    def check(text: str) -> None:
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        try:
            config.load(str(path))
        except OrchardError as error:
            assert "\n" not in str(error)

    for_each(inputs, check, text=PROFILE)


@INPUTS
def test_a_thought_and_a_response_are_parts_of_the_text(inputs: int) -> None:
    def check(text: str, opened: bool) -> None:
        parts = split_thought(text, opened=opened)
        assert (parts.thought or "") in text and (parts.response or "") in text

    for_each(inputs, check, text=TEXT, opened=st.booleans())


@INPUTS
def test_the_steps_of_a_text_are_the_text(inputs: int) -> None:
    def check(text: str, delimiter: str) -> None:
        assert "".join(split_path(text, delimiter)) == text

    delimiters = st.sampled_from(["\n", "\n\n", ". ", "x"])
    for_each(inputs, check, text=TEXT, delimiter=delimiters)
