"""Settings of variants that a profile adds to the registry."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline.config.section import Section


class UserVariant(Section):
    """A variant of one's own:
    a SELECT whose rows are pairs, or another variant's pairs under another loss.

    The query gives prompt_id, chosen and rejected, and any other column of `preferences`; what it
    leaves out is filled in. It gets a control `<name>_shuffled` for nothing, unless it is a control
    itself.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    # path of the query, relative to the profile's folder; null: the pairs of `source`
    sql: str | None = None
    source: str | None = None  # a variant whose pairs the query reads as the table `source`
    loss: str | None = None  # null: training.loss
    # what the two sides are; with a source: the source's
    level: Literal["step", "response", "prompt"] = "response"
    control_of: str | None = None
    # tables that it costs besides those that the query names, such as thought_nodes
    needs: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _has_pairs(self) -> Self:
        if self.sql is None and self.source is None:
            raise ValueError(f"variant {self.name!r} needs sql, source, or both")
        return self
