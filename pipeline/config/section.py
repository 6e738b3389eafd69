"""What every section of the settings has in common."""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import OrchardError


class Section(BaseModel):
    """Settings that cannot be changed, and that know every key they may have."""

    model_config = ConfigDict(extra="forbid", frozen=True)


S = TypeVar("S", bound=Section)


def section(chosen: S, **changes: object) -> S:
    """A section of the settings with some values changed, and checked again.

    Raises:
        OrchardError: a value that is out of range.
    """
    try:
        return type(chosen)(**{**chosen.model_dump(), **changes})
    except ValidationError as error:
        raise OrchardError(first_problem(error)) from error


def first_problem(error: ValidationError) -> str:
    """One line for all that pydantic found."""
    problems = [": ".join(filter(None, (".".join(map(str, e["loc"])), e["msg"]))) for e in error.errors()]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return problems[0] + more
