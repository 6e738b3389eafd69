"""When the evaluations are made again."""

from pathlib import Path

import polars as pl

from assets.validation import EVALUATIONS
from pipeline import config, tables
from pipeline.config import Settings
from pipeline.steps.recipe import fingerprint
from pipeline.store import Commit, Lake
from tests.runs import ScriptedRun

PROMPT = {
    "origin": "uf", "recorded_id": "r", "prompt_id": "p", "split": "test", "task": "other",
    "messages": [{"role": "user", "content": "Why?"}], "n_turns": 1, "chars": 4, "n_pairs": 0,
}  # fmt: skip


def test_test_prompts_of_sources_count_where_their_answers_are_judged(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    quick = config.load("quick").model_dump()

    def settings(**validation: int) -> Settings:
        own = {"validation": {"variants": ["outcome"], **validation}, "sources": [{"name": "uf"}]}
        return Settings(**{**quick, **own})

    def marks(values: Settings) -> list[str]:
        run = ScriptedRun(lake, values, folder=tmp_path)
        return [fingerprint(EVALUATIONS, run, part) for part in ("base", "outcome")]

    judged, plain = settings(win_prompts=5), settings()
    before = [marks(judged), marks(plain)]
    rows = pl.DataFrame([PROMPT], schema=tables.empty("source_prompts").schema)
    lake.write("source_prompts", rows, Commit("test"))
    assert marks(plain) == before[1]  # answers to them are asked of judges alone
    after = marks(judged)
    assert after[0] != before[0][0] and after[1] != before[0][1]
