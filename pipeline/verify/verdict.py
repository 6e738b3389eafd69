"""What is asked of a verifier by its name: a verdict, a reference's form, a stated answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from pipeline.engine.base import RequestFailed
from pipeline.engine.thoughts import split_thought
from pipeline.errors import OrchardError, one_line
from pipeline.verify import registry
from pipeline.verify.registry import Verdict


class VerifierFailed(RequestFailed):
    """A verifier raised on a response: nothing is known of it, and its row is rejected."""


@contextmanager
def _failures(verifier: str) -> Iterator[None]:
    """Makes whatever a verifier raises on a response that response's own failure.

    What ours raise as OrchardError, such as a sandbox that does not start, is of the machine.
    """
    try:
        yield
    except Exception as error:  # a user's verifier, on a model's text
        if isinstance(error, OrchardError) and registry.code_of(verifier).startswith(
            "pipeline.verify."
        ):
            raise
        what = f"{type(error).__name__}: {one_line(error)}"
        raise VerifierFailed(
            f"the verifier {verifier!r} failed on this response: {what}"
        ) from error


def verifiers() -> list[str]:
    """Names of all verifiers."""
    return registry.names()


def check(verifier: str) -> None:
    """Raises OrchardError where there is no such verifier."""
    registry.find(verifier)


def verify(
    text: str, answer: str | None, verifier: str | None, metadata: str | None = None
) -> Verdict:
    """Finds the final answer of a response and judges it against the reference.

    Args:
        text: what a model said. A thought before its response is not read; one that never ends has
            no answer, and is wrong where there is a verifier.
        answer: the reference answer.
        verifier: a name out of verifiers(); None gives Verdict(None, None).
        metadata: JSON that the verifier needs.

    Raises:
        VerifierFailed: the verifier raised on this response; ours never do.
        OrchardError: no such verifier, or a reference or metadata that it cannot read.
    """
    if verifier is None:
        return Verdict(None, None)
    judge = registry.find(verifier)
    response = split_thought(text).response
    if response is None:
        return Verdict(None, False)
    with _failures(verifier):
        return judge.judge(response, answer, metadata)


@lru_cache(maxsize=65536)
def canonical(answer: str, verifier: str) -> str:
    """A reference answer as it is stored and compared.

    Raises:
        OrchardError: no such verifier, or a reference that it cannot read.
    """
    return registry.read_reference(registry.find(verifier), answer)


def has_final_answer(text: str, verifier: str | None) -> bool:
    r"""True where a response, perhaps unfinished, states its answer: 'answer is 7', \boxed{7}.

    Raises:
        VerifierFailed: the verifier raised on this response; ours never do.
    """
    if verifier is None:
        return False
    judge = registry.find(verifier)
    with _failures(verifier):
        return judge.states(text)
