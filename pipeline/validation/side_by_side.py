"""What several policies answer to the same prompts, for people to read."""

from dataclasses import dataclass

import polars as pl

from pipeline import responses
from pipeline.by_hash import first_by_hash
from pipeline.config import Settings
from pipeline.engine.base import Engine
from pipeline.errors import OrchardError
from pipeline.store.reader import Reader


@dataclass(frozen=True)
class Answer:
    """One policy's answer to a prompt.

    text: what it said, or why there is nothing. correct: what the prompt's verifier says of it;
    null where there is no verifier, or no answer. tokens: sampled, those of a thought included.
    """

    text: str
    correct: bool | None = None
    tokens: int = 0


def asked_prompts(lake: Reader, count: int) -> pl.DataFrame:
    """So many test prompts, by hash: more of them begin with the same ones.

    Raises:
        OrchardError: there are none yet.
    """
    found = first_by_hash(lake.read("prompts", where="split = 'test'"), "compare", count)
    if found.is_empty():
        raise OrchardError("the lake has no test prompts: a run brings in those of the pools")
    return found


def first_answers(engine: Engine, prompts: pl.DataFrame, settings: Settings) -> dict[str, Answer]:
    """Prompt id -> the first of the answers that the policy gives when it is evaluated.

    Those of an evaluated policy come out of the completion cache.
    """
    once = settings.sampling.model_copy(update={"n": 1})
    rows, rejects = responses.draw(engine, prompts, once, settings.seed)
    found = {
        str(row["prompt_id"]): Answer(row["text"], row["correct"], row["tokens"])
        for row in rows.iter_rows(named=True)
    }
    for reject in rejects:
        about = str(reject.row.get("prompt_id") or reject.row_id)
        found.setdefault(about, Answer(f"({reject.reason})"))
    return found
