"""How well a policy follows instructions: IFEval's four accuracies, and one per kind.

Of n responses, the prompt accuracy is the share that fulfils all of its instructions; the instruction accuracy is the
share of all instructions that are fulfilled; each strict and loose.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from pipeline.verify.instructions.catalogue import Instruction

SCHEMA = {"unit_id": pl.String, "name": pl.String, "strict": pl.Boolean, "loose": pl.Boolean}


@dataclass(frozen=True)
class Fulfilment:
    """`verdicts` has one row per response and instruction: unit_id, name, strict, loose."""

    verdicts: pl.DataFrame

    def by_prompt(self) -> pl.DataFrame:
        """unit_id, strict and loose: shares of instructions fulfilled; all_strict and all_loose: all of them."""
        modes = [pl.col("strict", "loose").mean(), pl.col("strict", "loose").all().name.prefix("all_")]
        return self.verdicts.group_by("unit_id").agg(*modes).sort("unit_id")

    def by_kind(self) -> pl.DataFrame:
        """name, n, strict and loose accuracy of each kind of instruction."""
        grouped = self.verdicts.group_by("name")
        return grouped.agg(pl.len().alias("n"), pl.col("strict", "loose").mean()).sort("name")

    def accuracies(self) -> dict[str, float | None]:
        """prompt_strict, prompt_loose, instruction_strict and instruction_loose in [0, 1]; None of no responses."""
        prompts = self.by_prompt()
        columns = {
            "prompt_strict": prompts["all_strict"],
            "prompt_loose": prompts["all_loose"],
            "instruction_strict": self.verdicts["strict"],
            "instruction_loose": self.verdicts["loose"],
        }
        return {name: float(column.sum()) / len(column) if len(column) else None for name, column in columns.items()}


def fulfilment(rows: Iterable[tuple[str, str, Sequence[Instruction]]]) -> Fulfilment:
    """The verdicts on responses.

    Args:
        rows: (id of the unit, response, its instructions). Several draws of one prompt are units of their own: give
            them ids of their own, and average them per prompt afterwards.
    """
    verdicts = [
        (unit, one.name, one.check(response), one.check(response, loose=True))
        for unit, response, instructions in rows
        for one in instructions
    ]
    return Fulfilment(pl.DataFrame(verdicts, schema=SCHEMA, orient="row"))
