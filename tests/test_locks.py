"""Locks: each file by its hash, no host, and the versions that pyproject.toml asks for."""

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CHECKOUT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
HASHES = r"(?: \\\n    --hash=sha256:[0-9a-f]{64})+"
PIN = re.compile(rf"^# .+\n([a-z0-9-]+)==(\S+)(?: ; [^\\\n]+)?{HASHES}\n", re.M)


def lock(name: str) -> str:
    return (CHECKOUT / f"requirements/{name}.lock").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def relock() -> ModuleType:
    spec = importlib.util.spec_from_file_location("relock", CHECKOUT / "requirements/relock.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_every_package_has_hashes_and_no_host_is_named(name: str) -> None:
    text = lock(name)
    head, *_ = text.partition("\n# python: ")
    assert all(line.startswith("# ") for line in head.splitlines())
    assert f"requirements/relock.py requirements/{name}.lock" in head
    body = text.partition("\n# python: ")[2].partition("\n")[2]
    assert PIN.sub("", body) == "", "a line that is no pin with its hashes"
    assert "://" not in text and "index-url" not in text


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_the_lock_holds_what_the_project_asks_for(name: str) -> None:
    pinned = {found[1]: found[2] for found in PIN.finditer(lock(name))}
    extras = PROJECT["optional-dependencies"]
    for line in PROJECT["dependencies"] + extras[name] + extras["team"] + extras["test"]:
        asked = Requirement(line)
        version = pinned[canonicalize_name(asked.name)]
        assert asked.specifier.contains(version, prereleases=True), f"{line}: {version} is locked"


def files(*names: str, sdist: bool = True) -> dict[str, Any]:
    """A package as uv's pylock describes it; a wheel's hash is its name, so that one can see it."""
    wheels = [{"url": f"/a/{name}", "hashes": {"sha256": name}} for name in names]
    source = {"sdist": {"hashes": {"sha256": "source"}}} if sdist else {}
    return {"wheels": wheels, **source}


def test_a_lock_takes_the_wheels_of_its_machines(relock: ModuleType) -> None:
    package = files(
        "p-1-cp310-cp310-manylinux_2_28_x86_64.whl",
        "p-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "p-1-cp311-cp311-manylinux_2_28_x86_64.whl",
        "p-1-cp312-cp312-manylinux_2_24_x86_64.whl",
        "p-1-cp311-abi3-manylinux2014_aarch64.whl",
        "p-1-cp311-cp311-musllinux_1_2_x86_64.whl",
        "p-1-cp312-cp312-macosx_11_0_arm64.whl",
        "p-1-cp313-cp313-manylinux_2_17_x86_64.whl",
        "p-1-cp312-cp312-win_amd64.whl",
    )
    lines = relock._block(relock.Pin("p", "1", None), package).splitlines()
    assert lines[0] == "# x86_64 2.24, aarch64 2.17"  # each Python must find a wheel
    taken = [line.strip(" \\").removeprefix("--hash=sha256:p-1-") for line in lines[2:]]
    assert taken == [
        "cp311-abi3-manylinux2014_aarch64.whl",
        "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "cp311-cp311-manylinux_2_28_x86_64.whl",
        "cp312-cp312-manylinux_2_24_x86_64.whl",
    ]


@pytest.mark.parametrize(
    ("names", "marker", "where"),
    [
        (["p-1-py3-none-any.whl"], None, "any"),
        (["p-1-py2.py3-none-any.whl", "p-1-cp311-cp311-win_amd64.whl"], None, "any"),
        (["p-1-py3-none-manylinux1_x86_64.whl"], None, "x86_64 2.5"),
        (
            ["p-1-py3-none-manylinux1_x86_64.whl"],
            "platform_machine == 'x86_64'",
            "x86_64 2.5, aarch64 not needed",
        ),
        (["p-1-cp311-cp311-manylinux_2_28_aarch64.whl", "p-1-py3-none-any.whl"], None, "any"),
    ],
)
def test_above_a_package_stands_where_it_runs(
    relock: ModuleType, names: list[str], marker: str | None, where: str
) -> None:
    block = relock._block(relock.Pin("p", "1", marker), files(*names))
    assert block.startswith(f"# {where}\np==1") and "source" not in block


def test_a_package_without_wheels_is_built(
    relock: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relock, "_built", lambda pin: "source, C compiler")
    block = relock._block(relock.Pin("p", "1", None), files("p-1-cp311-cp311-win_amd64.whl"))
    assert block == "# source, C compiler\np==1 \\\n    --hash=sha256:source\n"


def test_relocking_reads_every_pin_and_keeps_what_it_cannot_ask_for(relock: ModuleType) -> None:
    text = lock("cpu")
    pins = [relock.Pin(*found) for found in relock._pins(text)]
    assert [pin.name for pin in pins] == [found[1] for found in PIN.finditer(text)]
    torch = next(pin for pin in pins if pin.name == "torch")
    assert relock._kept(torch, text) in text and relock._kept(torch, text).count("--hash") == 4
    with pytest.raises(SystemExit, match="no hashes of it yet"):
        relock._kept(torch._replace(version="9.9+cpu"), text)
