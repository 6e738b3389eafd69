"""A whole run of the graph in seconds:
scripted completions, a toy model, variants of all families.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import yaml

from assets.steps import GRAPH
from pipeline import config, tables
from pipeline.brought import brought_row
from pipeline.engine.base import Completion, Prompt, Sampling
from pipeline.engine.model import Model
from pipeline.ids import unit_for
from pipeline.steps import RunContext, run_step
from pipeline.store import Commit, Lake
from tests.scripted import ScriptedEngine
from tests.training.toy import save_llama

SUM = re.compile(r"(\d+) ([+-]) (\d+) =")
VARIANTS = [
    "outcome",
    "tree_plv",
    "tree_regret",
    "curriculum",
    "tree_clusters",
    "tot",
    "tpo",
    "tpo_tot",
    "tree_best_worst",
    "osp",
    "rationale",
    "rationale_permuted",
    "principles",
    "principles_permuted",
    "voted_soft",
    "voted_rdpo",
    "bco",
    "mapl_intra",
    "mapl_inter",
    "mapl_joint",
    "codefavor",
    "codefavor_judge",
    "codefavor_judge_generation",
    "mine",
    "mine_again",
    "mixed",
    "sent",
    "sent_rationale",
    "delta",
    "off_policy",
    "best_of_policies",
    "rated",
]
SUMS = {
    "name": "sums",
    "source": "reasoning_gym",
    "task": "chain_sum",
    "params": {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1},
    "size": 60,
    "licence": "Apache-2.0",
}
GROWN = {"children": 3, "rollouts": 4, "max_depth": 2, "max_expansions": 2, "max_prompts": 24}
SETTINGS = {  # those that name no file
    "delta": {"better": "big", "worse": "small"},
    "splits": {"validation": 0.2, "test": 0.2},
    "sampling": {"n": 4, "max_tokens": 60},
    "trees": GROWN,
    "thoughts": GROWN,
    "preferences": {"margin": 0.25},
    "judge": {
        "must_answer": False,
        "on_bias": "warn",
        "max_prompts": 8,
        "contexts": 2,
        "rationales": {"check_polarity": False},
        "max_responses": 3,
        "calibration": "temperature",
        "principles": {"max_prompts": 4},
    },
    "noise": {"models": 2, "folds": 2, "min_steps": 5, "test_shares": [0.2]},
    "mapl": {},
    "training": {
        "method": "full",
        "epochs": 1,
        "batch_pairs": 4,
        "max_length": 400,
        "micro_tokens": 2048,
    },
    "validation": {
        "variants": VARIANTS,
        "max_pairs": 4,
        "draws": 2,
        "bootstrap": 200,
        "win_prompts": 2,
        "kl_prompts": 2,
    },
    "sweep": {"losses": ["sigmoid"], "shares": [0.0], "max_pairs": 4},
    "selection": {"sources": ["tree_plv", "outcome"], "draws": 3},
}
IMPROVED = """[BEGIN REFLECTION]
It repeats the name.
[END REFLECTION]
[BEGIN CRITERIA]
The code is fast.
[END CRITERIA]
[BEGIN ATTEMPT_2]
```python
def double(x):
    return 2 * x
```
[END ATTEMPT_2]
[BEGIN FEEDBACK]
[ATTEMPT_2] multiplies once, where [ATTEMPT_1] repeats the name.
[END FEEDBACK]"""
# What stands in a request -> what the model says.
REPLIES = {
    "List the principles": 'accuracy | {satisfied} | "the result is wrong"',
    "say what is good": "It is easy to follow, but the result is wrong.",
    "give the main reason": "Its sum was checked {seed} times and no step of it is left out.",
    "[ATTEMPT_1]": IMPROVED,
    "Write double(x)": "```python\ndef double(x):\n    return x + x\n```",
}


class Policy(ScriptedEngine):
    """Answers sums, right or wrong by hash of the request; judges by hash; writes one program."""

    def __init__(self, policy_id: str) -> None:
        super().__init__(lambda prefix, sampling, n: "")
        self.policy_id = policy_id

    async def sample(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        return [self._complete(self._said(prompt, seed), sampling) for seed in seeds]

    async def verdict(self, prompt: Prompt, words: Sequence[str]) -> list[float]:
        first = 0.1 + 0.8 * unit_for("vote", [dict(turn) for turn in prompt.messages], words[0])
        rest = (1 - first) / (len(words) - 1)
        return [first, *[rest] * (len(words) - 1)]

    def _said(self, prompt: Prompt, seed: int) -> str:
        asked = prompt.messages[-1]["content"]
        for mark, reply in REPLIES.items():
            if mark in asked:
                satisfied = "yes" if unit_for("principle", asked) < 0.5 else "no"
                return reply.format(seed=seed % 7, satisfied=satisfied)
        a, sign, b = SUM.findall(asked)[-1]
        right = int(a) + int(b) if sign == "+" else int(a) - int(b)
        unit = unit_for("answer", asked, prompt.prefix, seed)
        answer = right if unit < 0.5 else right + 1 + int(10 * unit) % 3
        steps = "" if prompt.prefix else f"{a} {sign} {b} = {answer}\n"
        return f"{steps}The answer is {answer}."


class Room:
    """Hands out scripted engines."""

    def __init__(self) -> None:
        self.engines: dict[str, Policy] = {}

    def engine(self, model: Model, role: str = "policy") -> Policy:
        return self.engines.setdefault(model.policy_id, Policy(model.policy_id))

    def usage(self):  # type: ignore[no-untyped-def]
        from pipeline.engine.base import Usage

        total = Usage()
        for engine in self.engines.values():
            total = total.plus(engine.usage)
        return total

    def rest(self) -> None:
        """Nothing to give back."""

    def close(self) -> None:
        """Nothing to close."""


def profile(folder: Path, **changes: object) -> Path:
    """A profile with variants of all families, and the files that it names."""
    _write_files(folder)
    path = folder / "world.yaml"
    path.write_text(yaml.safe_dump({**SETTINGS, **_settings_of_files(folder), **changes}))
    return path


def _write_files(folder: Path) -> None:
    """Models, pools, sources and queries."""
    for seed, name in enumerate(("model", "big", "small", "elsewhere")):
        save_llama(folder / name, seed=seed)
    code = {"code": "def double(x):\n    return 2 * x\n", "test_list": ["assert double(2) == 4"]}
    rows: dict[str, list[dict[str, object]]] = {
        "code": [{"prompt": f"Write double(x), {n}.", **code} for n in range(3)],
        "exam": [{"question": f"{n} + {n + 1} =", "answer": 2 * n + 1} for n in range(20, 26)],
        "sent": [_sent(n) for n in range(24)],
        "ranked": [{**_sent(n), "subset": f"half {n % 2}"} for n in range(30, 36)],
    }
    for name, own in rows.items():
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, own)))
    (folder / "mine.sql").write_text(
        "SELECT a.prompt_id, a.text AS chosen, b.text AS rejected "
        "FROM responses a JOIN responses b USING (prompt_id) JOIN prompts p USING (prompt_id) "
        "WHERE a.correct AND NOT b.correct AND a.draw = 0 AND b.draw = 1 AND p.split <> 'test'"
    )
    (folder / "rated.sql").write_text(
        "SELECT source.* FROM source JOIN prompt_ratings USING (prompt_id) WHERE quality > 0.01"
    )


def _settings_of_files(folder: Path) -> dict[str, object]:
    """The settings that name these files."""
    toy = {"dtype": "float32", "max_model_len": 512}
    file = {"source": "file", "licence": "CC0-1.0"}
    code, exam = str(folder / "code.jsonl"), str(folder / "exam.jsonl")
    return {
        "model": {"name": str(folder / "model"), **toy},
        "policies": [
            {"name": "big", "model": {"name": str(folder / "big"), **toy}, "sampling": {"n": 3}},
            {"name": "small", "model": {"name": str(folder / "small")}},
        ],
        "pools": [
            SUMS,
            {"name": "programs", **file, "path": code, "prompt_column": "prompt",
             "verifier": "code"},
            {"name": "exam", **file, "path": exam, "role": "evaluation"},
        ],
        "sources": [
            {"name": "sent", "path": str(folder / "sent.jsonl")},
            {"name": "ranked", "role": "evaluation", "path": str(folder / "ranked.jsonl")},
        ],
        "variants": [
            {"name": "mine", "sql": str(folder / "mine.sql")},
            {"name": "mine_again", "source": "mine", "loss": "ipo"},
            {"name": "rated", "sql": str(folder / "rated.sql"), "source": "sent"},
            {"name": "mixed", "of": {"outcome": 0.5, "mine": 0.5}},
        ],
    }  # fmt: skip


def _sent(number: int) -> dict[str, object]:
    """A row of preference data that exist: a pair in TRL's layout."""
    asked = f"{number} + {number} ="
    return {
        "prompt": asked,
        "chosen": f"It is {2 * number}.",
        "rejected": f"It is {2 * number + 1}.",
    }


@contextmanager
def opened(home: Path, path: Path) -> Iterator[RunContext]:
    """A run over a home, with scripted engines, and a policy that was trained elsewhere."""
    with Lake(home) as lake:
        if (path.parent / "elsewhere").is_dir():
            row = brought_row("elsewhere", str(path.parent / "elsewhere"), None, None, home)
            rows = pl.DataFrame([row], schema=tables.empty("brought_policies").schema)
            lake.write("brought_policies", rows, Commit("test"))
        yield RunContext(config.load(str(path)), lake, Room(), home, "run", GRAPH)  # type: ignore[arg-type]


def run_all(run: RunContext) -> dict[str, str]:
    """Makes every step that the profile needs; step, or step and part -> its status."""
    needed, done = GRAPH.needed(run.settings), {}
    for step in GRAPH.in_order(run.settings):
        if step.name not in needed or step.table is None:
            continue
        for part in step.parts(run.settings) if step.parts else [None]:
            done[f"{step.name} {part or ''}".strip()] = run_step(step, run, part).status
    return done
