"""Policies of homes of an older format: which of them are what today's code would train."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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


def older_codes(home: Path, code: str) -> list[str]:
    """Versions of code that were written down as the same as today's; none where code changed since."""
    try:
        note = json.loads((home / NOTE).read_text())
        return [str(one) for one in note["older"]] if note["code"] == code else []
    except (OSError, ValueError, KeyError, TypeError):
        return []


def note_same_code(home: Path, code: str, older: Sequence[str]) -> None:
    """Writes down, at the migration of a home, that today's code trains what the older code did.

    The code itself is the same then; only the way in which its version is found has changed.
    """
    note = home / NOTE
    note.parent.mkdir(parents=True, exist_ok=True)
    draft = note.with_name(f"{note.name}.tmp")
    draft.write_text(json.dumps({"code": code, "older": sorted(set(older))}))
    draft.replace(note)


def settings_then(said: Mapping[str, Any]) -> dict[str, Any]:
    """Training settings as a home of format 1 knew them; others where a later setting is in use."""
    from pipeline.config import TrainingSettings

    defaults = TrainingSettings().model_dump()
    later = {k: v for k, v in said.items() if k not in FORMAT_1 and v != defaults[k]}
    return {**{k: said[k] for k in FORMAT_1 if k in said}, **later}
