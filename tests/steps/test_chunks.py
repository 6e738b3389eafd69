"""Steps that are made for each prompt alone:
what is made again, what stays, and what that does to versions.
"""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import tables
from pipeline.engine.base import RequestFailed
from pipeline.steps import PerPrompt, Reads, Step, StepResult, run_step
from pipeline.store import Commit, Lake
from tests.judge.simulated import responses
from tests.runs import ScriptedRun
from tests.steps.toy import SETTINGS, Toy, lake_of, passing, texts, with_seed, write_prompts


def run(lake: Lake, toy: Toy, seed: int = 0) -> str:
    return run_step(toy.step, ScriptedRun(lake, with_seed(seed))).status


def test_a_new_prompt_costs_one_and_those_that_went_take_their_rows_with_them(
    tmp_path: Path,
) -> None:
    lake, toy = lake_of(tmp_path, "a", "b", "c"), Toy()
    assert run(lake, toy) == "written" and toy.asked() == [["a", "b", "c"]]
    assert run(lake, toy) == "up to date" and toy.asked() == []
    write_prompts(lake, "a", "b", "c", "d")
    assert run(lake, toy) == "written" and toy.asked() == [["d"]]
    write_prompts(lake, "b", "d")
    assert run(lake, toy) == "written" and toy.asked() == []
    assert texts(lake) == {"b": "0 7", "d": "0 7"}


def test_a_prompt_whose_rows_changed_is_made_again_alone(tmp_path: Path) -> None:
    lake, toy = lake_of(tmp_path, "a", "b", "c"), Toy()
    run(lake, toy)
    toy.asked()
    write_prompts(lake, "a", "b", "c", b="8")
    assert run(lake, toy) == "written" and toy.asked() == [["b"]]
    assert texts(lake) == {"a": "0 7", "b": "0 8", "c": "0 7"}


def test_a_changed_setting_makes_all_again(tmp_path: Path) -> None:
    lake, toy = lake_of(tmp_path, "a", "b", "c"), Toy()
    run(lake, toy)
    toy.asked()
    assert run(lake, toy, seed=1) == "written" and toy.asked() == [["a", "b", "c"]]
    assert set(texts(lake).values()) == {"1 7"}
    assert run(lake, toy, seed=1) == "up to date"


def test_chunks_have_at_most_their_size_and_are_one_commit(tmp_path: Path) -> None:
    lake, toy = lake_of(tmp_path, *"abcde"), Toy(chunk=2)
    assert run(lake, toy) == "written"
    assert toy.asked() == [["a", "b"], ["c", "d"], ["e"]] and len(texts(lake)) == 5
    assert lake.history("responses").height == 1


def test_a_chunk_that_fails_leaves_the_table_as_it_was(tmp_path: Path) -> None:
    lake, toy = lake_of(tmp_path, "a", "b"), Toy(chunk=1)
    run(lake, toy)
    before = lake.version("responses")
    real = toy.make

    def fail(inputs: object) -> StepResult:
        if len(toy.calls) == 3:  # two calls before, and the first chunk of this run
            raise KeyboardInterrupt
        return real(inputs)  # type: ignore[arg-type]

    toy.make = fail  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run(lake, toy, seed=1)
    assert lake.version("responses") == before and set(texts(lake).values()) == {"0 7"}


def test_a_passing_fault_is_asked_again_and_another_is_not(tmp_path: Path) -> None:
    lake, toy = lake_of(tmp_path, "a", "b", "c"), Toy()
    toy.faults = {"b": passing(), "c": RequestFailed("too long")}
    assert run(lake, toy) == "written"
    told = lake.read("rejects").select("row_id", "prompt_id", "passing").sort("row_id").rows()
    assert told == [("b", "b", True), ("c", "c", False)]
    version = lake.version("responses")
    toy.asked()
    assert run(lake, toy) == "same content" and toy.asked() == [["b"]]
    assert lake.version("responses") == version
    del toy.faults["b"]
    assert run(lake, toy) == "written" and sorted(texts(lake)) == ["a", "b"]
    assert lake.read("rejects")["row_id"].to_list() == ["c"]
    toy.asked()
    assert run(lake, toy) == "up to date" and toy.asked() == []


def test_a_prompt_of_which_only_rejects_are_left_is_not_paid_for_again(tmp_path: Path) -> None:
    lake, toy = lake_of(tmp_path, "a", "b"), Toy()
    toy.faults = {"b": RequestFailed("too long")}
    run(lake, toy)
    toy.asked()
    write_prompts(lake, "a", "b", "c")
    assert run(lake, toy) == "written" and toy.asked() == [["c"]]
    assert lake.read("rejects")["row_id"].to_list() == ["b"]
    assert run(lake, toy, seed=1) == "written" and toy.asked() == [["a", "b", "c"]]


def test_rejects_of_prompts_that_are_not_made_again_stay_and_those_of_lost_prompts_go(
    tmp_path: Path,
) -> None:
    lake, toy = lake_of(tmp_path, "a", "b", "c"), Toy()
    toy.faults = {"b": RequestFailed("too long")}
    run(lake, toy)
    write_prompts(lake, "a", "b", "d")
    run(lake, toy)
    assert lake.read("rejects")["row_id"].to_list() == ["b"]
    write_prompts(lake, "a", "d")
    run(lake, toy)
    assert lake.read("rejects").is_empty()


def test_rows_that_are_made_again_alike_keep_the_tables_version(tmp_path: Path) -> None:
    lake, toy = lake_of(tmp_path, "a", "b"), Toy()
    run(lake, toy)
    version, recipes = lake.version("responses"), set(lake.read("responses")["recipe"])
    lake.write(
        "prompts", lake.read("prompts").with_columns(source=pl.lit("elsewhere")), Commit("test")
    )
    toy.asked()
    assert run(lake, toy) == "same content" and toy.asked() == [["a", "b"]]
    assert lake.version("responses") == version
    # Else the next new prompt would make all again.
    assert not recipes & set(lake.read("responses")["recipe"])
    write_prompts(lake, "a", "b", "c")
    run(lake, toy)


def test_rows_of_an_older_format_are_made_once(tmp_path: Path) -> None:
    lake, toy = lake_of(tmp_path, "a", "b"), Toy()
    lake.write("responses", responses({"a": ["0 7"], "b": ["0 7"]}), Commit("old"))
    assert lake.read("responses")["recipe"].null_count() == 2
    assert run(lake, toy) == "same content" and toy.asked() == [["a", "b"]]
    assert lake.read("responses")["recipe"].null_count() == 0


def test_which_units_of_a_prompt_are_made_counts_though_its_own_rows_are_the_same(
    tmp_path: Path,
) -> None:
    """The first two pairs of all by id are made:
    a prompt that goes makes room for another pair of the next one.
    """
    lake = lake_of(tmp_path, "a", "b")
    draws = responses({"a": ["1"], "b": ["2", "3"]})
    lake.write("responses", draws, Commit("test"))
    made: list[list[str]] = []

    def make(inputs):  # type: ignore[no-untyped-def]
        made.append(inputs.units["response_id"].to_list())
        return StepResult(tables.empty("rationales"))

    def first_two(inputs):  # type: ignore[no-untyped-def]
        return inputs.table("responses").sort("response_id").head(2)

    step = Step(
        "x",
        make,
        Reads(tables=("responses",)),
        "rationales",
        "Toy.",
        "toy",
        per=PerPrompt(first_two),
    )
    run_step(step, ScriptedRun(lake, SETTINGS))
    assert made == [["a-0", "b-0"]]
    lake.write("responses", draws.filter(pl.col("prompt_id") == "b"), Commit("test"))
    run_step(step, ScriptedRun(lake, SETTINGS))
    assert made[1:] == [["b-0", "b-1"]]


NIGHT = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("789"))


@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(nights=st.lists(NIGHT, min_size=2, max_size=4), size=st.integers(1, 3))
def test_after_any_nights_the_table_is_as_if_made_at_once_and_only_changes_were_paid_for(
    nights: list[dict[str, str]], size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake, toy = Lake(tmp_path_factory.mktemp("nights")), Toy(chunk=size)
    before: dict[str, str] = {}
    for night in nights:
        write_prompts(lake, *night, **night)
        run(lake, toy)
        asked = [one for call in toy.asked() for one in call]
        assert sorted(asked) == sorted(one for one in night if before.get(one) != night[one])
        assert texts(lake) == {one: f"0 {answer}" for one, answer in night.items()}
        before = night
    lake.close()
