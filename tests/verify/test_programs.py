"""A right program is found in every layout:
the published solutions of the fixtures are witnesses.
"""

import ast
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.verify import code, has_final_answer, programs
from tests.verify.layouts import FENCE, LAYOUTS

DATA = Path(__file__).parents[1] / "data" / "code"
ROWS = [
    json.loads(line)
    for name in ("humaneval", "mbpp")
    for line in (DATA / f"{name}.jsonl").read_text().splitlines()
]
TASKS = [code.task_of(row) for row in ROWS]


def statements(source: str) -> set[str]:
    return {
        ast.dump(node)
        for node in ast.parse(source).body
        if not isinstance(node, ast.Import | ast.ImportFrom)
    }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_right_program_is_found_in_every_layout(layout: str) -> None:
    for program, metadata in TASKS:
        name = json.loads(metadata)["names"][0]
        found = code.program(LAYOUTS[layout](program, name), metadata)
        assert found is not None and statements(program) <= statements(found)


@pytest.mark.parametrize(
    "text",
    [
        f"{FENCE}\n>>> def f(x):\n...     return 1\n>>> f(1)\n1\n{FENCE}",
        ">>> def f(x): return 1\n>>> f(2)\n1",
        "I would define f as the sum of both.",
        f"{FENCE}python\nf(1)\n{FENCE}",
        f"{FENCE}js\nfunction f(x) {{ return 1 }}\n{FENCE}",
    ],
)
def test_what_is_no_program(text: str) -> None:
    assert code.extract(text, names=("f",)) is None


@pytest.mark.parametrize(
    "setup",
    [
        "from math import *\nK = floor(1.5)",
        "try:\n    from math import floor\nexcept ImportError:\n    pass\nK = floor(1)",
        "if True:\n    K = 1",
        "K = 0\nK += 1",
        "L = []\nL.append(1)\nK = len(L)",
        "T = {}\nfor i in range(3):\n    T[i] = i\nK = T[1]",
    ],
)
def test_what_an_earlier_piece_sets_up_comes_with_it(setup: str) -> None:
    text = (
        f"{FENCE}python\n{setup}\n{FENCE}\nthen\n"
        f"{FENCE}python\ndef f(x):\n    return x + K\n{FENCE}"
        f"\nTry it:\n{FENCE}python\nfor K in [1]:\n    K.append(f(1))\nK += f(2)\n{FENCE}"
    )
    found = code.extract(text, names=("f",))
    assert found is not None
    names: dict[str, object] = {}
    exec(found, names)  # of this file's own texts
    assert names["f"](1) == 2  # type: ignore[operator]


def test_what_a_piece_uses_is_taken_from_the_others_and_nothing_else() -> None:
    text = (
        f"{FENCE}python\nimport math\nimport os\nLIMIT = 3\nprint('no')\n\n"
        "def g(x):\n    return x\n"
        f"{FENCE}\nthen\n{FENCE}python\ndef f(x):\n    return math.pi * g(LIMIT)\n{FENCE}"
    )
    found = code.extract(text, names=("f",))
    assert found is not None and programs.defined(found) == {"LIMIT", "g", "f"}
    assert "import math" in found and "import os" not in found and "print" not in found


def test_imports_and_helpers_of_the_stub_are_there() -> None:
    stub = (
        "from typing import List\n\ndef g(x):\n    return x\n\n"
        'def f(x: List[int]):\n    """doc"""\n'
    )
    found = code.extract("def f(x: List[int]):\n    return g(x)", stub, ("f",))
    assert found is not None and programs.defined(found) == {"f", "g"}
    assert found.startswith("from typing import List\n") and '"""doc"""' not in found
    for body in ("    return x", "return x", f"{FENCE}python\n    return x\n{FENCE}"):
        whole = code.extract(body, stub, ("f",))
        assert whole is not None and whole.endswith('"""doc"""\n    return x')


def test_a_finished_block_states_a_program() -> None:
    assert has_final_answer(f"{FENCE}python3\r\ndef f(): pass\r\n{FENCE}", "code")
    assert not has_final_answer("def f(): pass", "code")


@settings(max_examples=60)
@given(
    st.lists(
        st.sampled_from(
            [FENCE, "\n", "def f(x):\n", "    return 1\n", "python", "~~~", "> ", "'''", "x = 1\n"]
        ),
        max_size=40,
    ).map("".join)
)
def test_no_response_makes_the_search_raise(text: str) -> None:
    found = code.extract(text, "def f(x):\n", ("f",))
    assert found is None or "f" in programs.defined(found)


@pytest.mark.parametrize(
    "piece", ["x = 1\nand\n", "def f(\n", FENCE + "\n", "class A:\n", '"""\n', "((((", "@a\n"]
)
def test_a_long_response_is_searched_in_time(piece: str) -> None:
    import time

    start = time.process_time()
    code.extract(piece * (100_000 // len(piece)), names=("g",))
    assert time.process_time() - start < 8
