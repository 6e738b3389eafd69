"""A trained policy as a folder for the hub,
with a model card that names its data's versions and its results.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from pipeline.engine.model import check
from pipeline.errors import OrchardError
from pipeline.policies import trained_run
from pipeline.store import Lake


def export_policy(
    lake: Lake, home: Path, variant: str, folder: Path, seed: int | None = None
) -> Path:
    """Copies a variant's trained policy (and its adapter, where it has one)
    to `folder` with a card, README.md.

    Args:
        home: the data folder that `training_runs.checkpoint` is relative to.
        seed: of the run; the lowest by default.

    Raises:
        OrchardError: no such run, its weights are gone, or `folder` is not empty, a file, or cannot
            be written.
    """
    run = trained_run(lake, home, variant, seed)
    source = home / run["checkpoint"]
    check(source)
    measured = pl.col("policy_ids").list.contains(run["policy_id"])
    board = lake.read("leaderboard").filter(measured.fill_null(pl.col("variant") == variant))
    result = None if board.is_empty() else board.row(0, named=True)
    try:
        if os.path.exists(folder) and any(folder.iterdir()):
            raise OrchardError(f"folder {folder} is not empty: give a new one")
        shutil.copytree(source, folder, dirs_exist_ok=True)
        (folder / "README.md").write_text(
            card(run, result, _trained_from(lake, variant)), encoding="utf-8"
        )
    except OSError as error:
        raise OrchardError(f"folder {folder}: {error.strerror or error}: give a new one") from error
    return folder


def _trained_from(lake: Lake, variant: str) -> dict[str, int]:
    """Versions of the tables that a variant's trainings read, and of their own:
    those of the commit of its rows.
    """
    own = lake.history("training_runs").filter(pl.col("changed")).to_dicts()
    commit = next(
        entry
        for entry in reversed(own)
        if json.loads(entry["partition"]).get("variant", variant) == variant
    )
    read = {table: version for table, version in json.loads(commit["parents"]).items() if version}
    return {**read, "training_runs": commit["version"]}


def card(run: dict[str, Any], result: dict[str, Any] | None, versions: dict[str, int]) -> str:
    """The text of a model card.

    Args:
        run: the row of `training_runs`.
        result: the row of `leaderboard` in whose evaluations this policy is, or whose policies an
            older version did not name; null: it was not evaluated.
        versions: of the tables that it was trained from.
    """
    settings = json.loads(run["settings"])
    head = {
        "library_name": "transformers",
        "tags": ["dpo", "orchard", run["variant"]],
        "pipeline_tag": "text-generation",
    }
    lines = [
        "---", yaml.safe_dump(head, sort_keys=True).strip(), "---", "",
        f"# {run['policy_id']}", "",
        f"Trained by Orchard from `{run['reference_id']}` on the data variant `{run['variant']}`"
        f" with the loss `{run['loss']}` ({run['method']}, seed {run['seed']}).", "",
        "## Data", "", "| table | version |", "|---|---|",
        *(f"| {table} | {version} |" for table, version in versions.items()), "",
        "## Training", "",
        f"{run['n_pairs']} rows, {run['n_steps']} steps, {run['n_tokens']} tokens of texts;"
        f" beta {settings['beta']}, learning rate {settings['learning_rate']},"
        f" epochs {settings['epochs']}."
        f" Loss {run['loss_first']:.3f} at first, {run['loss_last']:.3f} at last.", "",
        "## Results", "", *_results(result), "",
        "The licences of the base model and of the prompt pools apply (table `prompts`).", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _results(row: dict[str, Any] | None) -> list[str]:
    if row is None:
        return ["This policy was not evaluated."]
    if row["policy_ids"] is None:
        return [
            "Not known: the leaderboard is of an older version,"
            " which did not name the policies that it measured."
        ]
    interval = f"{row['gain_low']:+.3f} to {row['gain_high']:+.3f}"
    metric = row["metric"] or "accuracy"
    what = "Accuracy on held-out test prompts" if metric == "accuracy" else f"Ranked by {metric}:"
    value = row["accuracy"] if row["value"] is None else row["value"]
    return [
        f"{what} {value:.3f};"
        f" gain over the base model {row['gain']:+.3f} ({interval}): {row['verdict']}."
        f" The variant's figures are means over {row['n_seeds']} seeds."
    ]
