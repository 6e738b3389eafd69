"""Pools whose rows carry instructions, in IFEval's form."""

import json
from pathlib import Path

import pytest

from pipeline.config import PoolSettings, Settings
from pipeline.errors import OrchardError
from pipeline.prompts import load_pools
from pipeline.verify import verify


def settings(path: Path) -> Settings:
    pool = PoolSettings(
        name="asked", source="file", path=str(path), prompt_column="prompt", verifier="instructions"
    )
    return Settings(profile="test", pools=(pool,))


def test_instructions_reach_the_verifier_and_bad_rows_are_rejected_with_their_reason(
    tmp_path: Path,
) -> None:
    rows = [
        {
            "prompt": "Sing.",
            "instruction_id_list": ["punctuation:no_comma"],
            "kwargs": [{"num_words": None}],
        },
        {"prompt": "Count.", "instruction_id_list": ["keywords:telepathy"], "kwargs": [{}]},
        {"prompt": "Dance.", "instruction_id_list": [], "kwargs": []},
    ]
    path = tmp_path / "asked.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    prompts, rejects = load_pools(settings(path))
    (row,) = prompts.to_dicts()
    assert (row["answer"], row["verifier"]) == ("all", "instructions")
    assert verify("la, la", row["answer"], row["verifier"], row["metadata"]).correct is False
    first, second = sorted(rejects["reason"])
    assert first.startswith("asked.jsonl row 2: unknown instruction 'keywords:telepathy'")
    assert second.startswith(
        "asked.jsonl row 3: instructions: instruction_id_list and kwargs must be lists"
    )


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "asked.jsonl"
    path.write_text('{"prompt": "Sing.", "kwargs": [{}]}')
    with pytest.raises(
        OrchardError, match="no column 'instruction_id_list'.*the verifier 'instructions' reads it"
    ):
        load_pools(settings(path))
