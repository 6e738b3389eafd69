"""A bar with counts, speed and time left for long steps; plain lines where there is no terminal."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

# between two lines without a terminal
PLAIN_SECONDS = float(os.environ.get("ORCHARD_PROGRESS_SECONDS") or 15)

console = Console(stderr=True)
Advance = Callable[[int, int], None]


@contextmanager
def bar(label: str, note: Callable[[], str] = lambda: "") -> Iterator[Advance]:
    """Yields advance(done, all); `note` gives what else to show, such as tokens per second."""
    if not console.is_terminal:
        yield _plain(label, note)
        return
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(label, total=None, note="")
        yield lambda done, total: progress.update(task, completed=done, total=total, note=note())


def _plain(label: str, note: Callable[[], str]) -> Advance:
    started = time.monotonic()
    last = started
    first: int | None = None

    def advance(done: int, total: int) -> None:
        nonlocal last, first
        first = done - 1 if first is None else first  # a resumed step starts in the middle
        now = time.monotonic()
        if now - last >= PLAIN_SECONDS or done == total:
            last, spent = now, now - started
            left = spent / (done - first) * (total - done) if done > first else 0
            console.print(
                f"{label}: {done}/{total} {note()} {spent:.0f} s, {left:.0f} s left",
                highlight=False,
            )

    return advance
