"""One live run a home: two at once would sample and train everything twice."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pipeline.claim import Claim, Holder, holder_of, take, this_process
from pipeline.ending import INTERRUPTED, Ending
from pipeline.errors import OrchardError

_LOOK_SECONDS = 1.0  # between two looks at a claim that is waited for
_held: dict[Path, Claim] = {}  # by this process
_lock = threading.Lock()


def run_lock(home: Path) -> Path:
    """The file that the live run of a data folder holds."""
    return home / "run.lock"


def erasure_note(home: Path) -> Path:
    """The file of an erasure that has begun and is not finished."""
    return home / "erasure.json"


def preview_folder(home: Path) -> Path:
    """The data folder of a preview, while it lasts."""
    return home / "preview"


def preview_lock(home: Path) -> Path:
    """The file that a live preview of a data folder holds."""
    return home / "preview.lock"


def ui_lock(home: Path) -> Path:
    """The file that the live web UI of a data folder holds, with its queue."""
    return home / "dagster" / "ui.lock"


@contextmanager
def live_run(
    home: Path,
    what: str,
    run_id: str = "",
    wait: Callable[[Holder], object] | None = None,
    ending: Ending | None = None,
    *,
    erases: bool = False,
) -> Iterator[None]:
    """Inside the block this process has the one live run of the home.

    A block inside another of the same process and home adds its run's id to what is said of it.
    wait: is told once for whom this waits; null: it does not wait. ending: ends the waiting.
    erases: it is an erasure, which may go on where one was killed; no run may.

    Raises:
        OrchardError: another process has a live run, and this one does not wait; or an erasure was
            begun and not finished.
    """
    home.mkdir(parents=True, exist_ok=True)
    path = run_lock(home).resolve()
    holder = this_process(what, **({"run_id": run_id} if run_id else {}))
    with _lock:
        outer = _held.get(path)
    if outer is not None:
        outer.note(holder)
        yield
        return
    claim = _taken(path, holder, wait, ending)
    _held[path] = claim
    try:
        if erasure_note(home).exists() and not erases:
            raise OrchardError(
                f"home {home}: an erasure was begun and not finished: "
                "`orchard erase --yes` finishes it, then start the run again"
            )
        yield
    finally:
        del _held[path]
        claim.release()


def _taken(
    path: Path,
    holder: Holder,
    wait: Callable[[Holder], object] | None,
    ending: Ending | None,
) -> Claim:
    said: Holder | None = None
    while (claim := take(path, holder)) is None:
        other = holder_of(path)
        if other is None:
            continue
        if wait is None:
            raise OrchardError(
                f"a run of this home is live: {other}: wait for its end with `orchard run --wait`, "
                f"or end it (kill {other.pid})"
            )
        if said is None or (said.pid, said.host) != (other.pid, other.host):
            wait(other)
            said = other
        if (ending or Ending()).told.wait(_LOOK_SECONDS):
            raise OrchardError(INTERRUPTED)
    claim.note(replace(holder, since=this_process("").since))  # since now, not since it waits
    return claim
