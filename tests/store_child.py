"""A writer in its own process: python store_child.py <home> <table> <commits>;
prints each acknowledged commit.
"""

import sys
from pathlib import Path

import polars as pl

from pipeline.store import Commit, Lake


def reference(count: int, policy: str = "p") -> pl.DataFrame:
    """Rows of `reference_logps`: count texts of one policy."""
    return pl.DataFrame(
        {
            "text_id": [f"t{i}" for i in range(count)],
            "policy_id": policy,
            "logp": -1.0,
            "tokens": 3,
        },
        schema={
            "text_id": pl.String,
            "policy_id": pl.String,
            "logp": pl.Float64,
            "tokens": pl.Int64,
        },
    )


def main() -> None:
    """Commit i holds i rows."""
    home, policy, commits = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    with Lake(home) as lake:
        for i in range(1, commits + 1):
            commit = Commit("child", fingerprint=f"{policy}{i}")
            written = lake.write(
                "reference_logps", reference(i, policy), commit, partition={"policy_id": policy}
            )
            print(written.version, i, flush=True)


if __name__ == "__main__":
    main()
