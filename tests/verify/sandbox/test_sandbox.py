"""What a sandbox says of ordinary programs, and of a machine that has none."""

import struct
from collections import Counter, OrderedDict, deque
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import SandboxSettings
from pipeline.errors import OrchardError
from pipeline.verify.sandbox import Job, Sandbox, launch
from pipeline.verify.sandbox.inside import plain, seccomp

leaves = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(leaves, inner)
        | st.frozensets(leaves)
        | st.sets(leaves)
    ),
    max_leaves=8,
)


def shape(value: Any) -> Any:
    """Types all the way down: True == 1, but they are not of one shape."""
    if isinstance(value, dict):
        return dict, [(shape(key), shape(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [shape(item) for item in value]
    if isinstance(value, set | frozenset):
        return type(value), sorted(str(type(item)) for item in value)
    return type(value)


@given(values)
def test_plain_data_come_back_equal_and_of_the_same_type(value: Any) -> None:
    back = plain.load(plain.dump(value))
    assert back == value and shape(back) == shape(value)


@pytest.mark.parametrize(
    "value",
    [
        Counter("aab"),
        OrderedDict(a=1),
        deque([1, 2]),
        Decimal("1.10"),
        Fraction(1, 3),
        range(1, 9, 2),
        1j,
        2**80,
    ],
)
def test_further_types_come_back(value: Any) -> None:
    back = plain.load(plain.dump(value))
    assert back == value and type(back) is type(value)


@pytest.mark.parametrize(
    "node", [[], {}, ["list"], ["eval", "1"], ["set", [["list", []]]], ["int", "x"], ["complex", 1]]
)
def test_forged_data_build_nothing(node: Any) -> None:
    with pytest.raises(ValueError):
        plain.load(node)


def decision(
    code: bytes, number: int, second: int = 0, third: int = 0, arch: int = 0xC000003E
) -> int:
    """Runs the filter as the kernel would, on one call with its second and third argument."""
    data = struct.pack("<iIQ6Q", number, arch, 0, 0, second, third, 0, 0, 0)
    instructions = list(struct.iter_unpack("<HBBI", code))
    at = value = 0
    while True:
        kind, yes, no, k = instructions[at]
        at += 1
        if kind == 0x20:
            value = struct.unpack_from("<I", data, k)[0]
        elif kind == 0x06:
            return int(k)
        else:
            holds = {0x15: value == k, 0x45: bool(value & k), 0x35: value >= k}[kind]
            at += yes if holds else no


ALLOW, EPERM, KILL = 0x7FFF0000, 0x00050001, 0x80000000
X86 = {"read": 0, "mmap": 9, "futex": 202, "exit_group": 231}  # by hand from the kernel's table
REFUSED = {
    "clone": 56, "fork": 57, "vfork": 58, "execve": 59, "kill": 62, "socket": 41, "socketpair": 53,
    "ptrace": 101,
    "mount": 165, "shmget": 29, "setrlimit": 160, "prlimit64": 302, "unshare": 272, "bpf": 321,
    "memfd_create": 319,
    "io_uring_setup": 425, "clone3": 435, "process_vm_writev": 311, "prctl": 157, "tgkill": 234,
    "keyctl": 250,
}  # fmt: skip


@pytest.mark.parametrize("write_files", [True, False])
def test_the_filter_lets_a_computation_through_and_nothing_else(write_files: bool) -> None:
    code = seccomp.program("x86_64", write_files)
    assert {decision(code, number) for number in X86.values()} == {ALLOW}
    assert {name for name, number in REFUSED.items() if decision(code, number) != EPERM} == set()
    assert decision(code, 0, arch=0x40000003) == KILL  # the 32-bit table has other numbers
    assert decision(code, 0x40000000 + 57) == KILL  # and so has x32
    allowed = sum(decision(code, number) == ALLOW for number in range(600))
    assert allowed == (97 if write_files else 75)  # a call more is a decision, not an accident


def test_without_scratch_space_files_open_for_reading_only() -> None:
    code = seccomp.program("x86_64", write_files=False)
    # O_CLOEXEC, O_WRONLY, O_CREAT, O_TRUNC
    reading, writing, creating, cutting = 0o2000000, 0o1, 0o100, 0o1000
    assert decision(code, 257, third=reading) == ALLOW
    assert {decision(code, 257, third=flags) for flags in (writing, 2, creating, cutting)} == {
        EPERM
    }
    # F_GETFL, F_SETOWN
    assert decision(code, 72, second=3) == ALLOW and decision(code, 72, second=8) == EPERM


def test_the_share_of_assertions_that_held_is_told(sandbox: Sandbox) -> None:
    tests = (
        "def check(g):\n    for x in range(4):\n        assert g(x) == x * x, 'square'\ncheck(f)"
    )
    outcome = sandbox.run(Job("def f(x):\n    return x + x", tests, ("f",)))
    assert (outcome.passed, outcome.held, outcome.asserts) == (False, 2, 4)  # 0 and 2
    assert outcome.reason == "assertion in line 3 of the tests does not hold"
    assert outcome.cpu_seconds is not None and 0 < outcome.cpu_seconds < 1


@pytest.mark.parametrize(
    ("source", "tests"),
    [
        ("import re\ndef f(s):\n    return re.match('a', s)", "assert f('ab')\nassert not f('b')"),
        ("def f(*a, k=0):\n    return (*a, k)", "assert f(1, [2], k={3}) == (1, [2], {3})"),
        ("def f(n):\n    return (k for k in range(n))", "assert list(f(3)) == [0, 1, 2]"),
        ("def f(n):\n    raise ValueError('no')",
         "try:\n    f(1)\nexcept ValueError as e:\n    assert 'no' in str(e)"),
        ("seen = []\ndef f(n):\n    seen.append(n)\n    return len(seen)",
         "assert f(1) == 1\nassert f(1) == 2"),
        ("def g(n):\n    return n\ndef f(n):\n    return g(n)", "assert f(3) == g(3)"),
        ("import math\nprint('hello')\ndef f(n):\n    return math.factorial(n)",
         "assert f(3000) % 7 == 0"),
    ],
)  # fmt: skip
def test_ordinary_programs_pass(sandbox: Sandbox, source: str, tests: str) -> None:
    outcome = sandbox.run(Job(source, tests, ("f",), setup="def g(n):\n    return n"))
    assert outcome.passed, outcome


def test_without_bubblewrap_code_is_refused_and_the_message_names_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(launch, "bubblewrap", lambda: None)
    with pytest.raises(
        OrchardError,
        match=r"bubblewrap is not here: install it .* `sandbox: \{isolation: limits\}`$",
    ):
        Sandbox(SandboxSettings())


def test_a_bubblewrap_that_does_not_work_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "bubblewrap", lambda: "/bin/false")
    with pytest.raises(OrchardError, match=r"is here and does not work: .*isolation: limits\}`$"):
        Sandbox(SandboxSettings())


STOPPING = "def f(x):\n    raise {kind}('nothing more')"
LOOPS = {
    "all of a map": "assert all(map(f, [1, 2]))",
    "a list of a map": "assert list(map(f, [1, 2])) == []",
    "a loop over a map": "for value in map(f, [1, 2]):\n    assert value == 1\nassert True",
    "a sum": "assert sum(map(f, [1, 2])) == 0",
    "a loop over __getitem__": (
        "class Cases:\n    def __getitem__(self, i):\n        return f(i)\n"
        "assert all(value == 1 for value in Cases())"
    ),
    "an attribute that may be missing": (
        "class Case:\n    @property\n    def value(self):\n        return f(1)\n"
        "assert getattr(Case(), 'value', 2) == 2"
    ),
}


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_an_exception_of_the_program_ends_no_loop_of_the_tests(sandbox: Sandbox, loop: str) -> None:
    for kind in ("StopIteration", "IndexError", "AttributeError", "KeyError", "StopAsyncIteration"):
        outcome = sandbox.run(Job(STOPPING.format(kind=kind), loop, ("f",)))
        assert not outcome.passed and f"RuntimeError: {kind}: " in str(outcome.reason)


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("StopIteration", "StopIteration"),
        ("IndexError", "LookupError"),
        ("KeyError", "(KeyError, ValueError)"),
        ("UnicodeDecodeError", "Exception"),
        ("FileNotFoundError", "IOError"),
        ("ZeroDivisionError", "ArithmeticError"),
    ],
)
def test_tests_that_name_an_exception_see_it(strong: Sandbox, kind: str, named: str) -> None:
    tests = f"raised = False\ntry:\n    f(1)\nexcept {named}:\n    raised = True\nassert raised"
    assert strong.run(Job(STOPPING.format(kind=kind), tests, ("f",))).passed
    other = tests.replace(named, "MemoryError")
    assert not strong.run(Job(STOPPING.format(kind=kind), other, ("f",))).passed
