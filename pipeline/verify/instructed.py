"""The verifier of instructions: a response is right where it fulfils all of its prompt's."""

import json
from typing import Any

from pipeline.verify.instructions.catalogue import read, write
from pipeline.verify.registry import Verdict, Verifier, verifier

COLUMNS = ("instruction_id_list", "kwargs")  # IFEval's


@verifier("instructions")
class InstructionsVerifier(Verifier):
    """Its reference is the prompt's metadata; the answer says how many count: all."""

    reads_answer_column = False
    needed_columns = COLUMNS

    def extract(self, text: str) -> str | None:
        return None

    def canonical(self, answer: str) -> str | None:
        return "all" if answer.strip().lower() == "all" else None

    def task_of(self, row: dict[str, Any]) -> tuple[str, str]:
        """From a row in IFEval's form: names of instructions, and their arguments."""
        given = {column: row.get(column) for column in COLUMNS}
        return "all", write(read(json.dumps(given, ensure_ascii=False, default=str)))

    def judge(self, text: str, answer: str | None, metadata: str | None) -> Verdict:
        """Right where all are fulfilled, strictly; the answer says how many: '2/3'."""
        fulfilled = [one.check(text) for one in read(metadata)]
        return Verdict(f"{sum(fulfilled)}/{len(fulfilled)}", all(fulfilled))
