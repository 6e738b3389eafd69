"""The whole graph through Dagster with the real model:
first run, second run, killed run, wrong input.
"""

import re
import sqlite3
import time
from collections.abc import Callable

import polars as pl
import pytest

from pipeline import tables
from pipeline.store import Lake
from tests.conftest import TINY, Home

MADE = {
    "prompts",
    "responses",
    "tree_nodes",
    "preferences",
    "reference_logps",
    "training_runs",
    "evaluations",
}


def rows(home: Home, table: str) -> pl.DataFrame:
    with Lake(home.path) as lake:
        return lake.read(table)


def test_a_run_fills_every_table_and_prints_the_leaderboard(finished: Home) -> None:
    shown = (finished.path / "first.log").read_text()
    for variant in ("base", "outcome", "tree_plv", "tree_plv_shuffled"):
        assert variant in shown
    assert "report.html" in shown and "make ui" in shown
    for table in tables.TABLES:
        # the others belong to variants that this profile lacks
        if table in MADE | {"metrics", "comparisons", "leaderboard", "usage"}:
            assert rows(finished, table).height > 0, table
    board = rows(finished, "leaderboard")
    assert board["n_pairs"].filter(board["variant"] != "base").n_unique() == 1  # equal budgets
    html = (finished.path / "report.html").read_text()
    assert "Leaderboard" in html and "http://" not in html.replace("http://www.w3.org", "")


def test_trees_are_whole_and_their_values_are_their_rollouts(finished: Home) -> None:
    nodes = rows(finished, "tree_nodes")
    counted = (
        nodes.filter(pl.col("kind") == "rollout")
        .group_by("parent_id")
        .agg(n=pl.len(), right=pl.col("correct").sum())
    )
    steps = nodes.filter((pl.col("kind") == "step") & ~pl.col("terminal"))
    joined = steps.join(counted, left_on="node_id", right_on="parent_id", how="left")
    assert joined.height > 0
    assert (joined["n"] == joined["n_rollouts"]).all() and (
        joined["right"] == joined["n_correct"]
    ).all()
    parents = nodes.join(
        nodes.select(node_id="node_id"), left_on="parent_id", right_on="node_id", how="anti"
    )
    assert set(parents["kind"]) == {"root"}


def test_no_test_prompt_is_in_any_training_data(finished: Home) -> None:
    test_ids = set(rows(finished, "prompts").filter(pl.col("split") == "test")["prompt_id"])
    for table in ("responses", "tree_nodes", "preferences"):
        assert not test_ids & set(rows(finished, table)["prompt_id"]), table
    answered = rows(finished, "evaluations").filter(pl.col("metric") == "accuracy")
    assert set(answered["unit_id"]) == test_ids


def test_a_second_run_samples_trains_and_writes_nothing(finished: Home) -> None:
    before = {table: rows(finished, table) for table in tables.TABLES}
    with Lake(finished.path) as lake:
        versions = {table: lake.version(table) for table in tables.TABLES}
    start = time.monotonic()
    again = finished.orchard("run", "--profile", str(TINY))
    assert again.returncode == 0, again.stderr[-2000:]
    assert time.monotonic() - start < 60
    assert "train" not in again.stderr and "responses:" not in again.stderr
    with Lake(finished.path) as lake:
        assert {table: lake.version(table) for table in tables.TABLES} == versions
    assert all(rows(finished, table).equals(before[table]) for table in tables.TABLES)


def test_sql_answers_and_refuses_to_write(finished: Home) -> None:
    counted = finished.orchard("sql", "SELECT count(*) AS n FROM preferences")
    assert counted.returncode == 0 and re.search(
        rf"\b{rows(finished, 'preferences').height}\b", counted.stdout
    )
    wrong = finished.orchard("sql", "SELECT nothing FROM preferences")
    assert (
        wrong.returncode == 1
        and wrong.stderr.startswith("orchard: ")
        and wrong.stderr.count("\n") == 1
    )
    assert finished.orchard("sql", "DELETE FROM preferences").returncode == 1
    assert finished.orchard("tables").returncode == 0
    assert "tree_plv" in finished.orchard("sql", "pairs_per_depth.sql").stdout
    assert finished.orchard("sql", "nothing.sql").stderr.startswith(
        "orchard: no file 'nothing.sql'"
    )


def test_a_killed_run_loses_nothing_and_the_next_one_finishes(
    finished: Home, new_home: Callable[[], Home]
) -> None:
    home = new_home()
    run = home.start("run", "--profile", str(TINY))
    cache = home.path / "cache" / "completions.sqlite"
    kept = _wait_for_completions(cache, 60)
    run.kill()
    run.wait()
    again = home.orchard("run", "--profile", str(TINY))
    assert again.returncode == 0, again.stderr[-2000:]
    hits = sum(int(n) for n in re.findall(r"(\d+) from the cache", again.stderr))
    assert hits >= kept
    # What the prompts ask for does not depend on the kill; texts may differ by rounding within a
    # batch.
    assert rows(home, "prompts").equals(rows(finished, "prompts"))
    assert (
        rows(home, "responses")["response_id"]
        .sort()
        .equals(rows(finished, "responses")["response_id"].sort())
    )


def test_an_interrupted_run_ends_soon_and_says_how_to_go_on(new_home: Callable[[], Home]) -> None:
    home = new_home()
    run = home.start("run", "--profile", str(TINY))
    _wait_for_completions(home.path / "cache" / "completions.sqlite", 20)
    run.terminate()
    _, shown = run.communicate(timeout=60)
    assert run.returncode == 1
    assert (
        shown.strip()
        .splitlines()[-1]
        .endswith("the run was interrupted: start it again, it goes on where it was")
    )


def test_a_budget_ends_the_run_in_one_line_and_its_cost_is_on_record(
    new_home: Callable[[], Home],
) -> None:
    home = new_home()
    profile = home.path / "poor.yaml"
    profile.write_text(TINY.read_text() + "budget: {tokens: 400, price_per_million_tokens: 2.0}\n")
    ended = home.orchard("run", "--profile", str(profile))
    assert ended.returncode == 1
    last = ended.stderr.strip().splitlines()[-1]
    assert re.fullmatch(
        r"orchard: responses: budget reached: \d+ of 400 sampled tokens; "
        r"what was sampled is kept: .*",
        last,
    )
    asked = rows(home, "usage").filter(pl.col("requests") + pl.col("cache_hits") > 0)
    (row,) = asked.to_dicts()
    assert row["step"] == "responses" and not row["finished"]
    assert (
        row["price"] == pytest.approx(row["sampled_tokens"] * 2e-6)
        and 400 <= row["sampled_tokens"] < 2000
    )
    kept = home.orchard("cache", "stats").stdout
    assert re.search(r"^[1-9]\d* completions, ", kept, re.MULTILINE)
    assert "all sound" in home.orchard("cache", "verify").stdout
    assert home.orchard("cache", "prune").returncode == 1  # says what is missing
    assert home.orchard("cache", "prune", "--days", "0").returncode == 0


def _wait_for_completions(cache: object, n: int) -> int:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            db = sqlite3.connect(f"file:{cache}?mode=ro", uri=True)
            found = int(db.execute("SELECT count(*) FROM completions").fetchone()[0])
            db.close()
            if found >= n:
                return found
        except sqlite3.OperationalError:
            time.sleep(0.05)  # not made yet
        time.sleep(0.05)
    raise AssertionError("nothing was sampled within two minutes")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("variants: [outcome, tree]", "unknown variant 'tree'"),
        ("seeds: []", "training.seeds"),
    ],
)
def test_a_wrong_profile_is_one_line_and_a_non_zero_exit(
    new_home: Callable[[], Home], change: str, says: str
) -> None:
    home = new_home()
    profile = home.path / "wrong.yaml"
    section = "validation: {" if "variants" in change else "training: {"
    text = TINY.read_text().replace(section, section + change + ", ")
    profile.write_text(text)
    failed = home.orchard("run", "--profile", str(profile))
    assert failed.returncode == 1
    last = failed.stderr.strip().splitlines()[-1]
    assert last.startswith("orchard: ") and says in last
