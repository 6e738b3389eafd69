"""The verifiers by name, and what they say of a response."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from pipeline.errors import OrchardError
from pipeline.verify import code, gym, instructions, latex, number, words


@dataclass(frozen=True)
class Verdict:
    """What was found in a response.

    answer: the final answer, normalised; None if missing or ambiguous.
    correct: the verdict; None where there is nothing to check against.
    """

    answer: str | None
    correct: bool | None


@dataclass(frozen=True)
class Verifier:
    """One way to judge: answer of a response, answer of a reference, their equality, is an answer stated explicitly."""

    extract: Callable[[str], str | None]
    canonical: Callable[[str], str | None]
    equal: Callable[[str, str], bool]
    states: Callable[[str], bool]


def _all(answer: str) -> str | None:
    return "all" if answer.strip().lower() == "all" else None


_VERIFIERS = {
    "number": Verifier(number.extract, number.canonical, number.equal, number.states),
    "math": Verifier(latex.extract, latex.canonical, latex.equal, latex.states),
    "choice": Verifier(words.choice, words.canonical_choice, words.equal, words.states_choice),
    "yesno": Verifier(words.yes_no, words.canonical_yes_no, words.equal, words.states_yes_no),
    "exact": Verifier(words.exact, words.canonical_exact, words.equal, words.states_exact),
    # Its reference is the prompt's metadata; the answer only says how many of the instructions count: all.
    "instructions": Verifier(lambda text: None, _all, words.equal, lambda text: False),
}
INSTRUCTIONS = "instructions"
_checked: set[str] = {*_VERIFIERS, code.NAME}


def verifiers() -> list[str]:
    """Names of all verifiers."""
    return [*_VERIFIERS, code.NAME, *(gym.PREFIX + task for task in gym.tasks())]


def check(verifier: str) -> None:
    """Raises OrchardError where there is no such verifier."""
    if verifier in _checked:
        return
    if verifier not in verifiers():
        near = get_close_matches(verifier, verifiers(), n=3)
        meant = f"did you mean {' or '.join(near)}? " if near else ""
        known = ", ".join([*_VERIFIERS, code.NAME])
        raise OrchardError(f"unknown verifier {verifier!r}: {meant}use one of {known}, or {gym.PREFIX}<task>")
    _checked.add(verifier)


def verify(text: str, answer: str | None, verifier: str | None, metadata: str | None = None) -> Verdict:
    """Finds the final answer of a response and judges it against the reference; never raises on any response.

    Args:
        text: the response.
        answer: the reference answer.
        verifier: a name out of verifiers(); None gives Verdict(None, None).
        metadata: JSON that the verifier needs.

    Raises:
        OrchardError: no such verifier, or a reference that it cannot read.
    """
    if verifier is None:
        return Verdict(None, None)
    check(verifier)
    if verifier.startswith(gym.PREFIX):
        return _verify_gym(text, answer, verifier.removeprefix(gym.PREFIX), metadata)
    if verifier == INSTRUCTIONS:
        return _verify_instructions(text, metadata)
    if verifier == code.NAME:
        return Verdict(*code.verdict(text, metadata))
    how = _VERIFIERS[verifier]
    found = how.extract(text)
    if answer is None:
        return Verdict(found, None)
    return Verdict(found, found is not None and how.equal(found, canonical(answer, verifier)))


@lru_cache(maxsize=65536)
def canonical(answer: str, verifier: str) -> str:
    """A reference answer as it is stored and compared.

    Raises:
        OrchardError: no such verifier, or a reference that it cannot read.
    """
    check(verifier)
    found = _reader(verifier)(answer)
    if not found:
        shown = answer if len(answer) <= 60 else answer[:60] + "..."
        raise OrchardError(f"{shown!r} is not an answer that the verifier {verifier!r} can read")
    return found


def has_final_answer(text: str, verifier: str | None) -> bool:
    r"""True where a response, perhaps unfinished, already states its answer: 'answer is 7', '#### 7', \boxed{7}."""
    if verifier is None:
        return False
    check(verifier)
    if verifier == code.NAME:
        return code.states(text)
    return gym.states(text) if verifier.startswith(gym.PREFIX) else _VERIFIERS[verifier].states(text)


def _reader(verifier: str) -> Callable[[str], str | None]:
    if verifier == code.NAME:
        return code.canonical
    return str.strip if verifier.startswith(gym.PREFIX) else _VERIFIERS[verifier].canonical


def _verify_gym(text: str, answer: str | None, task: str, metadata: str | None) -> Verdict:
    found = gym.extract(text, answer)
    if answer is None:
        return Verdict(found, None)
    return Verdict(found, found is not None and gym.correct(found, answer, task, metadata))


def _verify_instructions(text: str, metadata: str | None) -> Verdict:
    """Right where all are fulfilled, strictly; the answer says how many: '2/3'."""
    fulfilled = [one.check(text) for one in instructions.read(metadata)]
    return Verdict(f"{sum(fulfilled)}/{len(fulfilled)}", all(fulfilled))
