"""Things by name, each registered where it is defined:
verifiers, losses, judge kinds and others.
"""

from difflib import get_close_matches
from functools import cached_property
from importlib import import_module
from pkgutil import iter_modules
from typing import Generic, TypeVar

from pipeline import extensions
from pipeline.errors import OrchardError

T = TypeVar("T")


class Registry(Generic[T]):
    """All things of one kind by name, in the order in which they were registered.

    what: the kind in words, such as "loss". package: where ours are; its files are imported at the
    first question, so that importing this module imports none of them.
    """

    def __init__(self, what: str, package: str) -> None:
        self._what = what
        self._package = package
        self._things: dict[str, T] = {}
        self._modules: dict[str, str] = {}
        extensions.REGISTRIES.append(self)

    def add(self, name: str, thing: T, module: str) -> None:
        """Makes a thing known by its name.

        module: the name of the module that registers it; its code counts where the thing is used.

        Raises:
            OrchardError: the name is empty, or another thing has it.
        """
        if not name:
            raise OrchardError(f"a {self._what} without a name, in {module}: give it one")
        extensions.note(module)
        if name in self._things:
            first, second = (extensions.source_of(m) for m in (self._modules[name], module))
            raise OrchardError(
                f"two {self._what}s are called {name!r}, in {first} and in {second}: "
                "rename one of them"
            )
        self._things[name] = thing
        self._modules[name] = module

    def find(self, name: str) -> T:
        """The thing of that name.

        Raises:
            OrchardError: there is none; the message has all known names.
        """
        if name not in self.all():
            raise self.unknown(name)
        return self._things[name]

    def source_of(self, name: str) -> str:
        """Where the thing's code is: the name of its module, or the path of a user's file."""
        self.find(name)
        return extensions.source_of(self._modules[name])

    def all(self) -> dict[str, T]:
        """Everything that is known, by name."""
        _ = self._ours
        return dict(self._things)

    def modules(self) -> set[str]:
        """Names of the modules that have registered something."""
        return set(self._modules.values())

    def forget(self, module: str) -> None:
        """Takes back what a module has registered: it could not be imported to its end."""
        for name in [name for name, owner in self._modules.items() if owner == module]:
            del self._things[name], self._modules[name]

    def unknown(self, name: str) -> OrchardError:
        """What is said of a name that nothing has."""
        names = sorted(self.all())
        near = get_close_matches(name, names, n=3)
        meant = f"did you mean {' or '.join(near)}? " if near else ""
        return OrchardError(f"unknown {self._what} {name!r}: {meant}use one of {', '.join(names)}")

    @cached_property
    def _ours(self) -> None:
        """Imports every file of the package: importing is registering."""
        for found in iter_modules(import_module(self._package).__path__):
            import_module(f"{self._package}.{found.name}")
