"""The lake: every table is a version, written in one commit, readable for ever after.

DuckLake keeps Parquet files under `<home>/lake/files` and its catalog in
`<home>/lake/catalog.sqlite`.
"""

from pipeline.store.commits import Commit, Written
from pipeline.store.lake import Lake
from pipeline.store.writing import Change

__all__ = ["Change", "Commit", "Lake", "Written"]
