"""Tests that count on more than values are told when a pool is loaded.

The witness is the sandbox: of a right program it refuses those that are told, and no others.
"""

from collections.abc import Iterator

import pytest

from pipeline.config import SandboxSettings
from pipeline.errors import OrchardError
from pipeline.verify import code

SORT = "def f(x):\n    x.sort()\n    return x"
CALL = "def f(x, g=abs):\n    return g(x)"
NODE = "def f(node):\n    return node.value"
SAME = "def f(x):\n    if x is None:\n        raise ValueError('none')\n    return x"
OWN_CLASS = "class Node:\n    def __init__(self, v): self.value = v"
TOLD = {
    "an effect on an argument": (SORT, "x = [2, 1]\nf(x)\nassert x == [1, 2]", ""),
    "an effect in check(candidate)": (
        SORT,
        "def check(candidate):\n    x = [2, 1]\n    candidate(x)\n    assert x == [1, 2]\ncheck(f)",
        "",
    ),
    "an effect in a loop": (SORT, "for x in [[2, 1]]:\n    f(x)\n    assert x == [1, 2]", ""),
    "a lambda": (CALL, "assert f(-1, lambda x: x) == -1", ""),
    "a lambda by keyword": (CALL, "assert f(-1, g=lambda x: x) == -1", ""),
    "a function of the tests": (CALL, "def own(x): return x\nassert f(-1, own) == -1", ""),
    "a function of the setup": (CALL, "assert f(-1, own) == -1", "def own(x): return x"),
    "an instance": (NODE, "assert f(Node(1)) == 1", OWN_CLASS),
}  # fmt: skip
FINE = {
    "values": (SORT, "assert f([2, 1]) == [1, 2]", ""),
    "a call that is to raise": (
        SAME,
        "try:\n    f(None)\nexcept ValueError:\n    assert f(1) == 1\nelse:\n    assert False",
        "",
    ),
    "check(candidate)": (SAME, "def check(candidate):\n    assert candidate(1) == 1\ncheck(f)", ""),
    "a helper's result": (SAME, "assert f(two()) == 2", "def two(): return 2"),
    "the program as an argument of theirs": (SAME, "assert list(map(f, [1, 2])) == [1, 2]", ""),
    "a lambda for somebody else": (SAME, "assert sorted(f([2, 1]), key=lambda x: x) == [1, 2]", ""),
    "a call of their own for its effect": (SAME, "x = [2, 1]\nx.sort()\nassert f(x) == [1, 2]", ""),
}  # fmt: skip


@pytest.fixture(autouse=True)
def weak_limits() -> Iterator[None]:
    """These programs are ours, so the weaker limits do, everywhere."""
    code.use(SandboxSettings(isolation="limits", cpu_seconds=1, idle_seconds=2, workers=1))
    yield
    code.use(SandboxSettings())


def passes(program: str, tests: str, setup: str) -> bool:
    from pipeline.verify.sandbox import Job

    return code.sandbox().run(Job(program, tests, ("f",), setup)).passed


@pytest.mark.parametrize("what", TOLD)
def test_what_the_sandbox_cannot_hand_over_is_told_when_the_pool_is_loaded(what: str) -> None:
    program, tests, setup = TOLD[what]
    space: dict[str, object] = {}
    exec(f"{setup}\n{program}\n{tests}", space)  # the program is right
    assert not passes(program, tests, setup)
    with pytest.raises(OrchardError, match=r"^line \d of the tests .*(plain data|has a copy)"):
        code.task_of({"answer": program, "tests": tests, "setup": setup})


@pytest.mark.parametrize("what", FINE)
def test_what_it_can_hand_over_is_taken(what: str) -> None:
    program, tests, setup = FINE[what]
    assert passes(program, tests, setup)
    assert code.task_of({"answer": program, "tests": tests, "setup": setup})
