"""SIGTERM and Ctrl-C at several moments of a real run: it ends soon, and what was finished is kept.

The runs share one home, so that each goes on where the one before it ended.
"""

import re
import signal
import sqlite3
from collections.abc import Callable

import psutil
import pytest

from pipeline.claim import holder_of
from pipeline.ending import INTERRUPTED
from pipeline.live import run_lock
from pipeline.store import Lake
from tests.conftest import TINY, Home
from tests.real.faults.started import Started, kill, live, open_runs, start


def completions(home: Home) -> int:
    path = home.path / "cache" / "completions.sqlite"
    if not path.exists():
        return 0
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return int(db.execute("SELECT count(*) FROM completions").fetchone()[0])
    except sqlite3.OperationalError:  # not made yet
        return 0
    finally:
        db.close()


def is_loading(home: Home, run: Started) -> bool:
    """The run is open, and has sampled nothing."""
    return live(home) is not None


def is_sampling(home: Home, run: Started) -> bool:
    return completions(home) > 20


def is_training(home: Home, run: Started) -> bool:
    return bool(re.search(r"^train.*: \d+/", run.said(), re.MULTILINE))


MOMENTS: list[tuple[Callable[[Home, Started], bool], signal.Signals]] = [
    (is_loading, signal.SIGINT),
    (is_sampling, signal.SIGTERM),
    (is_training, signal.SIGTERM),
]


@pytest.mark.long
def test_a_signal_ends_a_real_run_at_any_moment_and_loses_nothing(
    new_home: Callable[[], Home], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHARD_PROGRESS_SECONDS", "0.1")
    home, lost, seconds = new_home(), 0, []
    profile = home.path / "brief.yaml"  # without trees
    brief = TINY.read_text().replace("validation: {", "validation: {variants: [outcome], ")
    profile.write_text(brief)
    for moment, number in MOMENTS:
        run = start(home, moment.__name__, "run", profile=profile)
        try:
            run.wait_for(lambda moment=moment, run=run: moment(home, run))  # type: ignore[misc]
            before = (completions(home), versions(home))
            children = psutil.Process(run.process.pid).children(recursive=True)
            seconds.append(run.told(number))
        finally:
            kill(run)
        assert run.last_line() == f"orchard: {INTERRUPTED}"
        _, alive = psutil.wait_procs(children, timeout=5)
        assert alive == []
        assert holder_of(run_lock(home.path)) is None and open_runs(home) == []
        after = (completions(home), versions(home))
        lost += before[0] > after[0] or any(before[1][name] > after[1][name] for name in before[1])
    print(f"signals injected {len(MOMENTS)}, work lost {lost}, seconds to the end {seconds}")
    assert lost == 0


def versions(home: Home) -> dict[str, int]:
    """Table -> its newest version; empty before the lake is made."""
    with Lake(home.path) as lake:
        rows = lake.sql('SELECT "table", max(version) AS v FROM commits GROUP BY ALL')
    return {str(table): int(version) for table, version in rows.iter_rows()}
