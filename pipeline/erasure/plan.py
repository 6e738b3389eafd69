"""What an erasure would take, and the lines that say so."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.engine.forgetting import count
from pipeline.engine.session import cache_path
from pipeline.erasure import remains, texts
from pipeline.erasure.journal import Note
from pipeline.erasure.reach import TRAINED, Reached, Search, unneeded
from pipeline.erasure.request import Request, search_for
from pipeline.errors import OrchardError
from pipeline.ids import content_id
from pipeline.store.connect import opened
from pipeline.store.database import Database
from pipeline.store.quoting import quoted
from pipeline.tables.links import LINKS

_LEARNED = ("pair", "list", "unpaired")  # kinds of ids that a training run names


@dataclass
class Plan:
    """What would go. versions: how many have a row of it; releases: names of those that do."""

    request: Request
    note: Note
    now: Counter[str] = field(default_factory=Counter)  # rows of the current version, by table
    versions: int = 0
    releases: list[str] = field(default_factory=list)
    completions: tuple[int, int] = (0, 0)  # all, and those that go
    files: dict[str, list[Path]] = field(default_factory=dict)
    not_ours: list[Path] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """The plan in words."""
        yield f"{self.request.shown}: it and what was made from it"
        for table, rows in sorted(self.note.rows.items()):
            yield f"  table {table}: {rows} rows, {self.now[table]} of them in today's files"
        named = ", ".join(self.releases) or "none"
        yield f"  {self.versions} versions lose rows and stay; releases among them: {named}"
        every, gone = self.completions
        yield (
            f"  completion cache: {gone} of {every} completions: all whose text stands in no row "
            "that stays, since nothing else tells of which prompt they are"
        )
        for what, paths in self.files.items():
            yield f"  {what}: {len(paths)} removed"
        yield from trained_lines(self.note)
        for path in self.not_ours:
            yield f"  {path}: not of Orchard's making: look into it yourself"


def trained_lines(note: Note) -> Iterator[str]:
    """The policies that had learned from what goes, and what becomes of them."""
    for one in note.trained:
        what = (
            "removed"
            if note.with_policies
            else "kept: --policies removes it, and the next run trains the variant again"
        )
        yield (
            f"  learned from it: variant {one['variant']}, run {one['run_id']}, "
            f"{one['checkpoint']}: {what}"
        )


def planned(home: Path, request: Request, with_policies: bool) -> Plan:
    """What an erasure would take; changes nothing.

    Raises:
        OrchardError: the lake is not one in a data folder, nothing has what is asked for, or a file
            of the lake cannot be read.
    """
    with embedded(home) as database:
        return planned_in(home, database, request, with_policies)


def planned_in(home: Path, database: Database, request: Request, with_policies: bool) -> Plan:
    """The same, with the lake that is open."""
    search = Search(database)
    try:
        search_for(search, request)
        return _of(home, database, search, request, with_policies)
    finally:
        search.close()


@contextmanager
def embedded(home: Path) -> Iterator[Database]:
    """The lake of a data folder, open for a while.

    Raises:
        OrchardError: it is another, or cannot be written.
    """
    database = opened(home, None)
    try:
        if not database.embedded or database.unwritable:
            raise OrchardError(
                database.unwritable
                or "the lake is on PostgreSQL: only one in a data folder can be erased from, since "
                "the catalog's dead rows and the store's old objects are its server's to remove"
            )
        yield database
    finally:
        database.close()


def _of(
    home: Path, database: Database, search: Search, request: Request, with_policies: bool
) -> Plan:
    reached = search.reached()
    note = _note(search, reached, request, with_policies)
    if with_policies:
        start_runs(search, note)
        reached = search.reached()
    plan = Plan(request, note, current_rows(search, reached))
    note.current = sorted(plan.now)
    note.rows = dict(rows_by_table(search, reached))
    plan.versions, plan.releases = _versions(database, search, reached)
    if cache_path(home).exists():
        kept = texts.marks(search.held, reached.rows)
        plan.completions = count(cache_path(home), lambda text: texts.mark(text) in kept)
    plan.files = remains.removed(home)
    if old := unneeded(database):
        plan.files["files that no version needs"] = old
    plan.not_ours = remains.not_ours(home)
    return plan


def _note(search: Search, reached: Reached, request: Request, with_policies: bool) -> Note:
    day = datetime.now(UTC).date().isoformat()
    refused = set(texts.turns_ids(search)) | reached.ids("prompt")
    for table, links in LINKS.items():
        if links.enters:
            found = search.taken(table, links.own[0][1])
            refused |= set(found.to_series().drop_nulls()) if found.width else set()
    if request.kind == "row":
        refused.add(request.value.partition(":")[2])
    return Note(
        erasure_id=content_id("erasure", request.asked, day),
        kind=request.kind,
        asked=request.asked,
        erased_on=day,
        source=request.value if request.kind == "source" else None,
        gone=sorted([kind, name] for kind, name in reached.gone),
        refused=sorted(refused),
        trained=_trained(search, reached),
        with_policies=with_policies,
    )


def start_runs(search: Search, note: Note) -> None:
    """Take the rows of the policies that go."""
    runs = ", ".join(quoted(one["run_id"]) for one in note.trained) or "''"
    search.start_rows(TRAINED, f"run_id IN ({runs})")


def rows_by_table(search: Search, reached: Reached) -> Counter[str]:
    """How many rows go, of all versions together, by table."""
    tables = {one.number: one.table for one in search.held}
    found: Counter[str] = Counter()
    for number, places in reached.rows.items():
        found[tables[number]] += len(places)
    return found


def current_rows(search: Search, reached: Reached) -> Counter[str]:
    """How many rows that go are in files of the current version, by table."""
    found: Counter[str] = Counter()
    for one in search.held:
        if one.number in reached.rows and one.data.ended is None:
            found[one.table] += len(reached.rows[one.number])
    return found


def _trained(search: Search, reached: Reached) -> list[dict[str, str]]:
    """Policies that learned from a row or a prompt that goes."""
    learned = {name for kind in _LEARNED for name in reached.ids(kind)}
    prompts = reached.ids("prompt")
    runs = search.left(TRAINED, "run_id, variant, policy_id, checkpoint, row_ids, prompt_ids")
    found = (row for row in (runs.to_dicts() if runs.width else ()) if _used(row, learned, prompts))
    names = ("run_id", "variant", "policy_id", "checkpoint")
    return sorted(({name: row[name] for name in names} for row in found), key=lambda r: r["run_id"])


def _used(run: dict[str, Any], learned: set[str], prompts: set[str]) -> bool:
    rows, asked = set(run["row_ids"] or ()), set(run["prompt_ids"] or ())
    return bool(rows & learned or asked & prompts)


def _versions(database: Database, search: Search, reached: Reached) -> tuple[int, list[str]]:
    files = [one.data for one in search.held if one.number in reached.rows]
    execute = database.connection.execute
    kept = [int(row[0]) for row in execute("SELECT snapshot_id FROM lake.snapshots()").fetchall()]
    named = execute("SELECT name, version FROM releases ORDER BY version").fetchall()
    hit = {version for version in kept if any(file.needed_at(version) for file in files)}
    return len(hit), [str(name) for name, version in named if version in hit]
