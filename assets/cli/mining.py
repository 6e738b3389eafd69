"""Commits of a git repository, into the table that the synthesis of code reads."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import polars as pl

from pipeline import config, tables
from pipeline.ids import content_id
from pipeline.steps.code import code_version
from pipeline.steps.rejects import reject_rows
from pipeline.store import Commit, Lake
from pipeline.synthesis.codefavor_mine import mine, repository_of


def mine_into_lake(path: Path, profile: str) -> dict[str, int]:
    """Replaces the repository's rows of `code_changes`;
    how many commits were taken, and how many not for which reason.

    Rows that the folder left there under an earlier name of the repository go.

    Raises:
        OrchardError: not a repository whose commits may be taken.
    """
    rows, rejects = mine(path, config.load(profile).mining)
    frame = pl.DataFrame(rows, schema=tables.empty("code_changes").schema)
    version = code_version(mine)
    fingerprint = content_id(version, rows)
    commit = Commit("mine-commits", code_version=version, fingerprint=fingerprint)
    with Lake(config.home()) as lake:
        name = repository_of(path)
        lake.write(
            "code_changes",
            frame,
            commit,
            partition={"repository": name},
            rejects=reject_rows(rejects),
        )
        # Second: killed between, a commit stands under two names until the next mining, but none is
        # lost.
        emptied = replace(commit, fingerprint=content_id(version, []))
        for earlier in _earlier_names(
            lake, name, {*frame["commit"], *(str(reject.row_id) for reject in rejects)}
        ):
            lake.write("code_changes", frame.clear(), emptied, partition={"repository": earlier})
    reasons = Counter(_plain(reject.reason) for reject in rejects)
    return {"taken": len(rows), **dict(reasons.most_common())}


def _earlier_names(lake: Lake, name: str, commits: set[str]) -> list[str]:
    """Other names under which rows of these commits stand, of the same folder.

    Older versions wrote the folder's name alone, and a shallow clone's first commit moves with each
    fetch.
    """
    rows = lake.read("code_changes").filter(
        pl.col("commit").is_in(commits), pl.col("repository") != name
    )
    folder = name.rpartition("@")[0]
    return [
        other
        for other in sorted(set(rows["repository"]))
        if folder in (other, other.rpartition("@")[0])
    ]


def _plain(reason: str) -> str:
    """A reason without its numbers, so that alike ones count together."""
    return " ".join("N" if word.rstrip(":").isdigit() else word for word in reason.split())
