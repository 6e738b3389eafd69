"""Which verifiers there are: each is registered where it is defined, by a decorator.

A verifier is one class, or one function, in one file:

    @verifier("palindrome")
    def palindrome(text: str, answer: str | None, metadata: str | None) -> bool:
        return text == text[::-1]

The files of this package are searched at the first question. A file of a user's own registers what
it defines when it is imported (pipeline/extensions.py); the process that runs slow judgements
(worker.py) imports it too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, TypeVar

from pipeline import extensions
from pipeline.errors import OrchardError
from pipeline.registered import Registry

Defined = TypeVar("Defined", bound=Callable[..., Any])


@dataclass(frozen=True)
class Verdict:
    """What was found in a response.

    answer: the final answer, normalised; None if missing or ambiguous.
    correct: the verdict; None where there is nothing to check against.
    """

    answer: str | None
    correct: bool | None


class Verifier:
    """One way to judge responses. A subclass says what differs from the comparison of texts."""

    name: str  # set by the decorator
    runs_programs = False  # True: judging waits for a sandbox, so it is done beside other work
    reads_answer_column = True  # False: `task_of` reads a pool's rows in its own way
    needed_columns: tuple[str, ...] = ()  # of a pool, beside the prompt's and the answer's

    def extract(self, text: str) -> str | None:
        """The final answer of a response, normalised; None if missing or ambiguous."""
        return text.strip() or None

    def canonical(self, answer: str) -> str | None:
        """A reference answer, normalised; None where it cannot be read."""
        return answer.strip() or None

    def equal(self, answer: str, reference: str) -> bool:
        """True where two normalised answers are the same."""
        return answer == reference

    def states(self, text: str) -> bool:
        """True where a response, perhaps unfinished, already states its answer."""
        return False

    def task_of(self, row: dict[str, Any]) -> tuple[str, str]:
        """Reference answer and metadata (JSON) from a pool's row; without an answer column only.

        Raises:
            OrchardError: the row has no task of this verifier.
        """
        raise OrchardError(
            f"verifier {self.name!r} does not say how it reads a row: give it task_of"
        )

    def judge(self, text: str, answer: str | None, metadata: str | None) -> Verdict:
        """The verdict on a response."""
        found = self.extract(text)
        if answer is None:
            return Verdict(found, None)
        reference = read_reference(self, answer)
        return Verdict(found, found is not None and self.equal(found, reference))


class _FunctionVerifier(Verifier):
    """A verifier made of one function of (response, reference answer, metadata)."""

    def __init__(self, function: Callable[..., bool | Verdict]) -> None:
        self._function = function

    def judge(self, text: str, answer: str | None, metadata: str | None) -> Verdict:
        judged = self._function(text, answer, metadata)
        return judged if isinstance(judged, Verdict) else Verdict(self.extract(text), judged)


@dataclass(frozen=True)
class _Entry:
    make: Callable[..., Verifier]
    members: Callable[[], list[str]] | None  # of a family: what may stand behind its name and colon


class _Verifiers(Registry[_Entry]):
    """Verifiers and families of them; what is made of an entry is kept."""

    def __init__(self) -> None:
        super().__init__("verifier", "pipeline.verify")
        self.made: dict[str, Verifier] = {}

    def forget(self, module: str) -> None:
        super().forget(module)
        kept = {n: one for n, one in self.made.items() if n.partition(":")[0] in self._things}
        self.made = kept


_verifiers = _Verifiers()


def verifier(
    name: str, members: Callable[[], list[str]] | None = None
) -> Callable[[Defined], Defined]:
    """Registers a subclass of Verifier, or a function (response, answer, metadata) -> verdict.

    With `members` the class is a family: its verifiers are called name:member, and it is made with
    the member's name.

    Raises:
        OrchardError: another verifier has that name.
    """

    module = extensions.registering()

    def register(defined: Defined) -> Defined:
        if ":" in name or name == "none":
            raise OrchardError(f"a verifier cannot be called {name!r}")
        entry = _Entry(_maker(defined), members)
        _verifiers.add(name, entry, module)
        if isinstance(defined, type):
            defined.name = name  # type: ignore[attr-defined]
        return defined

    return register


def extension_files() -> Mapping[str, str]:
    """Module name -> file of everything outside the project that has registered a verifier."""
    return extensions.files_of(_verifiers.modules())


def find(name: str) -> Verifier:
    """The verifier of that name.

    Raises:
        OrchardError: there is none; the message has the nearest names.
    """
    if name not in _verifiers.made:
        family, _, member = name.partition(":")
        entry = _verifiers.all().get(family)
        if entry is None or (entry.members is None) != (":" not in name):
            raise _unknown(name)
        if entry.members is not None and member not in entry.members():
            raise _unknown(name)
        made = entry.make(member) if entry.members else entry.make()
        made.name = name
        _verifiers.made[name] = made
    return _verifiers.made[name]


def code_of(name: str) -> str:
    """Where a verifier's code is: the name of its module, or the path of a user's file."""
    find(name)
    return _verifiers.source_of(name.partition(":")[0])


def names() -> list[str]:
    """Names of all verifiers; a family's members one by one."""
    found: list[str] = []
    for name, entry in sorted(_verifiers.all().items()):
        members = entry.members() if entry.members else []
        found += [f"{name}:{member}" for member in members] if entry.members else [name]
    return found


@lru_cache(maxsize=65536)
def read_reference(judge: Verifier, answer: str) -> str:
    """A reference answer as the verifier compares it.

    Raises:
        OrchardError: it cannot read it.
    """
    found = judge.canonical(answer)
    if not found:
        shown = answer if len(answer) <= 60 else answer[:60] + "..."
        raise OrchardError(f"{shown!r} is not an answer that the verifier {judge.name!r} can read")
    return found


def _maker(defined: Callable[..., Any]) -> Callable[..., Verifier]:
    if not isinstance(defined, type):
        return lambda: _FunctionVerifier(defined)
    if not issubclass(defined, Verifier):
        raise OrchardError(f"{defined.__name__} must be a function or a subclass of Verifier")
    return defined


def _unknown(name: str) -> OrchardError:
    near = get_close_matches(name, names(), n=3)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    entries = sorted(_verifiers.all().items())
    alone = [one for one, entry in entries if entry.members is None]
    families = [f"{one}:<task>" for one, entry in entries if entry.members]
    known = ", ".join(alone) + "".join(f", or {family}" for family in families)
    return OrchardError(f"unknown verifier {name!r}: {meant}use one of {known}")
