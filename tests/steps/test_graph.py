"""Order, need and cost of steps, from their declarations."""

from pathlib import Path

import polars as pl
import pytest

from pipeline import config
from pipeline.errors import OrchardError
from pipeline.steps import Reads, Rows, Step, StepResult
from pipeline.steps.graph import Graph
from pipeline.store import Commit, Lake
from tests.judge.simulated import frame, prompts, responses

SETTINGS = config.load("quick")
NOTHING = Reads()


def step(name: str, table: str | None, reads: Reads = NOTHING, **more: object) -> Step:
    def make(inputs: object) -> StepResult:
        return StepResult(pl.DataFrame())

    return Step(name, make, reads, table, "Toy.", "toy", **more)  # type: ignore[arg-type]


def rows(variant: str) -> Rows:
    return Rows("preferences", "variant", variant)


PAIRS = {
    "part_column": "variant",
    "parts": lambda settings: ["a"],
    "reads_of": lambda settings, part: Reads(tables=("votes",) if part == "b" else ("responses",)),
}
GRAPH = Graph(
    [
        step("prompts", "prompts"),
        step("responses", "responses", Reads(tables=("prompts",))),
        step("votes", "votes", Reads(tables=("responses",)), paid="origin = 'responses'"),
        step("judges", "judges", Reads(tables=("votes",)), made_beside=("votes",)),
        step("pairs", "preferences", all_parts=lambda settings: ["a", "b"], **PAIRS),
        step(
            "train",
            "training_runs",
            Reads(tables=(rows("a"),), beside=("rejects",), gates=("judges",)),
            is_end=True,
        ),
        step("report", None, Reads(tables=("training_runs",), beside=("principles",)), is_end=True),
        step("principles", "principles", Reads(tables=("responses",))),
    ]
)


def test_order_is_that_of_any_profile_and_need_is_that_of_this_one() -> None:
    before = {name: GRAPH.before(one, SETTINGS) for name, one in GRAPH.steps.items()}
    assert before["prompts"] == [] and before["responses"] == ["prompts"]
    assert before["pairs"] == ["responses", "votes"]  # whichever variants a profile compares
    assert before["train"] == ["pairs", "judges"]  # the gate comes before it
    assert before["report"] == ["train", "principles"]
    # The gate is needed, and so is what it reads; `principles` is read where it is there.
    assert GRAPH.needed(SETTINGS) == {
        "prompts",
        "responses",
        "votes",
        "judges",
        "pairs",
        "train",
        "report",
    }


def test_a_step_is_made_wherever_what_it_describes_is() -> None:
    ends = [one for name, one in GRAPH.steps.items() if name not in ("train", "report")]
    plain = Graph([*ends, step("end", "metrics", Reads(tables=("responses",)), is_end=True)])
    assert plain.needed(SETTINGS) == {"prompts", "responses", "end"}
    voted = Graph([*ends, step("end", "metrics", Reads(tables=("votes",)), is_end=True)])
    assert voted.needed(SETTINGS) == {"prompts", "responses", "votes", "judges", "end"}


def test_what_something_is_made_from_is_followed_part_by_part() -> None:
    made = [GRAPH.tables_behind(Reads(tables=(rows(name),)), SETTINGS) for name in "ab"]
    assert made == [
        ["preferences", "responses", "prompts"],
        ["preferences", "votes", "responses", "prompts"],
    ]


def test_cost_counts_each_table_once_what_was_lost_too_and_only_what_was_paid_for(
    tmp_path: Path,
) -> None:
    lake = Lake(tmp_path)
    lake.write("prompts", prompts("p"), Commit("test"))
    lost = frame(
        "rejects",
        [{"reject_id": "r", "table": "responses", "step": "x", "row_id": "p", "reason": "lost"}],
    )
    lost = lost.with_columns(row=pl.lit('{"prompt_id": "p", "tokens": 5}'))
    lake.write("responses", responses({"p": ["7", "8"]}), Commit("test"), rejects=lost)
    from tests.judge.simulated import votes

    cast = [
        votes([("p-0", "p-1", 0.9)], tokens=10),
        votes([("x", "y", 0.9)], origin="file", tokens=99),
    ]
    lake.write("votes", pl.concat(cast), Commit("test"))
    costs = [GRAPH.tokens(Reads(tables=(rows(name),)), SETTINGS, lake) for name in "ab"]
    assert costs == [2 + 5, 2 + 5 + 10]


def test_a_circle_is_named_in_one_line() -> None:
    one = step("one", "votes", Reads(tables=("judges",)))
    other = step("other", "judges", Reads(queries=(), tables=("votes",)))
    with pytest.raises(
        OrchardError,
        match="steps in a circle: one <- other <- one: a query reads what is made from",
    ):
        Graph([one, other]).in_order(SETTINGS)
    GRAPH.in_order(SETTINGS)
