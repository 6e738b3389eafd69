"""Where the report's figures are from, and what was dropped on the way."""

import json

from pipeline.config import Settings
from pipeline.store.reader import Reader
from pipeline.tables import TABLES
from pipeline.validation.report.blocks import Bullets, Section, Table, Text

SHOWN = 30  # reasons of rejects


def tables(lake: Reader, _: Settings) -> Section:
    """Version of every table that holds something, when and by which code it was written,
    and from which versions.
    """
    known = [name for name in TABLES if name not in ("usage", "rejects") and lake.version(name)]
    titles = ["table", "version", "rows", "written", "code", "made from versions"]
    return Section(
        "Versions",
        [Table("Tables behind this report", titles, [_origin(lake, name) for name in known])],
    )


def _origin(lake: Reader, name: str) -> list[object]:
    last = lake.history(name).row(-1, named=True)
    parents = (
        json.loads(last["parents"])
        if isinstance(last["parents"], str)
        else dict(last["parents"] or {})
    )
    made_from = ", ".join(f"{table} {version}" for table, version in sorted(parents.items()))
    rows, written = lake.read(name).height, str(last["finished_at"])[:16]
    return [
        name,
        lake.version(name),
        rows,
        written,
        last["code_version"] or None,
        made_from or None,
    ]


def rejects(lake: Reader, _: Settings) -> Section:
    """Dropped rows by reason."""
    found = lake.sql(
        'SELECT "table", reason, count(*) AS n FROM rejects '
        'GROUP BY ALL ORDER BY n DESC, "table", reason'
    )
    said = [
        f"{row['n']} of {row['table']}: {row['reason']}"
        for row in found.head(SHOWN).iter_rows(named=True)
    ]
    more = found["n"].slice(SHOWN).sum()
    said += (
        [f"{more} more, of {found.height - SHOWN} other reasons: see the table rejects"]
        if more
        else []
    )
    return Section("Rejected rows", [Bullets(said) if said else Text("None.")])
