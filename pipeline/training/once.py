"""One policy of one variant and seed: trained once, with its row of `training_runs` beside it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from pipeline import durable, tables
from pipeline.config import TrainingSettings
from pipeline.engine.model import Model, fingerprint
from pipeline.ids import content_id
from pipeline.progress import bar
from pipeline.steps.code import code_version
from pipeline.training.older import older_codes, settings_then

if TYPE_CHECKING:
    from pipeline.training.loop import TrainResult

Row = dict[str, object]
FOLDER = "policies"  # of the data folder
TRAINER = "pipeline.training.loop"  # whose code, with all that it imports, makes a policy


@dataclass(frozen=True)
class Training:
    """What determines a policy, its seed left out.

    code: version of the code that trains. home: the data folder, which keeps the policies. tries:
    how its settings were chosen, for its row; it changes no policy.
    """

    variant: str
    rows: pl.DataFrame
    settings: TrainingSettings
    base: Model
    code: str
    home: Path
    tries: str | None = None


def train_once(training: Training, reference: pl.DataFrame, seed: int) -> tuple[Row, pl.DataFrame]:
    """The row of `training_runs` of one seed, and rejected rows.

    A policy of the same code, data, settings and seed is not made again, also where the run that
    made it was killed before its other seeds were done: its row stands in a file beside its folder.
    """
    from pipeline.training.loop import train

    names = [content_id(training.variant, data, seed) for data in data_ids(training)]
    for name in names:
        out = _folder(training, seed, name)
        known = _remembered(training.home / f"{out}.json", name)
        if known is not None and (training.home / out).is_dir():
            return {**known[0], "tries": training.tries}, known[1]
    name = names[0]
    out = _folder(training, seed, name)
    with bar(f"train {training.variant}") as advance:
        result = train(
            training.base.path,
            training.rows,
            reference,
            training.settings,
            seed=seed,
            out=training.home / out,
            progress=lambda step, steps, _: advance(step, steps),
        )
    row = {
        "run_id": name,
        "variant": training.variant,
        "seed": seed,
        "policy_id": f"{training.variant}-s{seed}@{fingerprint(result.path)}",
        "reference_id": training.base.policy_id,
        "checkpoint": str(out),
        **_described(training, result),
    }
    _remember(training.home / f"{out}.json", row, result.rejects)
    return row, result.rejects


def data_ids(training: Training) -> list[str]:
    """Ids of rows, settings, model and code: today's, and those of homes of an older format."""
    marks, model = sorted(training.rows["mark"]), training.base.policy_id
    said = training.settings.model_dump(exclude={"seeds"})
    older = older_codes(training.home, code_version(TRAINER))
    today = content_id(marks, said, model, training.code)
    return [today, *(content_id(marks, settings_then(said), model, code) for code in older)]


def _folder(training: Training, seed: int, name: str) -> Path:
    """Where a policy lies in the data folder."""
    return Path(FOLDER) / f"{training.variant}-s{seed}-{name[:8]}"


def _described(training: Training, result: "TrainResult") -> Row:
    """How it was trained, on what, and how that went."""
    learned = training.rows.filter(pl.col("split") == "train")
    return {
        "loss": training.settings.loss,
        "method": training.settings.method,
        "settings": training.settings.model_dump_json(),
        "n_pairs": result.n_pairs,
        "row_ids": sorted(learned["row_id"]),
        "prompt_ids": sorted(set(learned["prompt_id"])),
        "tries": training.tries,
        "n_steps": result.n_steps,
        "kept_step": result.kept_step,
        "looks": json.dumps(result.looks),
        "n_tokens": result.n_tokens,
        "loss_first": result.loss_first,
        "loss_last": result.loss_last,
        "accuracy_last": result.accuracy_last,
        "curve": json.dumps(result.curve),
        "length_ratio": result.length_ratio,
        "seconds": result.seconds,
    }


def _remember(note: Path, row: Row, rejects: pl.DataFrame) -> None:
    draft = note.with_name(f"{note.name}.tmp")
    draft.write_text(json.dumps({"row": row, "rejects": rejects.to_dicts()}))
    durable.put(draft, note)


def _remembered(note: Path, name: str) -> tuple[Row, pl.DataFrame] | None:
    """What a file says of a finished training of that id;
    null where it is of none or unreadable.
    """
    try:
        found = json.loads(note.read_text())
        rejects = pl.DataFrame(found["rejects"], schema=tables.empty("rejects").schema)
        return (found["row"], rejects) if found["row"]["run_id"] == name else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # as good as none: train again
