"""What every section of the settings has in common."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import OrchardError


class UndeclaredRead(OrchardError):
    """A step reads something that its declaration does not name."""


@dataclass(frozen=True)
class TextFile:
    """Marks a setting whose value may be the path of a text file: its text counts, not its name.

    A value without the suffix is the name of something shipped, which the code version covers.
    """

    suffix: str


class Section(BaseModel):
    """Settings that cannot be changed, and that know every key they may have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    if not TYPE_CHECKING:  # for mypy, every declared field is there

        def __getattr__(self, name: str) -> Any:
            """Called where a field is not there:
            in a copy that holds the declared settings only.
            """
            if name in type(self).model_fields:
                raise UndeclaredRead(
                    f"{type(self).__name__}.{name} is read, "
                    "and the step does not declare that setting"
                )
            return super().__getattr__(name)


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
    problems = [
        ": ".join(filter(None, (".".join(map(str, e["loc"])), e["msg"]))) for e in error.errors()
    ]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return problems[0] + more
