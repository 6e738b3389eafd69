"""The step `instructions`, the pairs made from it, and its check for overlap,
in a lake without an engine.
"""

from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from assets.checks import (
    no_test_code_in_synthesis,
    no_test_prompt_among_prompts,
    no_test_prompt_in_synthesis,
    no_test_prompt_in_training,
)
from assets.run import Run
from assets.variants import KEYS, span
from pipeline import tables
from pipeline.store import Commit, Lake
from pipeline.verify.instructions import read
from tests.runs import materialise
from tests.synthesis.test_rewording import Rewriter

RIVERS = (
    "Which long rivers rise in the mountains and end "
    "in the northern sea without ever passing a town?"
)
BREAD = "How does a baker know that the dough for tomorrow has rested for as long as it should?"


def fill(home: Path) -> None:
    prompts = [
        {
            "prompt_id": name, "pool": "x", "task": "x", "split": split, "answer": None,
            "verifier": None,
            "messages": [{"role": "user", "content": question}], "metadata": None, "source": "test",
            "licence": "none",
        }
        for name, split, question in (("p1", "train", RIVERS), ("p2", "train", BREAD),
                                      ("t", "test", RIVERS))
    ]  # fmt: skip
    responses = [
        {
            "response_id": f"r{i}", "prompt_id": f"p{1 + i % 2}", "policy_id": "m",
            "on_policy": True, "draw": i,
            "sampling": "{}", "text": text, "tokens": 9, "prompt_tokens": 1, "logprob_mean": -1.0,
            "finish_reason": "stop", "answer": None, "correct": None,
        }
        for i, text in enumerate(
            ["The old river rises there, and ends here.", "Nobody knows. Ask a teacher!", "Yes",
             "By touching it with a finger: when the dent stays, it has rested.",
             "Two of them do, says the map."]
        )
    ]  # fmt: skip
    with Lake(home) as lake:
        lake.write(
            "prompts", pl.DataFrame(prompts, schema=tables.empty("prompts").schema), Commit("test")
        )
        lake.write(
            "responses",
            pl.DataFrame(responses, schema=tables.empty("responses").schema),
            Commit("test"),
        )


def profile(home: Path, variants: str, more: str = "") -> Path:
    path = home / "p.yaml"
    path.write_text(
        f"pools: [{{name: x, size: 1}}]\nvalidation: {{variants: [{variants}]}}\n{more}\n"
    )
    return path


def test_prompts_pairs_rejects_and_the_overlap_table(tmp_path: Path) -> None:
    fill(tmp_path)
    path = profile(tmp_path, "mapl_intra, mapl_shuffled")
    names = ["instructions", "preferences"]
    done = materialise(tmp_path, path, names, checks=[no_test_prompt_in_synthesis], tags=span(KEYS))
    assert done.success
    with Lake(tmp_path) as lake:
        assert lake.read("instructions")["response_id"].sort().to_list() == ["r0", "r1", "r3", "r4"]
        assert lake.read("rejects")["reason"].to_list() == [
            "a response of 1 words has nothing to instruct about"
        ]
        pairs = lake.read("preferences")
    assert pairs.height == 8 and pairs["pair_id"].n_unique() == 8
    # p1 asks what the test prompt t asks: its two synthetic prompts, of both rows, are reported;
    # those of p2 are not
    (check,) = done.get_asset_check_evaluations()
    assert not check.passed and check.severity == dg.AssetCheckSeverity.WARN
    assert check.metadata["overlaps"].value == 4 and check.metadata["test_prompts"].value == 1


def test_with_rewording_the_model_is_asked_and_what_keeps_its_template_is_counted(
    tmp_path: Path,
) -> None:
    engine = Rewriter(lambda text: "Please: " + text if "word" in text else "I cannot.")
    fill(tmp_path)
    path = profile(tmp_path, "mapl_intra", "mapl: {reword: true, max_instructions: 6}")
    done = materialise(tmp_path, path, ["instructions"], engine)
    (made,) = done.asset_materializations_for_node("instructions")
    with Lake(tmp_path) as lake:
        rows = lake.read("instructions")
    kept = sum(
        int(v.value) for name, v in made.metadata.items() if name.startswith("kept its template")
    )  # type: ignore[arg-type]
    n = sum(len(read(each)) for each in rows["instructions"])
    assert made.metadata["reworded_instructions"].value == rows["reworded"].sum() > 0
    assert kept + rows["reworded"].sum() == n and len(engine.calls) == n
    assert rows["tokens"].sum() == engine.usage.sampled_tokens


def test_nothing_is_made_where_no_variant_uses_it(tmp_path: Path) -> None:
    fill(tmp_path)
    done = materialise(tmp_path, profile(tmp_path, "outcome"), ["instructions"])
    (made,) = done.asset_materializations_for_node("instructions")
    assert made.metadata["status"].value == "no variant of this profile uses it"


def check_of(check: dg.AssetChecksDefinition, home: Path) -> dg.AssetCheckResult:
    """A check's result on the lake as it stands."""
    run = Run(profile=str(profile(home, "outcome")))
    with run.yield_for_execution(dg.build_init_resource_context()):
        found = check(run=run)
    assert isinstance(found, dg.AssetCheckResult)
    return found


def test_training_on_a_test_prompt_is_stopped_wherever_the_prompt_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path))
    fill(tmp_path)  # p1 asks what the test prompt t asks
    early = check_of(no_test_prompt_among_prompts, tmp_path)
    assert not early.passed and early.metadata["overlaps"].value == 1
    assert "take one of each out of its pool" in (early.description or "")
    pair = {
        "pair_id": "x", "prompt_id": "p2", "variant": "v", "level": "prompt", "method": "m",
        "split": "train",
        "depth": 0, "messages": [{"role": "user", "content": BREAD}], "prefix": "", "chosen": "a",
        "rejected": "b",
        "chosen_ends": True, "rejected_ends": True, "chosen_id": "a", "rejected_id": "b",
        "weight": 1.0, "flipped": False, "policy_id": "m",
    }  # fmt: skip
    worse = [{"role": "user", "content": RIVERS.upper() + "\n\nIn addition:\n- Use 3 commas."}]
    schema = tables.empty("preferences").schema
    for more, passed in (({}, True), ({"rejected_messages": worse}, False)):
        with Lake(tmp_path) as lake:
            lake.write(
                "preferences", pl.DataFrame([{**pair, **more}], schema=schema), Commit("test")
            )
        found = check_of(no_test_prompt_in_training, tmp_path)
        assert (found.passed, found.metadata["overlaps"].value) == (passed, 0 if passed else 1)
        # both contexts of the one pair
        assert found.metadata["trained_prompts"].value == 1 + len(more)


def test_code_that_repeats_a_test_programs_reference_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path))
    program = "def f(n):\n    return [k * k for k in range(n) if k % 2 == 0 and k > 10]"
    prompt = {
        "prompt_id": "t", "pool": "x", "task": "x", "split": "test", "answer": program,
        "verifier": "code",
        "messages": [{"role": "user", "content": "Square some numbers."}], "metadata": None,
        "source": "s", "licence": "MIT",
    }  # fmt: skip
    made = {
        "code_pair_id": "c", "method": "recorded", "prompt_id": "p", "split": "train",
        "instruction": "Other.",
        "messages": [{"role": "user", "content": "Say something else entirely."}],
        "naive": "def f(n):\n    return 0",
        "improved": program + "  # mine", "source": "s", "licence": "MIT", "policy_id": "x",
        "draft_id": "x",
        "tokens": 0, "naive_findings": 0, "improved_findings": 0, "security_margin": 0.0,
    }  # fmt: skip
    with Lake(tmp_path) as lake:
        lake.write(
            "prompts", pl.DataFrame([prompt], schema=tables.empty("prompts").schema), Commit("test")
        )
        lake.write(
            "code_pairs",
            pl.DataFrame([made], schema=tables.empty("code_pairs").schema),
            Commit("test"),
        )
    found = check_of(no_test_code_in_synthesis, tmp_path)
    assert not found.passed and found.severity == dg.AssetCheckSeverity.WARN
    assert found.metadata["overlaps"].value == 1 and "c.improved" in str(
        found.metadata["table"].value
    )
