"""What a step really reads while it makes its rows:
tables, settings, and code of ours that runs.
"""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from pipeline.config import ROOT
from pipeline.config.section import Section
from pipeline.steps import Inputs
from pipeline.steps.inputs import DeclaredLake

CODE = str(ROOT / "pipeline")


@dataclass
class Trace:
    """What one step read."""

    tables: set[str] = field(default_factory=set)
    settings: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)


class Traced:
    """A step's function that notes what it reads; its code is that of the function itself."""

    args: tuple[object, ...] = ()
    keywords: Mapping[str, object] = {}

    def __init__(self, func: Callable[[Inputs], Any], trace: Trace) -> None:
        self.func = func
        self.trace = trace

    def __call__(self, inputs: Inputs) -> Any:
        with traced(self.trace):
            return self.func(inputs)


@contextmanager
def traced(trace: Trace) -> Iterator[None]:
    """Fills a trace with what is read meanwhile."""
    paths: dict[int, tuple[str, Section]] = {}
    with pytest.MonkeyPatch.context() as patch:
        _trace_tables(patch, trace)
        _trace_settings(patch, trace, paths)
        seen: set[str] = set()

        def called(frame: FrameType, event: str, _: object) -> None:
            if event == "call" and (name := frame.f_code.co_filename) not in seen:
                seen.add(name)

        threading.setprofile(called)
        sys.setprofile(called)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # type: ignore[arg-type]
        trace.modules |= {_module(name) for name in seen if name.startswith(CODE)}


def _module(file: str) -> str:
    parts = Path(file).relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _trace_tables(patch: pytest.MonkeyPatch, trace: Trace) -> None:
    real = DeclaredLake._must_be_declared

    def noted(self: DeclaredLake, named: Set[str]) -> None:
        real(self, named)
        trace.tables |= set(named)

    patch.setattr(DeclaredLake, "_must_be_declared", noted)


def _trace_settings(
    patch: pytest.MonkeyPatch, trace: Trace, paths: dict[int, tuple[str, Section]]
) -> None:
    """Notes fields of sections that belong to the inputs of a step."""
    real_settings = Inputs.settings.func  # type: ignore[attr-defined]
    real_get, real_dump = Section.__getattribute__, Section.model_dump

    def settings(self: Inputs) -> Any:
        held = self.__dict__.get("_noted")
        if held is None:
            held = self.__dict__["_noted"] = real_settings(self)
            _learn(held, "", paths)
        return held

    def get(self: Section, name: str) -> Any:
        if not name.startswith("_") and id(self) in paths and name in type(self).model_fields:
            trace.settings.add(f"{paths[id(self)][0]}.{name}".lstrip("."))
        return real_get(self, name)

    def dump(self: Section, *args: Any, **kwargs: Any) -> Any:
        if id(self) in paths:
            left_out = set(kwargs.get("exclude") or ())
            names = set(real_get(self, "__dict__")) - left_out
            trace.settings |= {f"{paths[id(self)][0]}.{name}".lstrip(".") for name in names}
        return real_dump(self, *args, **kwargs)

    patch.setattr(Inputs, "settings", property(settings))
    patch.setattr(Section, "__getattribute__", get)
    patch.setattr(Section, "model_dump", dump)


def _learn(section: Section, path: str, paths: dict[int, tuple[str, Section]]) -> None:
    paths[id(section)] = (path, section)  # kept, so that no other object gets its id
    for name, value in object.__getattribute__(section, "__dict__").items():
        if isinstance(value, Section):
            _learn(value, f"{path}.{name}".lstrip("."), paths)
