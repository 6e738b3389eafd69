"""The files of a home besides its tables and completions that may hold a text: they are removed.

Copies of the catalog, what repairs set aside, features of texts, the report, Dagster's records of
runs, and what killed trainings left. All of it is made again, or says what was.
"""

import json
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from pipeline.live import preview_folder
from pipeline.store.copies import CATALOG, FOLDER
from pipeline.store.refused import texts_in

_KEPT_OF_DAGSTER = ("dagster.yaml", "schedules", "ui.lock")
_NOTHING_OF_A_TEXT = {"lake", "cache", "policies", "models", "dagster", "run.lock"}
_NUMBERS = {"rates.json", "rates.json.tmp", "preview.lock"}
_OURS = {
    *_NOTHING_OF_A_TEXT,
    *_NUMBERS,
    "erasure.json",
    ".erasure.json.tmp",
    "report.html",
    "preview",
}


def removed(home: Path) -> dict[str, list[Path]]:
    """What is removed, by what it is in words."""
    found = {
        "copies of the catalog": _copies(home / "lake"),
        "what repairs and queries left in the lake": _left_in_lake(home / "lake"),
        "features and rewards of texts": [home / "cache" / one for one in ("features", "rewards")],
        "report": [home / "report.html", *home.glob(".report.html.*")],
        "Dagster's records of runs": list(_dagster(home / "dagster")),
        "a killed preview": [preview_folder(home)],
        "unfinished trainings": list(_unfinished(home / "policies")),
    }
    there = {what: [path for path in paths if path.exists()] for what, paths in found.items()}
    return {what: paths for what, paths in there.items() if paths}


def not_ours(home: Path) -> list[Path]:
    """Files and folders of a home that Orchard did not make: nothing looks into them."""
    names = (one for one in sorted(home.iterdir()) if one.name not in _OURS)
    return [one for one in names if not one.name.startswith(".report.html.")]


def remove(home: Path) -> None:
    """Remove them."""
    for paths in removed(home).values():
        for path in paths:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def clear_notes(home: Path, gone: Collection[str]) -> None:
    """Take rejects that name erased ids out of the notes beside policies."""
    for path in sorted((home / "policies").glob("*.json")):
        try:
            note = json.loads(path.read_text())
        except ValueError:
            continue
        if not isinstance(note, dict) or not isinstance(note.get("rejects"), list):
            continue
        kept = [one for one in note["rejects"] if not _names(one, gone)]
        if len(kept) < len(note["rejects"]):
            draft = path.with_name(f"{path.name}.tmp")
            draft.write_text(json.dumps({**note, "rejects": kept}))
            draft.replace(path)


def remove_policy(home: Path, checkpoint: str) -> None:
    """Remove a policy's folder and the note beside it; one outside the home's policies stays."""
    folder = (home / checkpoint).resolve()
    if folder.is_relative_to((home / "policies").resolve()):
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_name(f"{folder.name}.json").unlink(missing_ok=True)


def _copies(lake: Path) -> list[Path]:
    """The catalog itself stays."""
    own = [lake / FOLDER, *lake.glob("catalog.format*"), *lake.glob("replaced-*")]
    return [*own, *lake.glob(f".{CATALOG}.*")]


def _left_in_lake(lake: Path) -> list[Path]:
    spilled = list((lake / "tmp").iterdir()) if (lake / "tmp").is_dir() else []
    return [*spilled, *(lake / "files").rglob("*.damaged")]


def _dagster(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name not in _KEPT_OF_DAGSTER:
            yield path


def _unfinished(policies: Path) -> Iterator[Path]:
    for ending in ("*.job", "*.tmp", "*.ckpt", "*.old"):
        yield from policies.glob(ending)


def _names(reject: dict[str, Any], gone: Collection[str]) -> bool:
    try:
        inside = texts_in(json.loads(reject.get("row") or "{}"))
    except ValueError:
        inside = set()
    return bool((inside | {str(reject.get(one)) for one in ("row_id", "prompt_id")}) & set(gone))
