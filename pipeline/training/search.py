"""Which training settings a variant does best with: each try is a training of its own.

The criterion is the same for all losses: of how many held-out pairs the policy prefers the chosen
text, by the implicit reward; for a loss without a reference model by the score that it learns. The
pairs are validation pairs that the leaderboard does not report on. All of this is our choice.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import durable
from pipeline.config.search import kept
from pipeline.config.training import merged
from pipeline.errors import Diverged
from pipeline.ids import content_id
from pipeline.progress import bar
from pipeline.steps.code import code_version
from pipeline.training.once import FOLDER, Training, data_ids

MEASURE = "pipeline.training.accuracy"  # whose code says how good a try is


@dataclass(frozen=True)
class Try:
    """One try: what was changed, and how that went.

    accuracy: share of the held-out pairs that are ranked right; null: the training diverged, or
    all pairs are too long.
    """

    changes: Mapping[str, Any]
    accuracy: float | None
    n_pairs: int
    taken: bool = False


def best_of(
    training: Training,
    changes: Sequence[Mapping[str, Any]],
    pairs: pl.DataFrame,
    reference: pl.DataFrame,
) -> tuple[Training, list[Try]]:
    """The training with the settings of the best try, and all tries.

    Of equally good ones that with most of the values that it has already is taken, then the first.
    Where every try diverged it stays as it is. A try that was made before is not made again.

    Args:
        training: of one variant, with its settings as the profile says them.
        pairs: the variant's pairs that the tries are measured on.
        reference: rows of `reference_logps` for the texts of rows and pairs.
    """
    found = []
    for number, change in enumerate(changes, 1):
        label = f"try {number}/{len(changes)} {training.variant}"
        found.append(_tried(training, change, pairs, reference, label))
    shared = training.settings.model_dump()
    known = [i for i, one in enumerate(found) if one.accuracy is not None]
    if not known:
        return training, found
    place = max(known, key=lambda i: (found[i].accuracy, kept(found[i].changes, shared), -i))
    tries = [replace(one, taken=i == place) for i, one in enumerate(found)]
    settings = merged(training.settings, found[place].changes)
    return replace(training, settings=settings), tries


def _tried(
    training: Training,
    changes: Mapping[str, Any],
    pairs: pl.DataFrame,
    reference: pl.DataFrame,
    label: str,
) -> Try:
    from pipeline.training.accuracy import preference_accuracy
    from pipeline.training.loop import train

    own = replace(training, settings=merged(training.settings, changes))
    seed = own.settings.seeds[0]
    measured_by = code_version(MEASURE)
    name = content_id("try", data_ids(own)[0], measured_by, seed, sorted(pairs["pair_id"]))
    # by its ending what a kill leaves of it is known as unfinished: see pipeline.erasure.remains
    out = training.home / FOLDER / f"try-{name[:12]}.tmp"
    note = out.with_suffix(".json")
    if (known := _remembered(note, changes)) is not None:
        return known
    with bar(label) as advance:
        try:
            result = train(
                own.base.path,
                own.rows,
                reference,
                own.settings,
                seed=seed,
                out=out,
                progress=lambda step, steps, _: advance(step, steps),
            )
            right = preference_accuracy(result.path, pairs, reference, own.settings)["value"]
            accuracy = float(right.mean()) if len(right) else None  # type: ignore[arg-type]
            found = Try(dict(changes), accuracy, len(right))
        except Diverged:
            found = Try(dict(changes), None, 0)
    shutil.rmtree(out, ignore_errors=True)
    _remember(note, found)
    return found


def _remember(note: Path, found: Try) -> None:
    note.parent.mkdir(parents=True, exist_ok=True)
    draft = note.with_name(f"{note.name}.tmp")
    draft.write_text(json.dumps(asdict(found)))
    durable.put(draft, note)


def _remembered(note: Path, changes: Mapping[str, Any]) -> Try | None:
    try:
        found = Try(**json.loads(note.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return found if found.changes == changes else None
