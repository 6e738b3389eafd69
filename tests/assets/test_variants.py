"""Variants as partitions: one at a time or all in one run, and the profile's own among them."""

import runpy
from pathlib import Path

import dagster as dg
import pytest
from assets.workshop import Workshop

from assets import variants
from assets.checks import no_test_prompt_in_training
from assets.preferences import preferences
from assets.variants import KEYS, span
from pipeline.engine.model import Model
from pipeline.engine.rendering import Renderer
from pipeline.store import Commit, Lake
from tests.preferences.test_build import frame

OWN = "variants: [{name: mine, sql: mine.sql}]"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path))
    monkeypatch.setattr(Workshop, "base", Model(tmp_path, "m@0"))
    monkeypatch.setattr(Renderer, "length", lambda self, text: len(text))  # no tokenizer: a token is a character
    prompt = {
        "pool": "x", "task": "x", "split": "train", "answer": "7", "verifier": "number", "source": "test",
        "licence": "none",
    }  # fmt: skip
    response = {
        "policy_id": "m", "on_policy": True, "draw": 0, "sampling": "{}", "tokens": 1, "prompt_tokens": 1,
        "logprob_mean": -1.0, "finish_reason": "stop",
    }  # fmt: skip
    prompts = [{"prompt_id": f"p{i}", "messages": [{"role": "user", "content": f"{i}"}]} for i in range(6)]
    responses = [
        {"response_id": f"r{i}{text}", "prompt_id": f"p{i}", "text": text, "correct": text == "7"}
        for i in range(6)
        for text in ("7", "8")
    ]
    with Lake(tmp_path) as lake:
        lake.write("prompts", frame("prompts", prompts, **prompt), Commit("test"))
        lake.write("responses", frame("responses", responses, **response), Commit("test"))
    (tmp_path / "mine.sql").write_text(
        "SELECT a.prompt_id, a.text AS chosen, b.text AS rejected FROM responses a JOIN responses b USING (prompt_id) "
        "WHERE a.correct AND NOT b.correct AND prompt_id < 'p4'"
    )
    return tmp_path


def shop(home: Path, named: str, more: str = "") -> Workshop:
    (home / "p.yaml").write_text(f"pools: [{{name: x, size: 1}}]\nvalidation: {{variants: [{named}]}}\n{more}\n")
    return Workshop(profile=str(home / "p.yaml"))


def partitioned(keys: list[str]) -> dg.AssetsDefinition:
    """The asset `preferences` with other partitions than those of the profile that this process has loaded."""

    @dg.asset(
        name="preferences",
        partitions_def=dg.StaticPartitionsDefinition(keys),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def made(context: dg.AssetExecutionContext, shop: Workshop) -> None:
        preferences.op.compute_fn.decorated_fn(context, shop)  # type: ignore[union-attr]

    return made


def counts(home: Path) -> dict[str, int]:
    with Lake(home) as lake:
        return dict(lake.sql("SELECT variant, count(*) FROM preferences GROUP BY 1 ORDER BY 1").iter_rows())


def statuses(done: dg.ExecuteInProcessResult) -> dict[str, str]:
    assert done.success
    events = done.asset_materializations_for_node("preferences")
    return {str(e.partition): str(e.metadata["status"].value) for e in events if "status" in e.metadata}


def test_one_variant_is_made_alone_and_a_run_of_all_makes_the_rest(home: Path) -> None:
    both = {"shop": shop(home, "outcome, outcome_shuffled")}
    assert statuses(dg.materialize([preferences], partition_key="outcome", resources=both)) == {"outcome": "written"}
    assert counts(home) == {"outcome": 6}
    made = statuses(dg.materialize([preferences, no_test_prompt_in_training], resources=both, tags=span(KEYS)))
    assert made == {"outcome": "up to date", "outcome_shuffled": "written"}
    assert counts(home) == {"outcome": 6, "outcome_shuffled": 6}
    again = statuses(dg.materialize([preferences], resources=both, tags=span(KEYS)))
    assert set(again.values()) == {"up to date"}


def test_a_variant_that_the_profile_no_longer_names_leaves_the_table(home: Path) -> None:
    dg.materialize([preferences], resources={"shop": shop(home, "outcome, outcome_shuffled")}, tags=span(KEYS))
    dg.materialize([preferences], resources={"shop": shop(home, "outcome")}, tags=span(KEYS))
    assert counts(home) == {"outcome": 6}
    back = {"shop": shop(home, "outcome, outcome_shuffled")}
    made = statuses(dg.materialize([preferences], resources=back, tags=span(KEYS)))
    assert made == {"outcome": "up to date", "outcome_shuffled": "written"}


def test_a_profiles_own_variant_is_a_new_partition_and_follows_its_query(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = shop(home, "outcome, mine, mine_shuffled", OWN)
    monkeypatch.setenv("ORCHARD_PROFILE", own.profile)
    loaded = runpy.run_path(str(Path(variants.__file__)))  # as Dagster does when it loads the definitions
    keys, tags = loaded["KEYS"], loaded["RANGE"]
    assert sorted(key for key in keys if key not in KEYS) == ["mine", "mine_shuffled"]
    asset = partitioned(keys)
    done = dg.materialize([asset], resources={"shop": own}, tags=tags)
    assert statuses(done)["mine"] == "written"
    shown = {event.partition for event in done.asset_materializations_for_node("preferences")}
    assert shown == {"outcome", "mine", "mine_shuffled"}  # and no partition that the run made nothing of
    assert counts(home) == {"mine": 4, "mine_shuffled": 4, "outcome": 6}
    (home / "mine.sql").write_text((home / "mine.sql").read_text().replace("'p4'", "'p2'"))
    made = statuses(dg.materialize([asset], resources={"shop": own}, tags=tags))
    assert made == {"mine": "written", "mine_shuffled": "written", "outcome": "up to date"}
    assert counts(home) == {"mine": 2, "mine_shuffled": 2, "outcome": 6}
