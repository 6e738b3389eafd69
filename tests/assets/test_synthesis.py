"""The asset `instructions`, the pairs made from it, and its check for overlap, in a lake without an engine."""

from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from assets.checks import no_test_prompt_in_synthesis
from assets.preferences import preferences
from assets.synthesis import instructions
from assets.variants import RANGE
from assets.workshop import Workshop
from pipeline import tables
from pipeline.engine.model import Model
from pipeline.engine.rendering import Renderer
from pipeline.store import Commit, Lake

RIVERS = "Which long rivers rise in the mountains and end in the northern sea without ever passing a town?"
BREAD = "How does a baker know that the dough for tomorrow has rested for as long as it should?"


def fill(home: Path) -> None:
    prompts = [
        {
            "prompt_id": name, "pool": "x", "task": "x", "split": split, "answer": None, "verifier": None,
            "messages": [{"role": "user", "content": question}], "metadata": None, "source": "test",
            "licence": "none",
        }
        for name, split, question in (("p1", "train", RIVERS), ("p2", "train", BREAD), ("t", "test", RIVERS))
    ]  # fmt: skip
    responses = [
        {
            "response_id": f"r{i}", "prompt_id": f"p{1 + i % 2}", "policy_id": "m", "on_policy": True, "draw": i,
            "sampling": "{}", "text": text, "tokens": 9, "prompt_tokens": 1, "logprob_mean": -1.0,
            "finish_reason": "stop", "answer": None, "correct": None,
        }
        for i, text in enumerate(["The old river rises there, and ends here.", "Nobody knows. Ask a teacher!", "Yes"])
    ]  # fmt: skip
    with Lake(home) as lake:
        lake.write("prompts", pl.DataFrame(prompts, schema=tables.empty("prompts").schema), Commit("test"))
        lake.write("responses", pl.DataFrame(responses, schema=tables.empty("responses").schema), Commit("test"))


def profile(home: Path, variants: str) -> Workshop:
    path = home / "p.yaml"
    path.write_text(f"pools: [{{name: x, size: 1}}]\nvalidation: {{variants: [{variants}]}}\n")
    return Workshop(profile=str(path))


def test_prompts_pairs_rejects_and_the_overlap_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path))
    monkeypatch.setattr(Workshop, "base", Model(tmp_path, "m@0"))
    monkeypatch.setattr(Renderer, "length", lambda self, text: len(text))  # no tokenizer: a token is a character
    fill(tmp_path)
    shop = profile(tmp_path, "mapl_intra, mapl_shuffled")
    done = dg.materialize(
        [instructions, preferences, no_test_prompt_in_synthesis], resources={"shop": shop}, tags=RANGE
    )
    assert done.success
    with Lake(tmp_path) as lake:
        assert lake.read("instructions")["response_id"].sort().to_list() == ["r0", "r1"]
        assert lake.read("rejects")["reason"].to_list() == ["a response of 1 words has nothing to instruct about"]
        pairs = lake.read("preferences")
    assert pairs.height == 4 and pairs["pair_id"].n_unique() == 4
    # p1 asks what the test prompt t asks: both of its synthetic prompts are reported, and those of p2 are not
    (check,) = done.get_asset_check_evaluations()
    assert not check.passed and check.severity == dg.AssetCheckSeverity.WARN
    assert check.metadata["overlaps"].value == 2 and check.metadata["test_prompts"].value == 1


def test_nothing_is_made_where_no_variant_uses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path))
    fill(tmp_path)
    done = dg.materialize([instructions], resources={"shop": profile(tmp_path, "outcome")})
    (made,) = done.asset_materializations_for_node("instructions")
    assert made.metadata["status"].value == "no variant of this profile uses it"
