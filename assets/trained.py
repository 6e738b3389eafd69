"""One policy of one variant and seed: trained once, with its row of `training_runs` beside it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from assets.workshop import Workshop
from pipeline import config, tables
from pipeline.code import code_version
from pipeline.config import TrainingSettings
from pipeline.engine.model import fingerprint
from pipeline.ids import content_id
from pipeline.preferences.build import variant as registered
from pipeline.progress import bar

if TYPE_CHECKING:
    from pipeline.training.loop import TrainResult

SELECTION = ("pipeline/validation/select.py", "pipeline/validation/rows.py")
CODE = code_version("pipeline/training", *SELECTION, "pipeline/tables")

Row = dict[str, object]


def trained(
    shop: Workshop, variant: str, rows: pl.DataFrame, reference: pl.DataFrame, seed: int
) -> tuple[Row, pl.DataFrame]:
    """The row of one seed, and rejected rows.

    A policy of the same code, data, settings and seed is not made again, also where the run that made it was killed
    before its other seeds were done: its row stands in a file beside its folder.
    """
    from pipeline.training.loop import train

    settings = _settings(shop, variant)
    data = content_id(sorted(rows["mark"]), settings.model_dump(exclude={"seeds"}), shop.base.policy_id, CODE)
    name = content_id(variant, data, seed)
    out = Path("policies") / f"{variant}-s{seed}-{name[:8]}"
    note = config.home() / f"{out}.json"
    known = _remembered(note, name)
    if known is not None and (config.home() / out).is_dir():
        return known
    with bar(f"train {variant}") as advance:
        result = train(
            shop.base.path,
            _with_rationales(shop, rows),
            reference,
            settings,
            seed=seed,
            out=config.home() / out,
            progress=lambda step, steps, _: advance(step, steps),
        )
    row = {
        "run_id": name,
        "variant": variant,
        "seed": seed,
        "policy_id": f"{variant}-s{seed}@{fingerprint(result.path)}",
        "reference_id": shop.base.policy_id,
        "checkpoint": str(out),
        **_described(settings, result, rows.filter(pl.col("split") == "train")),
    }
    _remember(note, row, result.rejects)
    return row, result.rejects


def _described(settings: TrainingSettings, result: "TrainResult", learned: pl.DataFrame) -> Row:
    """How it was trained, on what, and how that went."""
    return {
        "loss": settings.loss,
        "method": settings.method,
        "settings": settings.model_dump_json(),
        "n_pairs": result.n_pairs,
        "row_ids": sorted(learned["row_id"]),
        "prompt_ids": sorted(set(learned["prompt_id"])),
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


def _settings(shop: Workshop, variant: str) -> TrainingSettings:
    chosen = shop.settings.training
    return chosen.model_copy(update={"loss": registered(variant, shop.settings).loss or chosen.loss})


def _remember(note: Path, row: Row, rejects: pl.DataFrame) -> None:
    draft = note.with_name(f"{note.name}.tmp")
    draft.write_text(json.dumps({"row": row, "rejects": rejects.to_dicts()}))
    draft.replace(note)


def _remembered(note: Path, name: str) -> tuple[Row, pl.DataFrame] | None:
    """What a file says of a finished training; null where there is none, or one that cannot be read."""
    try:
        found = json.loads(note.read_text())
        rejects = pl.DataFrame(found["rejects"], schema=tables.empty("rejects").schema)
        return (found["row"], rejects) if found["row"]["run_id"] == name else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # as good as none: train again


def _with_rationales(shop: Workshop, rows: pl.DataFrame) -> pl.DataFrame:
    from pipeline.training.rationales import attach

    if "rationale_id" not in rows.columns or rows["rationale_id"].null_count() == rows.height:
        return rows
    return attach(rows, shop.lake.read("rationales"))
