"""Trees whose every node, value and expansion is known by hand."""

import asyncio
from dataclasses import replace

import polars as pl
import pytest

from pipeline import tables
from pipeline.config import TreeSettings
from pipeline.engine.base import Completion, Sampling
from pipeline.trees.forest import plant
from pipeline.trees.growth import grow
from pipeline.trees.node import Node, Problem
from pipeline.trees.plans import plan_of
from tests.scripted import ScriptedEngine

SETTINGS = TreeSettings(
    skip_decided=False,
    children=3,
    rollouts=4,
    max_depth=4,
    max_expansions=10,
    step_tokens=20,
    rollout_tokens=20,
)


def judge(text: str) -> tuple[str | None, bool]:
    last = text.split()[-1] if text.split() else None
    return last, last == "7"


PROBLEM = Problem(
    "p1", ({"role": "user", "content": "3 + 4"},), "tree", judge, lambda text: "####" in text
)


def maze(prefix: str, sampling: Sampling, n: int) -> str:
    """From the root: 'a' (3 of 4 rollouts right), 'b' (1 of 4), 'a' again.

    After 'a': '#### 7' ends right, 'a2' (2 of 4), 'a3' (0 of 4).
    """
    rollout = not sampling.stop
    if prefix == "":
        return ["a\nrest", "b\nrest", "a\nrest"][n]
    right = {"a\n": 3, "b\n": 1, "a\na2\n": 2, "a\na3\n": 0}
    if rollout:
        return "7" if n < right[prefix] else "8"
    return ["#### 7\nmore", "a2\n7", "a3\n8"][n] if prefix == "a\n" else ""


def run(settings: TreeSettings, script=maze) -> tuple[list[Node], ScriptedEngine]:
    engine = ScriptedEngine(script)
    return asyncio.run(grow(engine, PROBLEM, settings, plan_of(settings), run_seed=1)), engine


def test_every_node_of_a_small_maze_is_as_worked_out_by_hand() -> None:
    nodes, _ = run(SETTINGS)
    steps = {node.whole: node for node in nodes if node.kind == "step"}
    assert {
        text: (node.value, node.n_correct, node.n_rollouts) for text, node in steps.items()
    } == {
        "a\n": (0.75, 3, 4),
        "b\n": (0.25, 1, 4),
        "a\n#### 7": (1.0, 0, 0),  # terminal: judged without rollouts, and without the delimiter
        "a\na2\n": (0.5, 2, 4),
        "a\na3\n": (0.0, 0, 4),
    }
    assert steps["a\n"].merged == 2 and steps["b\n"].merged == 1
    assert [(n.kind, n.expanded_order) for n in nodes if n.expanded_order is not None] == [
        ("root", 0),
        ("step", 1),
    ]
    assert sum(node.kind == "rollout" for node in nodes) == 4 * 4
    assert {node.depth for node in nodes if node.kind == "rollout" and node.prefix == "a\n"} == {1}


def test_greedy_stops_at_a_terminal_best_child_and_frontier_goes_on_elsewhere() -> None:
    def script(prefix: str, sampling: Sampling, n: int) -> str:
        if prefix == "" and sampling.stop:
            return ["#### 7", "b\n7", "#### 8"][n]
        return "7" if n == 0 else "8"

    greedy, _ = run(SETTINGS, script)
    assert [node.whole for node in greedy if node.expanded_order is not None] == [""]
    frontier, _ = run(
        SETTINGS.model_copy(update={"strategy": "frontier", "max_expansions": 2}), script
    )
    assert [node.whole for node in frontier if node.expanded_order is not None] == ["", "b\n"]


def test_frontier_backtracks_to_the_highest_value_anywhere_and_greedy_does_not() -> None:
    values = {"a\n": 3, "b\n": 2, "a\nx\n": 1, "a\ny\n": 0, "b\nx\n": 4, "b\ny\n": 0}

    def script(prefix: str, sampling: Sampling, n: int) -> str:
        if sampling.stop:
            return (["a\n", "b\n"] if prefix == "" else ["x\n", "y\n"])[n]
        return "7" if n < values[prefix] else "8"

    settings = SETTINGS.model_copy(update={"children": 2, "max_depth": 2, "max_expansions": 3})
    greedy, _ = run(settings, script)
    assert [node.whole for node in greedy if node.expanded_order is not None] == ["", "a\n"]
    frontier, _ = run(settings.model_copy(update={"strategy": "frontier"}), script)
    assert [node.whole for node in frontier if node.expanded_order is not None] == [
        "",
        "a\n",
        "b\n",
    ]


def test_depth_expansions_and_tokens_bound_a_tree_that_never_ends() -> None:
    def endless(prefix: str, sampling: Sampling, n: int) -> str:
        return f"step {len(prefix)} {n}\nmore"

    deep, _ = run(SETTINGS, endless)
    assert max(node.depth for node in deep) == SETTINGS.max_depth
    few, _ = run(SETTINGS.model_copy(update={"max_expansions": 1}), endless)
    assert max(node.depth for node in few) == 1
    poor, _ = run(SETTINGS.model_copy(update={"max_tokens": 1}), endless)
    # the expansion that passes the limit is finished, and is the last
    assert max(node.depth for node in poor) == 1


def test_ties_go_to_the_earlier_draw() -> None:
    def script(prefix: str, sampling: Sampling, n: int) -> str:
        return ["b\n", "a\n", "c\n"][n] if sampling.stop else "7"

    nodes, _ = run(SETTINGS.model_copy(update={"max_expansions": 2}), script)
    assert next(node for node in nodes if node.expanded_order == 1).text == "b\n"


class Limited(ScriptedEngine):
    """Cuts a completion at its token limit, a token a character, as a real engine does."""

    def _complete(self, text: str, sampling: Sampling) -> Completion:
        whole = super()._complete(text, sampling)
        if len(whole.text) <= sampling.max_tokens:
            return whole
        return replace(
            whole, text=whole.text[: sampling.max_tokens], finish_reason="length", stopped_by=None
        )


def test_a_step_that_the_token_limit_cut_inside_its_number_is_not_the_final_answer() -> None:
    def script(prefix: str, sampling: Sampling, n: int) -> str:
        return "The answer is 12."[len(prefix) :]

    # "The answer is 1" has 15 characters
    settings = TreeSettings(children=1, rollouts=2, step_tokens=15)
    prompts = prompt_rows("3 + 9").with_columns(answer=pl.lit("12"))
    rows, _ = plant(Limited(script), prompts, settings, 1)
    steps = (
        rows.filter(pl.col("kind") == "step").select("text", "terminal", "answer", "value").rows()
    )
    assert steps == [("The answer is 1", False, None, 1.0), ("2.", True, "12", 1.0)]


def test_one_child_and_a_model_that_says_nothing() -> None:
    nodes, _ = run(SETTINGS.model_copy(update={"children": 1}), lambda prefix, sampling, n: "7")
    assert [(node.kind, node.value) for node in nodes] == [("root", None), ("step", 1.0)]
    silent, _ = run(SETTINGS, lambda prefix, sampling, n: "")
    assert [node.kind for node in silent] == ["root"]


def test_seeds_depend_on_run_prompt_text_and_draw_but_not_on_search_settings() -> None:
    def seeds(settings: TreeSettings, run_seed: int, prompt: str) -> set[int]:
        engine = ScriptedEngine(maze)
        problem = replace(PROBLEM, prompt_id=prompt, tree_id=str(settings))
        asyncio.run(grow(engine, problem, settings, plan_of(settings), run_seed))
        drawn = [seed for _, _, all_seeds in engine.calls for seed in all_seeds]
        assert len(drawn) == len(set(drawn))
        return set(drawn)

    first = seeds(SETTINGS, 1, "p1")
    assert seeds(SETTINGS.model_copy(update={"max_depth": 8}), 1, "p1") == first
    assert not first & seeds(SETTINGS, 2, "p1")
    assert not first & seeds(SETTINGS, 1, "p2")


def test_rollout_shares_are_unbiased() -> None:
    """Rollouts that are right with probability 0.3:
    the mean value of 400 steps is within 4 standard errors of it.
    """
    import random

    rng = random.Random(0)
    values = []
    for _ in range(400):
        nodes, _ = run(
            SETTINGS.model_copy(update={"children": 1, "max_expansions": 1, "rollouts": 8}),
            lambda prefix, sampling, n: (
                "a\n" if sampling.stop else ("7" if rng.random() < 0.3 else "8")
            ),
        )
        values += [node.value for node in nodes if node.kind == "step"]
    error = (0.3 * 0.7 / (400 * 8)) ** 0.5
    assert abs(sum(values) / len(values) - 0.3) < 4 * error


def prompt_rows(*contents: str, verifier: str | None = "number") -> pl.DataFrame:
    rows = [
        {
            "prompt_id": f"id-{content}",
            "pool": "p",
            "task": "t",
            "split": "train",
            "messages": [{"role": "user", "content": content}],
            "answer": "7",
            "verifier": verifier,
            "metadata": None,
            "source": "test",
            "licence": "none",
        }
        for content in contents
    ]
    return pl.DataFrame(rows, schema=tables.empty("prompts").schema)


def test_a_forest_keeps_the_schema_and_rejects_what_cannot_have_a_tree() -> None:
    engine = ScriptedEngine(lambda prefix, sampling, n: "" if not prefix and sampling.stop else "7")
    rows, rejects = plant(engine, prompt_rows("too long", "silent"), SETTINGS, 1)
    assert rows.is_empty()
    assert [r.reason[:25] for r in rejects] == [
        "prompt of 999 tokens leav",
        "empty generation: the mod",
    ]
    _, rejects = plant(engine, prompt_rows("x", verifier=None), SETTINGS, 1)
    assert rejects[0].reason.startswith("no verifier")
    rows, rejects = plant(ScriptedEngine(maze), prompt_rows("3 + 4"), SETTINGS, 1)
    good, bad = tables.TreeNodes.filter(rows)
    assert good.height == rows.height and not rejects and not bad.counts()


@pytest.mark.parametrize("strategy", ["greedy", "frontier"])
def test_the_same_seed_gives_the_same_rows(strategy: str) -> None:
    settings = SETTINGS.model_copy(update={"strategy": strategy})
    first, _ = plant(ScriptedEngine(maze), prompt_rows("3 + 4"), settings, 1)
    second, _ = plant(ScriptedEngine(maze), prompt_rows("3 + 4"), settings, 1)
    assert first.equals(second)
