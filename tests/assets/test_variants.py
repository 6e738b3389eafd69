"""Variants as partitions: one at a time or all in one run, and the profile's own among them."""

import runpy
from pathlib import Path

import dagster as dg
import pytest

from assets import variants
from assets.checks import no_test_prompt_in_training
from assets.variants import KEYS, span
from pipeline.store import Commit, Lake
from tests.preferences.test_build import frame
from tests.runs import materialise

NAMES = ["preferences"]
OWN = "variants: [{name: mine, sql: mine.sql}]"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    prompt = {
        "pool": "x", "task": "x", "split": "train", "answer": "7", "verifier": "number",
        "source": "test", "licence": "none",
    }  # fmt: skip
    response = {
        "policy_id": "m", "on_policy": True, "draw": 0, "sampling": "{}", "tokens": 1,
        "prompt_tokens": 1, "logprob_mean": -1.0, "finish_reason": "stop",
    }  # fmt: skip
    prompts = [
        {"prompt_id": f"p{i}", "messages": [{"role": "user", "content": f"{i}"}]} for i in range(6)
    ]
    responses = [
        {"response_id": f"r{i}{text}", "prompt_id": f"p{i}", "text": text, "correct": text == "7"}
        for i in range(6)
        for text in ("7", "8")
    ]
    with Lake(tmp_path) as lake:
        lake.write("prompts", frame("prompts", prompts, **prompt), Commit("test"))
        lake.write("responses", frame("responses", responses, **response), Commit("test"))
    (tmp_path / "mine.sql").write_text(
        "SELECT a.prompt_id, a.text AS chosen, b.text AS rejected "
        "FROM responses a JOIN responses b USING (prompt_id) "
        "WHERE a.correct AND NOT b.correct AND prompt_id < 'p4'"
    )
    return tmp_path


def profile(home: Path, named: str, more: str = "") -> Path:
    path = home / "p.yaml"
    path.write_text(f"pools: [{{name: x, size: 1}}]\nvalidation: {{variants: [{named}]}}\n{more}\n")
    return path


def counts(home: Path) -> dict[str, int]:
    with Lake(home) as lake:
        return dict(
            lake.sql("SELECT variant, count(*) FROM preferences GROUP BY 1 ORDER BY 1").iter_rows()
        )


def statuses(done: dg.ExecuteInProcessResult, name: str = "preferences") -> dict[str, str]:
    assert done.success
    events = done.asset_materializations_for_node(name)
    return {
        str(e.partition): str(e.metadata["status"].value) for e in events if "status" in e.metadata
    }


def test_one_variant_is_made_alone_and_a_run_of_all_makes_the_rest(home: Path) -> None:
    both = profile(home, "outcome, outcome_shuffled")
    assert statuses(materialise(home, both, NAMES, partition_key="outcome")) == {
        "outcome": "written"
    }
    assert counts(home) == {"outcome": 6}
    made = statuses(
        materialise(home, both, NAMES, checks=[no_test_prompt_in_training], tags=span(KEYS))
    )
    assert made == {"outcome": "up to date", "outcome_shuffled": "written"}
    assert counts(home) == {"outcome": 6, "outcome_shuffled": 6}
    again = statuses(materialise(home, both, NAMES, tags=span(KEYS)))
    assert set(again.values()) == {"up to date"}


def test_a_variant_that_the_profile_no_longer_names_leaves_the_table(home: Path) -> None:
    materialise(home, profile(home, "outcome, outcome_shuffled"), NAMES, tags=span(KEYS))
    materialise(home, profile(home, "outcome"), NAMES, tags=span(KEYS))
    assert counts(home) == {"outcome": 6}
    back = profile(home, "outcome, outcome_shuffled")
    made = statuses(materialise(home, back, NAMES, tags=span(KEYS)))
    assert made == {"outcome": "up to date", "outcome_shuffled": "written"}


def test_a_profiles_own_variant_is_a_new_partition_and_follows_its_query(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = profile(home, "outcome, mine, mine_shuffled", OWN)
    monkeypatch.setenv("ORCHARD_PROFILE", str(own))
    # as Dagster does when it loads the definitions
    loaded = runpy.run_path(str(Path(variants.__file__)))
    keys, tags = loaded["KEYS"], loaded["RANGE"]
    assert sorted(key for key in keys if key not in KEYS) == ["mine", "mine_shuffled"]
    more = {"variants": dg.StaticPartitionsDefinition(keys), "tags": tags}
    done = materialise(home, own, NAMES, **more)
    assert statuses(done)["mine"] == "written"
    shown = {event.partition for event in done.asset_materializations_for_node("preferences")}
    # and no partition that the run made nothing of
    assert shown == {"outcome", "mine", "mine_shuffled"}
    assert counts(home) == {"mine": 4, "mine_shuffled": 4, "outcome": 6}
    (home / "mine.sql").write_text((home / "mine.sql").read_text().replace("'p4'", "'p2'"))
    made = statuses(materialise(home, own, NAMES, **more))
    assert made == {"mine": "written", "mine_shuffled": "written", "outcome": "up to date"}
    assert counts(home) == {"mine": 2, "mine_shuffled": 2, "outcome": 6}


def test_a_variant_that_treats_another_is_made_after_it_in_one_run_and_follows_it(
    home: Path,
) -> None:
    more = "variants: [{name: train_too, source: outcome, loss: ipo}]"
    own = profile(home, "train_too", more)
    keys = dg.StaticPartitionsDefinition(["outcome", "train_too"])
    names = ["treated_preferences", "preferences"]
    done = materialise(home, own, names, variants=keys, tags=span(["outcome", "train_too"]))
    assert statuses(done) == {"outcome": "written"}
    assert statuses(done, "treated_preferences") == {"train_too": "written"}
    assert counts(home) == {"outcome": 6, "train_too": 6}
    with Lake(home) as lake:
        rest = lake.read("responses").filter(prompt_id="p0")
        lake.write("responses", rest, Commit("test"))
    done = materialise(home, own, names, variants=keys, tags=span(["outcome", "train_too"]))
    assert statuses(done, "treated_preferences") == {"train_too": "written"}
    assert counts(home) == {"outcome": 1, "train_too": 1}
