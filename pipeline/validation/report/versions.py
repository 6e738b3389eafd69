"""Where the report's figures are from, and what was dropped on the way."""

from pipeline.config import Settings
from pipeline.store import Lake
from pipeline.tables import TABLES
from pipeline.validation.report.blocks import Bullets, Section, Table, Text


def tables(lake: Lake, _: Settings) -> Section:
    """Versions of all tables that hold something."""
    known = [name for name in TABLES if name not in ("usage", "rejects") and lake.version(name)]
    rows = [[name, lake.version(name), lake.read(name).height] for name in known]
    return Section("Versions", [Table("Tables behind this report", ["table", "version", "rows"], rows)])


def rejects(lake: Lake, _: Settings) -> Section:
    """Dropped rows by reason."""
    found = lake.sql('SELECT "table", reason, count(*) AS n FROM rejects GROUP BY ALL ORDER BY n DESC, "table", reason')
    said = [f"{row['n']} of {row['table']}: {row['reason']}" for row in found.iter_rows(named=True)]
    return Section("Rejected rows", [Bullets(said) if said else Text("None.")])
