"""Two runs of one home at once: one is live, whoever started them, and dead ones are closed."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import dagster as dg
import pytest

from pipeline.claim import holder_of
from pipeline.ending import INTERRUPTED
from pipeline.live import ui_lock
from tests.conftest import TINY, Home
from tests.real.faults.started import Started, kill, live, open_runs, start, statuses

STATUS = dg.DagsterRunStatus


@contextmanager
def ended(begun: list[Started]) -> Iterator[None]:
    """Whatever was begun is ended."""
    try:
        yield
    finally:
        kill(*begun)


def test_a_second_run_is_refused_or_waits_and_a_killed_one_is_closed(
    new_home: Callable[[], Home],
) -> None:
    home = new_home()
    begun = [first := start(home, "first", "run")]
    with ended(begun):
        first.wait_for(lambda: live(home))
        (dead,) = statuses(home)
        refused = home.orchard("run", "--profile", str(TINY))
        assert refused.returncode == 1 and refused.stderr.count("\n") == 1
        assert f"process {first.process.pid} on {socket.gethostname()} since " in refused.stderr
        assert "orchard run --wait" in refused.stderr
        assert set(statuses(home)) == {dead}  # and leaves no record
        begun.append(waiting := start(home, "waiting", "run", "--wait"))
        waiting.wait_for(lambda: "Waiting for the live run of this home" in waiting.said())
        assert str(first.process.pid) in waiting.said() and len(statuses(home)) == 1
        kill(first)
        waiting.wait_for(lambda: live(home))
        holder = live(home)
        assert holder is not None and holder.pid == waiting.process.pid
        assert statuses(home)[dead] == STATUS.FAILURE and len(open_runs(home)) == 1
        seconds = waiting.told(signal.SIGTERM)
        assert waiting.last_line() == f"orchard: {INTERRUPTED}"
    print(f"second runs injected 2, live beside the first 0; killed 1, left open 0; {seconds} s")
    assert open_runs(home) == []


@pytest.mark.long
def test_beside_a_web_ui_runs_go_to_its_queue_and_die_with_it(
    new_home: Callable[[], Home],
) -> None:
    home = new_home()
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    begun = [ui := start(home, "ui", "ui", "--port", port)]
    with ended(begun):
        ui.wait_for(lambda: holder_of(ui_lock(home.path)))
        begun.append(first := start(home, "first", "run"))
        first.wait_for(lambda: live(home))
        holder = live(home)
        # the server's process has it
        assert holder is not None and holder.pid != first.process.pid
        begun.append(second := start(home, "second", "run"))
        second.wait_for(lambda: "In the queue of the web UI" in second.said())
        found = statuses(home)
        assert set(found.values()) == {STATUS.QUEUED, STATUS.STARTED} and len(found) == 2
        other = home.orchard("run", "--profile", "quick")
        assert other.returncode == 1 and other.stderr.count("\n") == 1
        assert f"the web UI of this home runs profile {TINY}" in other.stderr
        again = home.orchard("ui", "--profile", str(TINY), "--port", port)
        assert again.returncode == 1 and "is open already" in again.stderr

        seconds = first.told(signal.SIGTERM)  # ends the run as Terminate in the web UI does
        assert first.last_line() == f"orchard: {INTERRUPTED}"
        assert statuses(home)[holder.more["run_id"]] == STATUS.CANCELED
        second.wait_for(lambda: (now := live(home)) and now.more != holder.more)
        kill(second, ui)  # with the run's process
        (dead,) = open_runs(home)
        begun.append(new := start(home, "new-ui", "ui", "--port", port))
        new.wait_for(lambda: holder_of(ui_lock(home.path)) and not open_runs(home))
        assert statuses(home)[dead] == STATUS.FAILURE
    print(f"runs beside a live one injected 1, live at once 1; killed 1, left open 0; {seconds} s")
