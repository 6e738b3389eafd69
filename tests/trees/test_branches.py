"""TPO's branches from random steps of a reference path, with every text known."""

from dataclasses import replace

from pipeline.config import ThoughtSettings
from pipeline.engine.base import Completion, Sampling
from pipeline.trees.branches import cut_points
from tests.scripted import ScriptedEngine
from tests.trees.mazes import grown


def comb(prefix: str, sampling: Sampling, n: int) -> str:
    """Whole paths: one wrong, one right (the reference), the wrong one again.

    A branch is 'z' and a wrong answer.
    """
    if prefix == "":
        return ["w\n#### 8", "a\nb\n#### 7\nand talk", "w\n#### 8"][n]
    return "z\n#### 9"


SETTINGS = ThoughtSettings(
    search="branches", children=3, branches=2, rollouts=4, max_expansions=8, rollout_tokens=40
)


def test_branches_leave_the_best_path_at_the_cuts_and_nowhere_else() -> None:
    nodes = grown(SETTINGS, ScriptedEngine(comb))
    cuts = cut_points("tree", 3, 2)
    stems = {0: "", 1: "a\n", 2: "a\nb\n"}
    branched = {node.prefix for node in nodes if node.text == "z\n"}
    assert branched == {stems[cut] for cut in cuts if cut}
    by_text = {node.whole: node for node in nodes}
    assert by_text["a\nb\n#### 7"].value == 1.0 and by_text["w\n#### 8"].value == 0.0
    assert by_text["w\n"].merged == by_text["w\n#### 8"].merged == 2
    inner = [node for node in nodes if node.kind == "step" and not node.terminal]
    assert all(node.value is None for node in inner)  # leaves alone are valued
    parents = {node.node_id for node in nodes}
    assert all(node.parent_id in parents for node in nodes if node.kind != "root")
    assert len(parents) == len(nodes)


def test_a_path_that_the_token_limit_cut_inside_its_number_is_unfinished() -> None:
    class Limited(ScriptedEngine):
        def _complete(self, text: str, sampling: Sampling) -> Completion:
            whole = super()._complete(text, sampling)
            return replace(whole, finish_reason="length") if text == "a\n#### 1" else whole

    def script(prefix: str, sampling: Sampling, n: int) -> str:
        return "a\n#### 1" if prefix == "" else "7"

    settings = SETTINGS.model_copy(update={"children": 1, "max_expansions": 1})
    steps = [node for node in grown(settings, Limited(script)) if node.kind == "step"]
    assert [(node.text, node.terminal, node.n_rollouts) for node in steps] == [
        ("a\n", False, 0),
        ("#### 1", False, 4),
    ]


def test_every_sampled_token_is_counted_once() -> None:
    engine = ScriptedEngine(comb)
    nodes = grown(SETTINGS, engine)
    assert sum(node.tokens for node in nodes) == engine.usage.sampled_tokens


def test_cuts_come_again_only_after_all_were_taken_and_do_not_depend_on_order() -> None:
    assert sorted(cut_points("t", 5, 5)) == [0, 1, 2, 3, 4]
    assert cut_points("t", 5, 3) == cut_points("t", 5, 5)[:3]
    assert sorted(cut_points("t", 2, 5)).count(0) in (2, 3)
    taken = [cut_points(f"tree {n}", 4, 1)[0] for n in range(400)]
    # 100 expected, 4.6 standard deviations
    assert all(60 < taken.count(step) < 140 for step in range(4))


def test_the_budget_bounds_the_branches() -> None:
    nodes = grown(SETTINGS.model_copy(update={"max_expansions": 1}), ScriptedEngine(comb))
    assert {node.whole for node in nodes if node.terminal} == {"a\nb\n#### 7", "w\n#### 8"}
