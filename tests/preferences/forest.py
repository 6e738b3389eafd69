"""A small tree and a flat one, as rows of `tree_nodes`, and their prompts."""

from collections.abc import Sequence

import polars as pl

from pipeline import tables
from pipeline.engine.base import Reject
from pipeline.preferences.lists import LISTS, of_variant, ranked_lists
from pipeline.trees.similarity import Embed


def frame(table: str, rows: list[dict[str, object]], **common: object) -> pl.DataFrame:
    return pl.DataFrame([{**common, **row} for row in rows], schema=tables.empty(table).schema)


def step(
    node_id: str, value: float | None, text: str, parent: str = "root", **more: object
) -> dict[str, object]:
    depth = 1 if parent in ("root", "root2") else 2
    prefix = "" if depth == 1 else f"{parent}\n"
    n = 0 if more.get("terminal") else 4
    return {
        "node_id": node_id, "value": value, "text": text, "parent_id": parent, "depth": depth,
        "prefix": prefix, "n_rollouts": n, "n_correct": round((value or 0) * n), "kind": "step",
        "valuation": "answer" if more.get("terminal") else "rollouts", **more,
    }  # fmt: skip


COMMON = {
    "tree_id": "t1", "prompt_id": "p1", "policy_id": "m", "method": "best_first", "draw": 0,
    "prefix": "", "terminal": False, "merged": 1, "tokens": 1, "n_rollouts": 0, "n_correct": 0,
}  # fmt: skip
ROOT = {"kind": "root", "parent_id": None, "depth": 0, "text": ""}
# Below the question: a (3 of 4 right), b (2), c (0); below a: 'is 7' ends right, a2 (1), a3 (2); d
# and e: another tree.
NODES = frame(
    "tree_nodes",
    [
        {**ROOT, "node_id": "root", "expanded_order": 0},
        step("a", 0.75, "a\n", merged=2, expanded_order=1),
        step("b", 0.5, "b\n", draw=1),
        step("c", 0.0, "c\n", draw=2),
        step("a1", 1.0, "is 7", "a", terminal=True, correct=True, answer="7"),
        step("a2", 0.25, "a2\n", "a", draw=1),
        step("a3", 0.5, "a3\n", "a", draw=2),
        {**ROOT, "node_id": "root2", "tree_id": "flat", "prompt_id": "p2"},
        step("d", 0.0, "d\n", "root2", tree_id="flat", prompt_id="p2"),
        step("e", 0.0, "e\n", "root2", tree_id="flat", prompt_id="p2"),
    ],
    **COMMON,
)
PROMPTS = frame(
    "prompts",
    [
        {"prompt_id": "p1", "messages": [{"role": "user", "content": "3 + 4"}]},
        {"prompt_id": "p2", "messages": [{"role": "user", "content": "5 + 6"}]},
    ],
    pool="x", task="x", split="train", answer="7", verifier="number", source="test", licence="none",
)  # fmt: skip


def rollout(
    node_id: str, parent: str, text: str, answer: str | None, **more: object
) -> dict[str, object]:
    return {
        **COMMON, "node_id": node_id, "parent_id": parent, "kind": "rollout", "depth": 1,
        "prefix": f"{parent}\n",
        "text": text, "answer": answer, "correct": answer == "7", "terminal": True, **more,
    }  # fmt: skip


def rests(leaf: str, prefix: str, *answers: str, **more: object) -> list[dict[str, object]]:
    """Rollouts of a leaf, one an answer; one that begins with ? was cut."""
    return [
        rollout(
            f"{leaf}.{draw}", leaf, f"so {answer}", answer, draw=draw, prefix=prefix,
            terminal=not answer.startswith("?"), **more,
        )
        for draw, answer in enumerate(answers)
    ]  # fmt: skip


# Rollouts of the leaves that do not end: of b and a3 the right one is taken, of a2 and c a wrong
# one, and never one that was cut.
RESTS = frame(
    "tree_nodes",
    [
        *rests("b", "b\n", "8", "7", "7", "9"),
        *rests("c", "c\n", "?8", "9", "8", "9"),
        *rests("a2", "a\na2\n", "7", "8", "8", "8"),
        *rests("a3", "a\na3\n", "7", "8", "7", "8"),
        *rests("d", "d\n", "8", tree_id="flat", prompt_id="p2"),
        *rests("e", "e\n", "8", tree_id="flat", prompt_id="p2"),
    ],
)
GROWN = pl.concat([NODES, RESTS])


def build_lists(
    nodes: pl.DataFrame,
    prompts: pl.DataFrame,
    methods: Sequence[str],
    size: int,
    embed: Embed | None,
) -> tuple[pl.DataFrame, list[Reject]]:
    """The rows of `preference_lists` of every list variant over the trees of these methods."""
    frames, rejects = [tables.empty("preference_lists")], []
    for method in methods:
        lists, dropped = ranked_lists(
            nodes.filter(pl.col("method") == method), prompts, size, embed=embed
        )
        rejects += dropped
        for name, variant in LISTS.items():
            if variant.method == method:
                frames.append(of_variant(lists, name))
    return pl.concat(frames), rejects
