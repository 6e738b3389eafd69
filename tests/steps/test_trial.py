"""A few prompts through a step beside the lake, and what a run is said to cost before it starts."""

from pathlib import Path

import polars as pl
import pytest

from assets.steps import GRAPH
from pipeline import config, tables
from pipeline.errors import OrchardError
from pipeline.ids import unit_for
from pipeline.steps import RunContext, rates
from pipeline.steps.plan import Plan, plan
from pipeline.steps.rates import Rate
from pipeline.steps.trial import few, tried
from pipeline.store import Commit, Lake
from tests.steps import world


@pytest.fixture
def settings(tmp_path: Path) -> config.Settings:
    (tmp_path / "files").mkdir()
    named = ["outcome", "tree_plv", "osp"]
    pairs = {"variants": named, "max_pairs": 4, "draws": 2, "bootstrap": 200}
    return config.load(str(world.profile(tmp_path / "files", validation=pairs)))


def opened(settings: config.Settings, home: Path) -> world.Room:
    return world.Room()


def said(settings: config.Settings, home: Path) -> Plan:
    with Lake(home) as lake:
        return plan(GRAPH, RunContext(settings, lake, world.Room(), home, "plan", GRAPH))  # type: ignore[arg-type]


def test_a_few_prompts_of_every_pool_are_taken_by_hash() -> None:
    rows = pl.DataFrame(
        {
            "prompt_id": [f"p{i}" for i in range(90)],
            "pool": ["large"] * 80 + ["small"] * 10,
            "split": (["train"] * 8 + ["validation", "test"]) * 9,
        }
    )
    found = few(rows, 4)
    assert found.group_by("split").len().sort("split").rows() == [
        ("test", 1), ("train", 4), ("validation", 1),
    ]  # fmt: skip
    train = found.filter(pl.col("split") == "train")
    assert train.group_by("pool").len().sort("pool").rows() == [("large", 2), ("small", 2)]
    large = rows.filter(pl.col("split") == "train", pl.col("pool") == "large")["prompt_id"]
    first = sorted(large, key=lambda one: unit_for("preview", one))[:2]
    assert set(first) <= set(found["prompt_id"])
    assert set(few(rows.reverse(), 4)["prompt_id"]) == set(found["prompt_id"])
    assert set(found["prompt_id"]) <= set(few(rows, 8)["prompt_id"])


def test_a_preview_makes_what_the_step_needs_and_leaves_the_lake_alone(
    settings: config.Settings, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    with Lake(home) as lake:
        before = lake.sql("SELECT count(*) AS n FROM commits").item()
    step = GRAPH.steps["preferences"]
    found = tried(GRAPH, step, "outcome", settings, home, 8, opened)  # type: ignore[arg-type]
    # Pairs to rank are read first: none of their conversations is learned from.
    assert found.made == ["source_pairs ranked", "prompts", "responses", "preferences outcome"]
    assert found.rows["variant"].unique().to_list() == ["outcome"]
    assert found.rows["prompt_id"].n_unique() <= 8 + 2
    with Lake(home) as lake:
        assert lake.sql("SELECT count(*) AS n FROM commits").item() == before
    assert not (home / "preview").exists()
    assert found.rates["responses"].prompts == 10 and found.rates["responses"].rows >= 30
    assert (home / "cache").is_dir()

    with pytest.raises(OrchardError, match="report makes no table: it cannot be previewed"):
        tried(GRAPH, GRAPH.steps["report"], None, settings, home, 8, opened)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("step", "idle"),
    [
        ("rationales", "rationales"),
        ("permuted_rationales", "rationales"),
        ("instructions", "instructions"),
        ("unpaired", "it"),
        ("preference_lists", "it"),
    ],
)
def test_what_no_variant_needs_cannot_be_previewed(
    settings: config.Settings, tmp_path: Path, step: str, idle: str
) -> None:
    says = f"^{step}: no variant of the profile needs {idle}: name one"
    with pytest.raises(OrchardError, match=says):
        tried(GRAPH, GRAPH.steps[step], None, settings, tmp_path / "home", 3, opened)  # type: ignore[arg-type]


def test_what_was_erased_or_imported_is_there_in_a_preview_too(
    settings: config.Settings, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    step = GRAPH.steps["prompts"]
    found = tried(GRAPH, step, None, settings, home, 3, opened)  # type: ignore[arg-type]
    gone = found.rows["prompt_id"].to_list()
    with Lake(home) as lake:
        rows = [{"id": one, "erased_on": "2026-01-01", "erasure_id": "e"} for one in gone]
        erased = pl.DataFrame(rows, schema=tables.empty("erased_ids").schema)
        lake.write("erased_ids", erased, Commit("e"))
    again = tried(GRAPH, step, None, settings, home, 3, opened)  # type: ignore[arg-type]
    assert again.rows.height == len(gone) and not set(again.rows["prompt_id"]) & set(gone)
    refused = again.rejects["reason"].str.ends_with("erased on 2026-01-01").sum()
    assert refused == len(gone)


def test_a_plan_of_a_new_home_names_all_steps_and_what_a_preview_measured(
    settings: config.Settings, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    first = {one.name: one for one in said(settings, home).to_make}
    assert {"prompts", "responses", "tree_nodes", "preferences outcome", "leaderboard"} <= set(
        first
    )
    assert first["tree_nodes"].prompts == 24  # trees.max_prompts
    assert 24 < first["responses"].prompts < first["prompts"].prompts  # none of test prompts
    assert first["responses"].measured is None and first["responses"].asks

    rates.keep(home, {"responses": Rate(10, 40, 2000, 20, 4.0, 99.0, 40, 8000)})
    second = {one.name: one for one in said(settings, home).to_make}["responses"]
    assert second.measured == "preview"
    share = second.prompts / 10  # for the rate's ten prompts: 40 requests, all asked would be 8 s
    assert second.requests == round(40 * share) and second.tokens == round(2000 * share)
    assert second.seconds == pytest.approx(8 * share) and second.bytes == round(8000 * share)


def test_a_plan_after_a_run_is_empty_and_new_prompts_cost_what_is_new(
    settings: config.Settings, tmp_path: Path
) -> None:
    home, path = tmp_path / "home", tmp_path / "files" / "world.yaml"
    with world.opened(home, path) as run:
        world.run_all(run)
    done = said(settings, home)
    assert done.to_make == [] and "leaderboard" in done.up_to_date

    (pool, *others) = settings.pools
    more = settings.model_copy(update={"pools": (pool.model_copy(update={"size": 70}), *others)})
    found = {one.name: one for one in said(more, home).to_make}
    assert 0 < found["prompts"].prompts <= 10  # repeats are none
    assert 0 < found["responses"].prompts <= found["prompts"].prompts
    assert found["responses"].measured == "run"
    assert found["responses"].rows and found["responses"].rows <= 40
    other = settings.model_copy(
        update={"preferences": settings.preferences.model_copy(update={"margin": 0.5})}
    )
    names = {one.name for one in said(other, home).to_make}
    assert "responses" not in names and "preferences tree_plv" in names
    assert {"leaderboard"} <= names


def test_rates_that_are_no_file_of_ours_are_none(tmp_path: Path) -> None:
    assert rates.kept(tmp_path) == {}
    rates.keep(tmp_path, {"a": Rate(1, 2, 3, 4, 5.0, 6.0, 7, 8)})
    rates.keep(tmp_path, {"b": Rate(1, 2, 3, 4, 5.0, 6.0, 7, 8)})
    assert set(rates.kept(tmp_path)) == {"a", "b"}
    (tmp_path / rates.FILE).write_text('{"a": {"prompts": 1}}')
    assert rates.kept(tmp_path) == {}
