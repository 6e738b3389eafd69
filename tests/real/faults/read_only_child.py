"""A user without write permission: python read_only_child.py <home> <uid, 0 to stay>.

Prints what reading gives, and the line with which a write is refused.
"""

import os
import sys
from pathlib import Path

from typer.testing import CliRunner

import pipeline.tables
from assets.cli.main import app
from pipeline.errors import OrchardError
from pipeline.store import Commit, Lake
from tests.store_child import reference


def main() -> None:
    """Everything is imported before: another user may not read this one's packages."""
    home, user = Path(sys.argv[1]), int(sys.argv[2])
    assert pipeline.tables.TABLES
    if user:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    os.environ["ORCHARD_HOME"] = str(home)
    with Lake(home) as lake:
        print("read", lake.read("reference_logps").height)
        print("version", lake.read("reference_logps", version=3).height)
        for write in (
            lambda: lake.write("reference_logps", reference(1), Commit("s")),
            lambda: lake.tag("v1"),
            lambda: lake.expire(0),
            lake.keep_copy,
        ):
            try:
                write()
            except OrchardError as error:
                print("refused", error)
    for command in (["sql", "SELECT count(*) AS n FROM reference_logps"], ["tables"]):
        shown = CliRunner().invoke(app, command)
        print(command[0], shown.exit_code, "10" in shown.output)


if __name__ == "__main__":
    main()
