"""Critic-Evol with the real small model:
too small for the structure, so most of its replies are malformed.
"""

import json
from collections import Counter
from pathlib import Path

from pipeline import config
from pipeline.config import CodeSettings, PoolSettings
from pipeline.engine.base import Engine, Reject
from pipeline.engine.session import run_all
from pipeline.prompts import load_pools
from pipeline.synthesis.codefavor import evolve

DATA = Path(__file__).parents[1] / "data" / "code" / "mbpp.jsonl"


def test_every_prompt_ends_as_a_pair_good_enough_or_malformed(engine: Engine) -> None:
    pool = PoolSettings(
        name="mbpp",
        source="file",
        path=str(DATA),
        prompt_column="instruction",
        verifier="code",
        licence="CC-BY-4.0",
    )
    settings = config.load("quick").model_copy(update={"pools": (pool,)})
    prompts, _ = load_pools(settings)
    code = CodeSettings(draft_tokens=96, critic_tokens=64, examples=1)
    ends = run_all([evolve(engine, engine, row, code, 0) for row in prompts.iter_rows(named=True)])
    kinds = Counter(
        end.reason.partition(":")[0] if isinstance(end, Reject) else "pair" for end in ends
    )
    assert kinds.total() == 4 and set(kinds) <= {"pair", "good enough", "malformed"}, ends
    assert kinds["malformed"] >= 1
    for end in ends:
        if isinstance(end, Reject):
            assert end.reason and json.dumps(end.row) and end.row["reply"]  # what it said is kept
