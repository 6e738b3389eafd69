"""Code: which program a response holds, and whether it passes the tests of its prompt."""

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from pipeline import config, tables
from pipeline.config import PoolSettings, SamplingSettings, SandboxSettings, Settings
from pipeline.errors import OrchardError
from pipeline.prompts import load_pools
from pipeline.responses import draw
from pipeline.verify import canonical, code, has_final_answer, verify
from tests.scripted import ScriptedEngine

DATA = Path(__file__).parents[1] / "data" / "code"
ROWS = [
    json.loads(line)
    for name in ("humaneval", "mbpp")
    for line in (DATA / f"{name}.jsonl").read_text().splitlines()
]
TASK = code.task_of(
    {"answer": "def f(x):\n    return x + 1", "tests": "assert f(1) == 2\nassert f(5) == 6"}
)[1]


@pytest.fixture(autouse=True)
def weak_limits() -> Iterator[None]:
    """These programs are ours, so the weaker limits do, everywhere."""
    code.use(SandboxSettings(isolation="limits", cpu_seconds=1, idle_seconds=2, workers=1))
    yield
    code.use(SandboxSettings())


@pytest.mark.parametrize("row", ROWS, ids=[str(row["task_id"]) for row in ROWS])
def test_every_published_solution_passes_and_an_empty_one_fails(row: dict[str, str]) -> None:
    answer, metadata = code.task_of(row)
    (name,) = json.loads(metadata)["names"]
    assert (
        verify(f"Here it is:\n```python\n{answer}\n```\nDone.", answer, "code", metadata).correct
        is True
    )
    assert (
        verify(f"```python\ndef {name}(*args):\n    pass\n```", answer, "code", metadata).correct
        is False
    )
    assert verify("I cannot.", answer, "code", metadata).answer is None


def test_a_bare_continuation_goes_behind_the_stub() -> None:
    row = next(row for row in ROWS if row["task_id"] == "HumanEval/53")
    answer, metadata = code.task_of(row)
    assert verify(row["canonical_solution"], answer, "code", metadata).correct is True


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "```python\ndef f(x): return 1\n```\nand better:\n```python\ndef f(x): return 2\n```",
            "def f(x): return 2",
        ),
        (
            "```python\ndef f(x): return 1\n```\nUse it:\n```python\nprint(f(1))\n```",
            "def f(x): return 1",
        ),
        ("```python\nimport math\n```\nthen\n```python\ndef g(): pass\n```", None),
        ("def f(x):\n    return 1", "def f(x):\n    return 1"),
        ("  ```py\n  def f(x):\n      return 1\n  ```", "def f(x):\n    return 1"),
        ("~~~\ndef f(x): return 1\n~~~", "def f(x): return 1"),
        # never closed: cut off, and yet whole
        ("```python\ndef f(x):\n    return 1", "def f(x):\n    return 1"),
        ("```python\ndef f(x): return (\n```", None),
        ("f = lambda x: 1", "f = lambda x: 1"),
        ("", None),
        ("```" * 5000, None),
    ],
)
def test_the_program_of_a_response(text: str, found: str | None) -> None:
    assert code.extract(text, names=("f",)) == found


def test_an_answer_is_stated_by_a_closed_block_that_is_a_program() -> None:
    assert has_final_answer("```python\ndef f(): pass\n```", "code")
    assert not has_final_answer("```python\ndef f(): pass\n", "code")
    assert not has_final_answer("```\nx ==\n```", "code")


def test_a_reference_that_is_no_program_is_an_error() -> None:
    assert canonical("  def f(): pass\n", "code") == "def f(): pass"
    with pytest.raises(OrchardError, match="is not an answer that the verifier 'code' can read"):
        canonical("forty-two", "code")


@pytest.mark.parametrize(
    "metadata", [None, "", "{", "[]", '{"tests": 1, "names": ["f"]}', '{"tests": "x", "names": []}']
)
def test_metadata_without_tests_are_an_error(metadata: str | None) -> None:
    with pytest.raises(
        OrchardError, match=r"^verifier 'code': the prompt's metadata need 'tests' and 'names'"
    ):
        verify("def f(): pass", "def f(): pass", "code", metadata)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "x"}, "^no tests: a row needs HumanEval's columns"),
        (
            {"code": "def f(): pass", "test_list": ["assert g() == 1"]},
            "call no function that the reference",
        ),
        ({"answer": "def f(): pass", "tests": "assert f( == 1"}, "the tests do not parse"),
    ],
)
def test_rows_without_usable_tests_are_named(row: dict[str, object], message: str) -> None:
    with pytest.raises(OrchardError, match=message):
        code.task_of(row)


def settings(path: Path, **more: str) -> Settings:
    pool = PoolSettings(
        name="code", source="file", path=str(path), verifier="code", licence="MIT", **more
    )  # type: ignore[arg-type]
    return config.load("quick").model_copy(update={"pools": (pool,)})


def test_pools_of_both_kinds_load_and_a_bad_row_is_a_reject(tmp_path: Path) -> None:
    prompts, rejects = load_pools(settings(DATA / "mbpp.jsonl", prompt_column="instruction"))
    assert prompts.height == 4 and rejects.is_empty() and set(prompts["verifier"]) == {"code"}
    broken = tmp_path / "code.jsonl"
    lines = (DATA / "humaneval.jsonl").read_text().splitlines()
    broken.write_text(
        "\n".join([*lines, json.dumps({"prompt": "p", "code": "x = (", "test_list": ["assert x"]})])
    )
    prompts, rejects = load_pools(settings(broken, prompt_column="prompt"))
    assert prompts.height == 4
    assert rejects["reason"].to_list() == [
        "code.jsonl row 5: the tests call no function that the reference program defines"
    ]


def test_sampled_responses_carry_the_verdict_and_so_pass_at_1() -> None:
    turns = [{"role": "user", "content": "increment"}]
    prompt = {
        "prompt_id": "p", "pool": "x", "task": "x", "split": "test", "messages": turns,
        "answer": "def f(x): return x + 1", "verifier": "code", "metadata": TASK, "source": "s",
        "licence": "l",
    }  # fmt: skip
    prompts = pl.DataFrame([prompt], schema=tables.empty("prompts").schema)
    texts = [
        "def f(x):\n    return x + 1",
        "def f(x):\n    return 2",
        "no",
        "import sys\nsys.exit(0)\ndef f(x): pass",
    ]
    rows, rejects = draw(
        ScriptedEngine(lambda prefix, sampling, n: texts[n]), prompts, SamplingSettings(n=4), 0
    )
    assert rows["correct"].to_list() == [True, False, False, False] and not rejects
    assert rows["answer"].to_list() == [texts[0], texts[1], None, texts[3]]
