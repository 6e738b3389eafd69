"""Several processes write to one lake whose catalog a real PostgreSQL keeps.

What must be there is worked out here, from the orders that were given and the log's sequence. Each
test prints how often it tried, and what was lost.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.errors import OrchardError
from pipeline.store import Commit, Lake, advisory
from tests.real.faults.postgres import Server
from tests.real.faults.worker import Row, Worker, rows_of

HELD = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
END_HOLDER = (
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the data files, which all hosts see."""
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def workers(
    server: Server, files: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Worker]]:
    """Four processes that open an empty catalog at once."""
    catalog = server.new_catalog("shared")
    homes = [tmp_path_factory.mktemp(f"host{number}") for number in range(4)]
    started = [Worker(home, catalog, files) for home in homes]
    try:
        yield started
    finally:
        for worker in started:
            with suppress(ProcessLookupError):
                worker.end()


@pytest.fixture(scope="module")
def opened(workers: list[Worker]) -> list[Worker]:
    for worker in workers:
        assert worker.answer() == "open"
    return workers


@pytest.fixture
def lake(
    server: Server,
    opened: list[Worker],
    files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Lake]:
    """The same lake in this process."""
    monkeypatch.setenv("ORCHARD_DATA", str(files))
    with Lake(tmp_path, server.catalog("shared")) as lake:
        lake.write("reference_logps", rows_of([], 0.0), Commit("worker"))
        yield lake


Order = tuple[dict[str, str], list[Row], float]  # what to replace, by which rows, their mark


def replayed(lake: Lake, orders: list[Order]) -> set[tuple[str, str, float]]:
    """What must be there when the orders are obeyed one by one, in the sequence of the log."""
    by_mark = {str(mark): (partition, rows, mark) for partition, rows, mark in orders}
    log = [name for name in lake.history("reference_logps")["fingerprint"] if name in by_mark]
    assert sorted(log) == sorted(by_mark), "each commit stands in the log once"
    there: dict[tuple[str, str], float] = {}
    for partition, rows, mark in (by_mark[name] for name in log):
        for text, policy in list(there):
            row = {"text_id": text, "policy_id": policy}
            if all(row[column] == value for column, value in partition.items()):
                del there[text, policy]
        there |= {(text, policy): mark for text, policy in rows}
    return {(*row, mark) for row, mark in there.items()}


def found(lake: Lake) -> list[tuple[str, str, float]]:
    return lake.read("reference_logps").select("text_id", "policy_id", "logp").rows()


def obeyed_at_once(workers: list[Worker], orders: list[Order], *reasons: list[str]) -> list[int]:
    """The version of each order's commit; every worker gets one."""
    for worker, (partition, rows, mark), why in zip(
        workers, orders, reasons or [[] for _ in orders], strict=False
    ):
        worker.order("replace", partition, rows, mark, why)
    answers = [worker.answer() for worker, _ in zip(workers, orders, strict=False)]
    return [answer["value"] for answer in answers]


def test_four_processes_open_an_empty_catalog_at_once(server: Server, opened: list[Worker]) -> None:
    twice = server.sql(
        "SELECT table_name FROM ducklake_table WHERE end_snapshot IS NULL "
        "GROUP BY table_name HAVING count(*) > 1",
        "shared",
    )
    layouts = server.sql(
        "SELECT count(*) FROM ducklake_snapshot_changes WHERE commit_message = 'layout'", "shared"
    )
    print(f"opened at once: {len(opened)}, tables made twice: {len(twice)}")
    assert twice == [] and layouts == ["1"]


def overlapping(trial: int) -> list[list[Order]]:
    """Two orders each that touch the same rows, of which none is there yet."""
    one, other = 1.0 + trial, 101.0 + trial
    pairs: list[Row] = [["t1", "p"], ["t2", "p"], ["t1", "q"]]
    of_p, of_q, of_t1 = pairs[:2], pairs[2:], [pairs[0], pairs[2]]
    return [
        [({}, pairs, one), ({}, pairs[:1] + [["t9", "r"]], other)],  # the whole table
        [({}, pairs, one), ({"policy_id": "q"}, [["t8", "q"]], other)],  # and a part
        [({"policy_id": "p"}, of_p, one), ({"policy_id": "p"}, [["t8", "p"]], other)],  # one part
        [({"policy_id": "p"}, of_p, one), ({"text_id": "t1"}, of_t1, other)],  # of two columns
        [({"policy_id": "p"}, of_p, one), ({"policy_id": "q"}, of_q, other)],  # none in common
    ]


KINDS = ["whole", "whole and part", "part", "two columns", "apart"]


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=KINDS)
def test_two_that_replace_what_is_not_there_yet_take_turns(
    opened: list[Worker], lake: Lake, kind: int
) -> None:
    merged = trials = 0
    for trial in range(8 if kind == 0 else 3):
        orders = [
            (part, rows, -mark - 1000 * kind) for part, rows, mark in overlapping(trial)[kind]
        ]
        versions = obeyed_at_once(opened[:2], orders)
        there = found(lake)
        merged += sorted(there) != sorted(replayed(lake, orders))
        trials += 1
        assert len(set(versions)) == 2
        last = max(range(2), key=lambda one: versions[one])
        assert lake.fresh("reference_logps", str(orders[last][2]), orders[last][0])
        lake.write("reference_logps", rows_of([], 0.0), Commit("worker"))
    print(f"two replaces at once ({KINDS[kind]}): {trials}, merged: {merged}")
    assert merged == 0


@pytest.mark.parametrize("count", [2, 4])
def test_storms(opened: list[Worker], lake: Lake, count: int) -> None:
    """All send their orders at once, half of them for rows that others replace too."""
    orders: list[list[Order]] = [
        [
            ({"policy_id": str(who)} if turn % 2 else {}, [[f"t{turn}", str(who)]], -mark)
            for turn in range(6)
            for mark in [10_000.0 * count + 100 * who + turn]
        ]
        for who in range(count)
    ]
    for worker, own in zip(opened, orders, strict=False):
        for partition, rows, mark in own:
            worker.order("replace", partition, rows, mark, [])
    answers = [worker.answer() for worker in opened[:count] for _ in range(6)]
    failed = [one["error"] for one in answers if "error" in one]
    expected = replayed(lake, [order for own in orders for order in own])
    wrong = set(found(lake)) ^ expected
    print(f"storm of {count}: {len(answers)} commits, failed: {len(failed)}, wrong: {len(wrong)}")
    assert not failed and not wrong and len(found(lake)) == len(expected)
    assert len({one["value"] for one in answers}) == 6 * count


def test_rejects_of_one_step_are_those_of_its_last_commit(opened: list[Worker], lake: Lake) -> None:
    kept = 0
    for trial in range(3):
        orders: list[Order] = [
            ({"policy_id": name}, [["t1", name]], -20_000.0 - 10 * trial - number)
            for number, name in enumerate("ab")
        ]
        reasons = [[f"{name} {trial}", "in common"] for name in "ab"]
        versions = obeyed_at_once(opened[:2], orders, *reasons)
        last = max(range(2), key=lambda one: versions[one])
        rejects = sorted(lake.read("rejects")["reason"])
        kept += rejects != sorted(reasons[last])
        lake.write("reference_logps", rows_of([], 0.0), Commit("worker"))
    print(f"rejects replaced at once: 3, merged: {kept}")
    assert kept == 0


def test_one_name_is_one_release(opened: list[Worker], lake: Lake) -> None:
    versions = [
        lake.write("reference_logps", rows_of([["t", "p"]], mark), Commit("worker")).version
        for mark in (-1.0, -2.0)
    ]
    won = []
    for trial in range(6):
        for worker, version in zip(opened[:2], versions, strict=True):
            worker.order("tag", f"night {trial}", version)
        answers = [worker.answer() for worker in opened[:2]]
        refused = [one["error"] for one in answers if "error" in one]
        won += [one["value"] for one in answers if "value" in one]
        assert len(refused) == 1 and "is version" in refused[0]
    releases = lake.releases().sort("name")
    print(f"names given at once: 6, given twice: {releases.height - 6}")
    assert releases["version"].to_list() == won


def test_a_killed_holder_frees_the_lock_and_leaves_nothing_half_written(
    server: Server, opened: list[Worker], lake: Lake
) -> None:
    """Two of the four are killed while they hold the lock; the others go on."""
    many: list[Row] = [[f"t{number}", "k"] for number in range(100_000)]
    lost = 0
    for victim, survivor in zip(opened[2:], opened[:2], strict=True):
        before = sorted(found(lake))
        victim.order("replace", {"policy_id": "k"}, many, -30_000.0, [])
        deadline = time.monotonic() + 60
        while server.sql(HELD, "shared") == ["0"]:
            assert time.monotonic() < deadline, "the lock was never taken"
        time.sleep(0.02)  # into the transaction
        victim.end(signal.SIGKILL)
        assert sorted(found(lake)) in (before, sorted((*row, -30_000.0) for row in many))
        [version] = obeyed_at_once([survivor], [({}, [["t1", "s"]], -31_000.0)])
        lost += found(lake) != [("t1", "s", -31_000.0)]
        assert server.sql(HELD, "shared") == ["0"]
    print(f"killed while they held the lock: 2, lost: {lost}")
    assert lost == 0


def test_a_lock_that_was_lost_ends_the_write(server: Server, lake: Lake) -> None:
    """Where the session of the lock is ended, another may write: so this one must not."""

    before = lake.write("reference_logps", rows_of([["t", "p"]], -1.0), Commit("worker"))
    database = lake._database

    def ended() -> None:
        database.connection.execute("DELETE FROM reference_logps")
        assert server.sql(END_HOLDER, "shared") == ["t"]

    with pytest.raises(OrchardError, match="session that held the catalog's lock was ended"):
        database.transact(ended)
    assert found(lake) == [("t", "p", -1.0)]
    assert lake.version("reference_logps") == before.version
    after = lake.write("reference_logps", rows_of([["t", "p"]], -2.0), Commit("worker"))
    assert after.changed and found(lake) == [("t", "p", -2.0)]


def test_a_lock_that_never_comes_free_is_an_error(lake: Lake) -> None:
    connection = lake._database.connection
    with lake._database.lock(), pytest.raises(OrchardError, match=r"held the catalog's lock for 0"):
        with advisory.advisory_lock(connection, patience=0.1):
            pass
