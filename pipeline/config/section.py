"""What every section of the settings has in common."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from pipeline.errors import OrchardError


class UndeclaredRead(OrchardError):
    """A step reads something that its declaration does not name."""


LARGEST = 10**15  # of a whole number; a float holds every one below exactly
NUMBERS = (int, float, int | None, float | None)
MOST_DRAWS = 100_000  # of one prompt; our choice, a hundred times what papers take


@dataclass(frozen=True)
class TextFile:
    """Marks a setting whose value may be the path of a text file: its text counts, not its name.

    A value without the suffix is the name of something shipped, which the code version covers.
    """

    suffix: str


class Section(BaseModel):
    """Settings that cannot be changed, and that know every key they may have."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _yes_is_no_number(cls, values: Any) -> Any:
        """Refuses true and false for a number: `seed: yes` is no 1."""
        for name, field in cls.model_fields.items() if isinstance(values, dict) else ():
            if isinstance(values.get(name), bool) and field.annotation in NUMBERS:
                raise ValueError(f"{name}: expected a number, not yes or no")
        return values

    @model_validator(mode="after")
    def _can_be_meant(self) -> Self:
        """Refuses whole numbers that no table holds, and texts that no file system takes."""
        for name in self.model_fields_set:
            value = self.__dict__[name]
            for one in value if isinstance(value, list | tuple) else (value,):
                if isinstance(one, int) and abs(one) > LARGEST:
                    raise ValueError(f"{name}: {one:.3g} is too large: at most {LARGEST:.3g}")
                if isinstance(one, str) and "\0" in one:
                    raise ValueError(f"{name}: holds a zero character")
        return self

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
