"""Files of a user's own: named in a profile, imported once, known wherever ours are.

An extension registers what it defines when it is imported, with the same decorators as our own
files. Names are looked up after `load`, which whoever reads a profile calls.
"""

import hashlib
import os
import sys
from collections.abc import Iterable, Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Protocol

from pipeline.errors import OrchardError, one_line

OURS = ("pipeline", "assets")  # packages whose modules are no extensions
PREFIX = "orchard_extension_"


class Forgets(Protocol):
    """A registry, as far as this module knows it."""

    def forget(self, module: str) -> None:
        """Takes back what a module has registered."""


REGISTRIES: list[Forgets] = []
_files: dict[str, str] = {}  # module name -> file, of modules outside the project


def load(paths: Iterable[str]) -> None:
    """Imports files that are not imported yet; what they register is known from then on.

    Raises:
        OrchardError: there is no such file, or it cannot be imported; the message names it.
    """
    for path in paths:
        load_file(Path(path))


def load_file(path: Path) -> None:
    """Imports one file, unless it is imported already.

    Raises:
        OrchardError: there is no such file, or it cannot be imported.
    """
    name = _module_name(path)
    if _files.get(name) is None or name not in sys.modules:
        _import(name, path)


def files_of(modules: Iterable[str]) -> Mapping[str, str]:
    """Module name -> file, of those modules that are outside the project."""
    return {module: _files[module] for module in sorted(modules) if module in _files}


def import_files(files: Mapping[str, str]) -> None:
    """Imports in this process what `files_of` gave in another one."""
    for module, path in files.items():
        if module not in sys.modules:
            _import(module, Path(path))


def source_of(module: str) -> str:
    """Where a module's code is: its name, or the path of a user's file."""
    return _files.get(module, module)


def is_extension(module: str) -> bool:
    """Whether a module is a user's file that has registered something."""
    return module in _files


def note(module: str) -> None:
    """Keeps the file of a module that is not ours, so that other processes can import it too."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if file and module != "__main__" and module.split(".")[0] not in OURS:
        _files[module] = str(Path(file).resolve())


def registering() -> str:
    """The name of the module that calls the function in which this stands.

    It owns what it registers, also where another file has defined a part of that.
    """
    return str(sys._getframe(2).f_globals["__name__"])


def unload() -> None:
    """Forgets all files that were loaded: for tests."""
    for module in [module for module in _files if module.startswith(PREFIX)]:
        forget(module)


def forget(module: str) -> None:
    """Takes back a module and all that it has registered."""
    for registry in REGISTRIES:
        registry.forget(module)
    sys.modules.pop(module, None)
    _files.pop(module, None)


def _module_name(path: Path) -> str:
    """A name made of the file's and of where it lies: two files may share a name."""
    where = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    return f"{PREFIX}{path.stem}_{where}"


def _import(module: str, path: Path) -> None:
    spec = spec_from_file_location(module, path)
    if spec is None or spec.loader is None or not os.path.isfile(path):
        what = f"no Python file {path} (looked for {path.resolve()})"
        raise OrchardError(f"extensions: {what}: mend its path")
    loaded = module_from_spec(spec)
    sys.modules[module] = loaded
    try:
        spec.loader.exec_module(loaded)
    except BaseException as error:  # whatever a user's file raises
        forget(module)
        if isinstance(error, KeyboardInterrupt):
            raise
        ours = isinstance(error, OrchardError)
        why = str(error) if ours else f"{type(error).__name__}: {one_line(error)}"
        what = f"{path}{_line_of(error, path)} cannot be imported: {why}"
        raise OrchardError(f"extensions: {what}") from error
    _files[module] = str(path.resolve())


def _line_of(error: BaseException, path: Path) -> str:
    """The last line of the file that was running when an error rose, as text."""
    found, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            found = trace.tb_lineno
        trace = trace.tb_next
    return f" line {found}" if found else ""
