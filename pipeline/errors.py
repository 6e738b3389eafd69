"""The one exception that users see as a single line."""

from pipeline.escaped import visible

_LONGEST = 200  # characters of a message in one line


class OrchardError(Exception):
    """Something the user can mend.

    The message is one line: what is wrong, where, and what to do.
    The command line prints it and exits with status 1; Dagster shows it as the step's error.
    It may quote a text from outside: what a terminal would obey is written out.
    """

    def __init__(self, *message: object) -> None:
        super().__init__(*(visible(one) if isinstance(one, str) else one for one in message))


class Diverged(OrchardError):
    """A training whose loss is not finite or explodes."""


def one_line(error: BaseException | str) -> str:
    """An error's message in one line of at most 200 characters, without halves of characters."""
    text = " ".join(str(error).split()) if str(error) else type(error).__name__
    # A message may quote a text that UTF-8 cannot hold.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def with_cause(error: BaseException) -> str:
    """An error's message and, in the same line, that of the first error behind it.

    Libraries wrap what went wrong ("An error occurred while generating the dataset"): the cause
    says it.
    """
    first = error
    seen = {id(first)}
    while (behind := _behind(first)) is not None and id(behind) not in seen:
        first = behind
        seen.add(id(first))
    if first is error or one_line(first) in one_line(error):
        return one_line(error)
    return f"{one_line(error)}: {one_line(first)}"


def _behind(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)
