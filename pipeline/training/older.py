"""Policies of homes of an older format: which of them are what today's code would train."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.store.reader import Reader

NOTE = "policies/same-code.json"  # of the data folder
# Training settings of format 1; a later one counts where it is not what it was without it.
FORMAT_1 = (
    "method",
    "loss",
    "losses",
    "beta",
    "learning_rate",
    "warmup",
    "epochs",
    "batch_pairs",
    "micro_tokens",
    "max_length",
    "too_long",
    "weight_decay",
    "max_grad_norm",
    "lora_rank",
    "lora_alpha",
    "gradient_checkpointing",
    "checkpoint_every",
    "patience",
    "evaluate_every",
    "processes",
    "sharding",
)
FORMAT_1_LOSSES = (
    "label_smoothing",
    "margin_scale",
    "flip_trust",
    "flip_bound",
    "reliability",
    "reliability_rate",
    "list_weights",
    "gamma",
)


def older_codes(home: Path, code: str) -> list[str]:
    """Versions of code that were written down as the same as today's;
    none where code changed since.
    """
    try:
        note = json.loads((home / NOTE).read_text())
        return [str(one) for one in note["older"]] if note["code"] == code else []
    except (OSError, ValueError, KeyError, TypeError):
        return []


def keep_policies(lake: Reader, home: Path, code: str) -> None:
    """Lets the policies of a home that was migrated stand for what today's code would train.

    Called when a run opens. The trainer is the same; only the way its version is found changed.
    """
    moved = lake.sql("SELECT min(since) AS since FROM formats WHERE number > 1").item()
    first = lake.sql("SELECT min(number) AS number FROM formats").item()
    if first != 1 or (home / NOTE).exists():
        return
    query = """
        SELECT DISTINCT code_version FROM commits
        WHERE "table" = 'training_runs' AND finished_at < $moved
    """
    older = lake.sql(query, {"moved": moved})["code_version"].to_list()
    _note_same_code(home, code, older)


def _note_same_code(home: Path, code: str, older: Sequence[str]) -> None:
    note = home / NOTE
    note.parent.mkdir(parents=True, exist_ok=True)
    draft = note.with_name(f"{note.name}.tmp")
    draft.write_text(json.dumps({"code": code, "older": sorted(set(older))}))
    draft.replace(note)


def settings_then(said: Mapping[str, Any]) -> dict[str, Any]:
    """Training settings as a home of format 1 knew them; others where a later setting is in use."""
    from pipeline.config import TrainingSettings

    defaults = TrainingSettings().model_dump()
    then = {k: said[k] for k in FORMAT_1 if k in said}
    then["losses"] = _as_known(said["losses"], FORMAT_1_LOSSES, defaults["losses"])
    return {**then, **_as_known({k: said[k] for k in said if k not in then}, (), defaults)}


def _as_known(
    said: Mapping[str, Any], known: Sequence[str], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """What was said of settings that were known; of later ones where it is not the default."""
    return {k: v for k, v in said.items() if k in known or v != defaults[k]}
