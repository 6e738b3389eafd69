"""Commits of repositories made here: which are taken, which are not, and why."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from dulwich import porcelain
from dulwich.objects import Tree
from dulwich.repo import Repo

from assets.cli.mining import mine_into_lake
from pipeline import tables
from pipeline.config import MiningSettings
from pipeline.errors import OrchardError
from pipeline.store import Commit, Lake
from pipeline.synthesis.codefavor_mine import mine
from pipeline.synthesis.licences import is_licence_file, licences_in, one_of

MIT = """Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the “Software”), to deal
in the Software without restriction, including ...
THE SOFTWARE IS PROVIDED "AS IS", ..."""
BSD = (
    "Redistribution and use in source and binary forms, with or without\n"
    "modification, are permitted ..."
)
NOTICE = """Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License."""
BUSL = """Business Source License 1.1
Change License: Apache License, Version 2.0
The Licensor hereby grants you the right to copy, modify, \
and make non-production use of the Licensed Work."""
GPL = "GNU GENERAL PUBLIC LICENSE\nVersion 3"
WHO = b"A <a@example.org>"
Files = dict[str, str | bytes]
CLASS = (
    "import os\n\nclass A:\n    def f(self, n):\n        return {}\n\n"
    "    def g(self):\n        return 1\n"
)


class History:
    """A repository in a folder, and its commits by message."""

    def __init__(self, path: Path) -> None:
        self.path, self.repo, self.ids = path, Repo.init(str(path), mkdir=True), {}
        self.ids: dict[str, bytes] = {}

    def commit(self, message: str, files: Files) -> None:
        for name, content in files.items():
            (self.path / name).write_bytes(
                content.encode() if isinstance(content, str) else content
            )
        porcelain.add(self.repo, [str(self.path / name) for name in files])
        self._commit(message)

    def _commit(self, message: str, **more: Any) -> None:
        self.ids[message] = porcelain.commit(
            self.repo, message=message.encode(), author=WHO, committer=WHO, sign=False, **more
        )

    def commit_tree(self, message: str, change: Callable[[Tree], None]) -> None:
        """A commit whose tree is the last one after `change`: for what no working folder holds."""
        tree = self.repo[self.repo[self.repo.head()].tree]
        assert isinstance(tree, Tree)
        tree = tree.copy()  # type: ignore[assignment]
        change(tree)
        self.repo.object_store.add_object(tree)
        self.ids[message] = self.repo.get_worktree().commit(
            message=message.encode(), author=WHO, committer=WHO, tree=tree.id, sign=False
        )

    def mined(self, **settings: Any) -> tuple[list[dict[str, Any]], dict[str, str]]:
        rows, rejects = mine(self.path, MiningSettings(**settings))
        messages = {sha.decode(): message for message, sha in self.ids.items()}
        return rows, {messages[str(reject.row_id)]: reject.reason for reject in rejects}


@pytest.fixture
def history(tmp_path: Path) -> History:
    made = History(tmp_path / "library")
    made.commit(
        "start",
        {
            "LICENSE": MIT,
            "a.py": "def f(x):\n    return x\n\n\ndef g(x):\n    return 0\n",
            "b.txt": "b",
        },
    )
    return made


def test_a_changed_function_is_taken_alone_with_its_decorators(history: History) -> None:
    history.commit(
        "Add one", {"a.py": "def f(x):\n    return x + 1\n\n\ndef g(x):\n    return 0\n"}
    )
    rows, rejects = history.mined()
    assert rejects == {"start": "the first commit"}
    (row,) = rows
    start = history.ids["start"].decode()[:12]
    assert (row["repository"], row["path"], row["unit"], row["name"]) == (
        f"library@{start}",
        "a.py",
        "function",
        "f",
    )
    assert (row["old"], row["new"]) == ("def f(x):\n    return x", "def f(x):\n    return x + 1")
    assert (row["message"], row["licence"], row["commit"]) == (
        "Add one",
        "MIT",
        history.ids["Add one"].decode(),
    )


def test_a_changed_method_is_taken_without_its_indentation(history: History) -> None:
    history.commit("class", {"c.py": CLASS.format("n")})
    history.commit("method", {"c.py": CLASS.format("n + 1")})
    rows, _ = history.mined()
    assert [(row["name"], row["new"]) for row in rows] == [
        ("A.f", "def f(self, n):\n    return n + 1")
    ]


def test_a_decorated_method_with_a_text_at_the_margin_is_taken(history: History) -> None:
    text = (
        "class A:\n    @staticmethod\n    def f(n):\n"
        '        s = """\nraw\n"""\n        return s * {}\n'
    )
    history.commit("class", {"c.py": text.format("n")})
    history.commit("method", {"c.py": text.format("3")})
    (row,) = history.mined()[0]
    assert row["new"] == '@staticmethod\ndef f(n):\n    s = """\nraw\n"""\n    return s * 3'


@pytest.mark.parametrize("end", ["\x0c", "x = 'a\u2028b'\n", "\r"])
def test_lines_are_those_of_the_syntax_tree(history: History, end: str) -> None:
    text = (
        f"import os\n{end}\ndef f(n):\n    return n\n\n"
        f"def g(n):\n    return {{}}\n\ndef h():\n    return 0\n"
    )
    history.commit("form", {"c.py": text.format("n")})
    history.commit("changed", {"c.py": text.format("n + 1")})
    assert [(row["name"], row["new"]) for row in history.mined()[0]] == [
        ("g", "def g(n):\n    return n + 1")
    ]


def test_code_that_is_nested_too_deeply_is_skipped(history: History) -> None:
    text = "x = " + " + ".join(["1"] * 100) + "\n\ndef f(n):\n    return {}\n"
    history.commit("deep", {"c.py": text.format("n")})
    history.commit("changed", {"c.py": text.format("n + 1")})
    rows, rejects = history.mined()
    assert not rows and rejects["changed"] == "the code is nested too deeply"


def test_more_than_a_function_is_taken_as_a_small_file(history: History) -> None:
    history.commit(
        "import too",
        {"a.py": "import os\n\ndef f(x):\n    return x + 1\n\n\ndef g(x):\n    return 0\n"},
    )
    (row,) = history.mined()[0]
    assert row["unit"] == "file" and row["name"] is None and row["new"].startswith("import os")
    rows, rejects = history.mined(max_lines=5)
    assert (
        not rows
        and rejects["import too"]
        == "more than one function, in a file of 8 lines: over the limit of 5"
    )


def test_what_is_not_taken_has_its_reason(history: History) -> None:
    history.commit("files", {"l.py": "x = 1\n", "z.py": "x = 1\n", "h.py": "x = 1\n"})
    history.commit("two files", {"a.py": "x = 1\n", "b.txt": "c"})
    history.commit("text", {"b.txt": "d"})
    history.commit("new file", {"n.py": "x = 1\n"})
    history.commit("comment", {"a.py": "x = 1  # one\n"})
    history.commit("broken", {"a.py": "x = (\n"})
    history.commit("mended", {"a.py": "x = 2\n"})
    history.commit('Revert "mended"', {"a.py": "x = 3\n"})
    history.commit("latin", {"l.py": "x = 'é'\n".encode("latin-1")})
    history.commit("binary", {"z.py": b"x = 1\0\n"})
    history.commit("huge", {"h.py": "x = 1\n" * 1000})
    history.commit("small again", {"h.py": "x = 1\n"})
    rows, rejects = history.mined(max_file_bytes=2000)
    assert not rows
    assert rejects == {
        "start": "the first commit",
        "files": "3 files changed",
        "two files": "2 files changed",
        "text": "not a Python file",
        "new file": "a file was not modified but: add",
        "comment": "only comments, docstrings or layout changed",
        "broken": "the code does not parse",
        "mended": "the code does not parse",
        'Revert "mended"': "a revert",
        "latin": "not UTF-8",
        "binary": "a binary file",
        "huge": "a file of 6000 bytes: over the limit of 2000",
        "small again": "a file of 6000 bytes: over the limit of 2000",
    }


def test_submodules_merges_and_shallow_histories_are_skipped(history: History) -> None:
    module = b"1" * 40
    history.commit_tree("submodule", lambda tree: tree.add(b"lib", 0o160000, module))
    history.commit_tree("submodule moves", lambda tree: tree.add(b"lib", 0o160000, b"2" * 40))
    history.ids["merge"] = history.repo.get_worktree().commit(
        message=b"merge", author=WHO, committer=WHO, tree=history.repo[history.repo.head()].tree,
        merge_heads=[history.ids["start"]], sign=False,
    )  # fmt: skip
    rows, rejects = history.mined()
    assert not rows and rejects["submodule moves"] == "not a regular file: a submodule or a link"
    assert (
        rejects["merge"] == "a merge" and rejects["submodule"] == "a file was not modified but: add"
    )


def test_a_shallow_history_ends_at_its_edge_with_a_reason(history: History) -> None:
    history.commit("cut off", {"a.py": "def f(x):\n    return 1\n\n\ndef g(x):\n    return 0\n"})
    history.commit("kept", {"a.py": "def f(x):\n    return 2\n\n\ndef g(x):\n    return 0\n"})
    # as `git clone --depth 1` leaves it: the edge is listed, and what is before it is not there
    (history.path / ".git" / "shallow").write_bytes(history.ids["kept"] + b"\n")
    for name in ("start", "cut off"):
        gone = history.ids[name].decode()
        (history.path / ".git" / "objects" / gone[:2] / gone[2:]).unlink()
    rows, rejects = history.mined()
    assert not rows and rejects == {"kept": "its parent is not here: the history is shallow"}


def test_missing_objects_of_a_partial_or_damaged_clone_are_told(history: History) -> None:
    history.commit("first", {"a.py": "x = 1\n"})
    history.commit("second", {"a.py": "x = 2\n"})
    history.commit("third", {"a.py": "x = 3\n"})
    store = history.path / ".git" / "objects"

    def lose(sha: bytes) -> None:
        (store / sha.decode()[:2] / sha.decode()[2:]).unlink()

    lose(history.repo[history.ids["second"]].tree)
    missing = "an object is missing: the clone is partial or damaged"
    rows, rejects = history.mined()
    assert [row["message"] for row in rows] == ["first"]
    assert rejects == {"start": "the first commit", "second": missing, "third": missing}
    # as after --filter=blob:none
    lose(history.repo[history.repo[history.ids["third"]].tree][b"LICENSE"][1])
    with pytest.raises(
        OrchardError, match="library: its licence cannot be read: an object is missing"
    ):
        history.mined()


def test_a_missing_commit_is_one_clear_line(history: History) -> None:
    history.commit("first", {"a.py": "x = 1\n"})
    history.commit("second", {"a.py": "x = 2\n"})
    sha = history.ids["first"].decode()
    (history.path / ".git" / "objects" / sha[:2] / sha[2:]).unlink()
    with pytest.raises(OrchardError, match=f"library: commit {sha} is missing: see `git fsck`"):
        history.mined()


def test_a_licence_that_changed_counts_from_the_commit_that_changed_it(history: History) -> None:
    history.commit("to GPL", {"LICENSE": GPL})
    history.commit("under GPL", {"a.py": "def f(x):\n    return 2\n"})
    history.commit("back", {"LICENSE": BSD})
    history.commit("under BSD", {"a.py": "def f(x):\n    return 3\n"})
    rows, rejects = history.mined()
    assert [(row["message"], row["licence"]) for row in rows] == [("under BSD", "BSD-2-Clause")]
    assert rejects["under GPL"] == "the licence at this commit is not permissive: GPL"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"LICENSE": GPL}, r"library: GPL: its commits are not taken; .* Apache-2.0, MIT"),
        ({"a.py": "x = 1"}, r"no licence file: its commits are not taken"),
        ({"LICENSE": "All rights reserved."}, r"a text that is not known: its commits"),
        ({"LICENSE": MIT, "COPYING": GPL}, r"GPL, MIT: its commits are not taken"),
        ({"LICENSE": BUSL}, r"a text that is not known: its commits"),
        (
            {"LICENSE": MIT, "LICENSE.txt": "Proprietary. All rights reserved."},
            r"MIT, a text that is not known: its",
        ),
        (
            {"LICENSE": '"Commons Clause" License Condition v1.0\n' + NOTICE},
            r"Apache-2.0, Commons-Clause: its commits",
        ),
    ],
)
def test_a_repository_without_a_permissive_licence_is_refused(
    tmp_path: Path, files: Files, message: str
) -> None:
    history = History(tmp_path / "library")
    history.commit("start", files)
    with pytest.raises(OrchardError, match=message):
        mine(history.path, MiningSettings())


def test_what_is_no_repository_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(
        OrchardError, match="is not a git repository: give the folder that holds .git"
    ):
        mine(tmp_path, MiningSettings())
    with pytest.raises(OrchardError, match="is not a git repository"):
        mine(tmp_path / "nowhere", MiningSettings())
    Repo.init(str(tmp_path))
    with pytest.raises(OrchardError, match="the repository has no commits"):
        mine(tmp_path, MiningSettings())


def test_a_repository_without_python_gives_no_rows_and_the_table_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(tmp_path / "prose")
    history.commit("start", {"LICENSE": MIT, "b.txt": "b"})
    history.commit("more", {"b.txt": "c"})
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path / "home"))
    assert mine_into_lake(history.path, "quick") == {
        "taken": 0,
        "not a Python file": 1,
        "the first commit": 1,
    }
    with Lake(tmp_path / "home") as lake:
        assert lake.read("code_changes").is_empty() and lake.read("rejects").height == 2
    history.commit("code", {"a.py": "x = 1\n"})
    history.commit("better code", {"a.py": "x = 2\n"})
    assert mine_into_lake(history.path, "quick")["taken"] == 1
    with Lake(tmp_path / "home") as lake:
        assert lake.read("code_changes")["message"].to_list() == ["better code"]


def test_two_folders_of_one_name_are_two_repositories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path / "home"))
    for who in ("alice", "bob"):
        (tmp_path / who).mkdir()
        history = History(tmp_path / who / "utils")
        history.commit(f"start of {who}", {"LICENSE": MIT, "a.py": "x = 1\n"})
        history.commit(f"by {who}", {"a.py": "x = 2\n"})
        mine_into_lake(history.path, "quick")
    mine_into_lake(history.path, "quick")
    # moved, and mined once more: still the same repository
    (tmp_path / "bob").rename(tmp_path / "robert")
    mine_into_lake(tmp_path / "robert" / "utils", "quick")
    with Lake(tmp_path / "home") as lake:
        assert sorted(lake.read("code_changes")["message"]) == ["by alice", "by bob"]


@contextmanager
def shallow(history: History, edge: str, before: str) -> Iterator[None]:
    """As `git fetch --depth` leaves it:
    the edge is listed, and the commit before it is not there.
    """
    sha = history.ids[before].decode()
    git = history.path / ".git"
    here = git / "objects" / sha[:2] / sha[2:]
    (git / "shallow").write_bytes(history.ids[edge] + b"\n")
    here.rename(git / "away")
    yield
    (git / "away").rename(here)
    (git / "shallow").unlink()


def test_a_commit_stands_once_however_deep_the_clone_was_when_it_was_mined(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path / "home"))

    def mined() -> tuple[list[str], int, int]:
        mine_into_lake(history.path, "quick")
        with Lake(tmp_path / "home") as lake:
            rows = lake.read("code_changes")
            return (
                sorted(rows["message"]),
                rows["repository"].n_unique(),
                lake.read("rejects").height,
            )

    for number in (1, 2, 3):
        history.commit(str(number), {"a.py": f"x = {number}\n"})
    with shallow(history, "1", before="start"):
        assert mined() == (["2", "3"], 1, 1)
    history.commit("4", {"a.py": "x = 4\n"})
    with shallow(history, "2", before="1"):
        assert mined() == (["3", "4"], 1, 1)
    assert mined() == (["1", "2", "3", "4"], 1, 1)


def test_rows_that_an_older_version_named_by_the_folder_alone_are_replaced(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path / "home"))
    history.commit("better", {"a.py": "x = 1\n"})
    (row,) = history.mined()[0]
    older = {**row, "change_id": "older", "repository": "library"}
    elsewhere = {**older, "commit": "0" * 40, "message": "of another library"}

    def mined_over(before: dict[str, Any]) -> list[tuple[str, str]]:
        with Lake(tmp_path / "home") as lake:
            rows = pl.DataFrame([before], schema=tables.empty("code_changes").schema)
            lake.write(
                "code_changes", rows, Commit("mine-commits"), partition={"repository": "library"}
            )
        mine_into_lake(history.path, "quick")
        return standing()

    def standing() -> list[tuple[str, str]]:
        with Lake(tmp_path / "home") as lake:
            return sorted(lake.read("code_changes").select("repository", "message").iter_rows())

    now = (row["repository"], "better")
    assert mined_over(older) == [now]
    assert mined_over(elsewhere) == [("library", "of another library"), now]
    with monkeypatch.context() as killed:
        killed.setattr("assets.cli.mining._earlier_names", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            mined_over(older)
    assert standing() == [("library", "better"), now]  # nothing lost, and the next mining mends it
    mine_into_lake(history.path, "quick")
    assert standing() == [now]


def test_a_fork_in_a_folder_of_another_name_has_its_own_rows_of_the_same_changes(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path / "home"))
    history.commit("better", {"a.py": "x = 1\n"})
    for path in (history.path, shutil.copytree(history.path, tmp_path / "fork")):
        mine_into_lake(path, "quick")
    with Lake(tmp_path / "home") as lake:
        rows = lake.read("code_changes")
    assert sorted(name.partition("@")[0] for name in rows["repository"]) == ["fork", "library"]
    assert rows["change_id"].n_unique() == 1


def test_licences_are_known_by_their_sentences() -> None:
    assert (
        licences_in((Path(__file__).parents[2] / "LICENSE").read_text())
        == licences_in(NOTICE)
        == {"Apache-2.0"}
    )
    assert (
        licences_in("This is unlike the Apache License, Version 2.0.") == set() == licences_in(BUSL)
    )
    assert licences_in(MIT) == {"MIT"} and licences_in(BSD) == {"BSD-2-Clause"}
    assert licences_in(BSD + " may not be used to endorse or promote products") == {"BSD-3-Clause"}
    assert licences_in("GNU LESSER GENERAL PUBLIC LICENSE") == {"LGPL"}
    assert one_of([MIT, NOTICE], ("MIT", "Apache-2.0"))[0] == "Apache-2.0"
    names = ["LICENSE", "LICENCE.txt", "COPYING.md", "license-mit", "licensing.py", "LICENSES_OLD"]
    assert [is_licence_file(name) for name in names] == [True, True, True, True, False, False]
