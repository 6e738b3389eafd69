"""What a step may read: what it declares, of that the declared rows,
and of these the prompts of a chunk.
"""

import polars as pl
import pytest

from pipeline import config
from pipeline.config.section import UndeclaredRead
from pipeline.steps import Inputs, Reads, Rows, Step, StepResult, run_step
from pipeline.steps.inputs import DeclaredLake, needs_of
from pipeline.store import Commit, Lake
from pipeline.verify import code
from tests.judge.simulated import prompts, responses
from tests.preferences.forest import NODES, PROMPTS
from tests.runs import ScriptedRun
from tests.scripted import ScriptedEngine

SETTINGS = config.load("quick")
TOT = Rows("tree_nodes", "method", "tot")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ScriptedRun:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    lake.write("prompts", pl.concat([PROMPTS, prompts("p3")]), Commit("test"))
    lake.write("responses", responses({"p1": ["7"], "p2": ["8"], "p3": ["9"]}), Commit("test"))
    thoughts = NODES.with_columns(method=pl.lit("tot"), node_id=pl.col("node_id") + "t").head(3)
    for method, rows in (("best_first", NODES), ("tot", thoughts)):
        lake.write("tree_nodes", rows, Commit("test"), partition={"method": method})
    return ScriptedRun(lake, SETTINGS, ScriptedEngine(lambda prefix, sampling, n: "7"))


def reading(
    run: ScriptedRun, units: pl.DataFrame | None = None, **reads: tuple[object, ...]
) -> DeclaredLake:
    return DeclaredLake(run, Reads(**reads), "the step x", units)  # type: ignore[arg-type]


def test_a_table_that_is_not_declared_is_refused_however_it_is_asked_for(run: ScriptedRun) -> None:
    lake = reading(run, tables=("prompts",), beside=("votes",), uncounted=("usage",))
    for table in ("prompts", "votes", "usage"):
        assert lake.read(table).columns and lake.version(table) >= 0
    says = "the step x reads the table responses, which it does not declare"
    for ask in (
        lambda: lake.read("responses"),
        lambda: lake.version("responses"),
        lambda: lake.history("responses"),
        lambda: lake.sql("SELECT * FROM prompts JOIN responses USING (prompt_id)"),
        lambda: lake.sql("WITH responses AS (FROM responses) FROM responses"),
    ):
        with pytest.raises(UndeclaredRead, match=says):
            ask()
    given = {"responses": pl.DataFrame({"x": [1]})}
    assert lake.sql("SELECT x FROM responses", frames=given)["x"].to_list() == [1]


def test_a_query_file_is_declared_by_its_name_and_brings_its_tables(run: ScriptedRun) -> None:
    lake = reading(run, queries=("pairs_outcome",))
    assert lake.query_file("pairs_outcome", per_prompt=1).is_empty()
    assert set(needs_of(Reads(queries=("pairs_outcome",)))) == {"prompts", "responses"}
    assert lake.read("responses").height == 3
    with pytest.raises(
        UndeclaredRead, match="the step x asks sql/usage.sql, which it does not declare"
    ):
        lake.query_file("usage")


def test_of_a_declared_partition_nothing_else_is_seen(run: ScriptedRun) -> None:
    lake = reading(run, tables=(TOT,))
    assert set(lake.read("tree_nodes")["method"]) == {"tot"}
    assert lake.read("tree_nodes", where="depth = 0 OR true").height == 3
    assert lake.sql("SELECT DISTINCT method FROM tree_nodes")["method"].to_list() == ["tot"]
    both = reading(run, tables=(TOT, Rows("tree_nodes", "method", "best_first")))
    assert both.read("tree_nodes").height == NODES.height + 3
    assert reading(run, tables=(TOT, "tree_nodes")).read("tree_nodes").height == NODES.height + 3
    # The lake itself shows all of it afterwards.
    assert run.lake.sql("SELECT count(*) AS n FROM tree_nodes").item() == NODES.height + 3


def test_of_a_chunk_nothing_but_its_prompts_is_seen(run: ScriptedRun) -> None:
    units = pl.DataFrame({"prompt_id": ["p1", "p3"]})
    lake = reading(run, units, tables=("prompts", TOT), queries=("pairs_outcome",))
    assert sorted(lake.read("prompts")["prompt_id"]) == ["p1", "p3"]
    assert lake.read("prompts", where="prompt_id > 'p1'")["prompt_id"].to_list() == ["p3"]
    found = lake.sql("SELECT prompt_id FROM prompts JOIN responses USING (prompt_id)")
    assert sorted(found["prompt_id"]) == ["p1", "p3"]
    assert set(lake.read("tree_nodes")["prompt_id"]) == {"p1"} and set(
        lake.read("tree_nodes")["method"]
    ) == {"tot"}
    assert lake.read("prompts").schema == run.lake.read("prompts").schema


def step(make, **reads):  # type: ignore[no-untyped-def]
    return Step("x", make, Reads(**reads), "prompts", "Toy.", "toy")


def test_an_engine_or_model_of_another_role_is_refused(run: ScriptedRun) -> None:
    inputs = Inputs(run, step(None, models=("policy",), engines=("judges",)))
    assert inputs.model("policy").policy_id == inputs.model("judges").policy_id == "scripted@0"
    assert inputs.engine("judges").policy_id == "scripted@0"
    for ask in (lambda: inputs.engine("policy"), lambda: inputs.engine_of(inputs.model("policy"))):
        with pytest.raises(UndeclaredRead, match="the step x asks the model of the role 'policy'"):
            ask()
    with pytest.raises(UndeclaredRead, match="the step x reads the model of the role 'critic'"):
        inputs.model("critic")


def test_a_step_that_runs_programs_declares_the_sandbox(run: ScriptedRun) -> None:
    def make(inputs: Inputs) -> StepResult:
        code.sandbox()
        return StepResult(inputs.table("prompts"))

    with pytest.raises(
        UndeclaredRead, match="a program is run by a step that does not declare `sandbox`"
    ):
        run_step(step(make, tables=("prompts",)), run)
    limits = SETTINGS.sandbox.model_copy(update={"isolation": "limits"})
    own = ScriptedRun(run.lake, SETTINGS.model_copy(update={"sandbox": limits}))
    assert (
        run_step(step(make, tables=("prompts",), settings=("sandbox",)), own).status
        == "same content"
    )
