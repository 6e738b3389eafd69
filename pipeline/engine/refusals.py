"""What a chat template or tokenizer raises about one row, as that row's own failure."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.engine.base import RequestFailed
from pipeline.errors import OrchardError


@contextmanager
def refusals(what: str) -> Iterator[None]:
    """Makes whatever a template or tokenizer raises about one row that row's own failure.

    A template is a program of the model's author, and may raise anything. Ours and a lack of memory
    pass: they are no fault of the row.

    Raises:
        RequestFailed: with the first line of the error's own words.
    """
    try:
        yield
    except (OrchardError, MemoryError):
        raise
    except Exception as error:
        words = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise RequestFailed(f"{what}: {words}") from error
