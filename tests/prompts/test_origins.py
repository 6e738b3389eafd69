"""Imported files are known by content and path:
the same file replaces itself, another one never does.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from assets.cli.importing import bring
from assets.cli.main import app
from pipeline.config import JudgeSettings
from pipeline.errors import OrchardError
from pipeline.prompts.origins import Origin
from pipeline.prompts.origins import origin_of as origin_of_source
from pipeline.sources.opened import open_source
from pipeline.store import Lake

APPLE = {"prompt": "Name a fruit.", "first": "Apple.", "second": "Chair.", "label": "first"}
HAZEL = {"prompt": "Name a nut.", "first": "Hazel.", "second": "Lamp.", "label": "first"}
RED = {"prompt": "Name a colour.", "first": "Red.", "second": "Table.", "label": "first"}


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def origin_of(path: Path, known: list[dict[str, Any]], name: str | None = None) -> Origin:
    return origin_of_source(open_source(path), known, name)


def known(*origins: Origin) -> list[dict[str, Any]]:
    return [{"origin": one.name, "path": one.path, "content": one.content} for one in origins]


def test_a_file_is_itself_by_its_path_or_its_content(tmp_path: Path) -> None:
    a = write(tmp_path / "a" / "train.jsonl", APPLE)
    first = origin_of(a, [])
    assert (first.name, first.path, first.again) == ("train.jsonl", str(a), False)
    assert origin_of(a, known(first)).again
    moved = write(tmp_path / "elsewhere" / "renamed.jsonl", APPLE)
    assert origin_of(moved, known(first)) == Origin(
        "train.jsonl", str(moved), first.content, again=True
    )
    write(a, APPLE, HAZEL)  # the same path, and more in it
    assert origin_of(a, known(first)).again
    # of before paths were kept
    assert origin_of(a, [{"origin": "train.jsonl", "path": None, "content": None}]).again


def test_another_file_of_the_same_name_needs_a_name(tmp_path: Path) -> None:
    a = origin_of(write(tmp_path / "a" / "train.jsonl", APPLE), [])
    b = write(tmp_path / "b" / "train.jsonl", RED)
    with pytest.raises(
        OrchardError,
        match=r"'train.jsonl' is the name of another source, \S+a/train.jsonl: .* --as$",
    ):
        origin_of(b, known(a))
    named = origin_of(b, known(a), "colours")
    assert (named.name, named.again) == ("colours", False)
    assert origin_of(b, known(a, named)).name == "colours"  # from now on without the name too
    with pytest.raises(OrchardError, match="'colours' is the name of another source"):
        origin_of(write(tmp_path / "c" / "train.jsonl", HAZEL), known(a, named), "colours")
    with pytest.raises(OrchardError, match="its rows are here already, imported as 'colours'"):
        origin_of(b, known(a, named), "paints")


@pytest.mark.parametrize("name", ["half \ud83d", "\udcff"])
def test_a_name_that_is_no_utf8_needs_another(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        OrchardError, match=r"the source's name is no UTF-8: give it a name with --as$"
    ) as caught:
        origin_of(write(tmp_path / "a.jsonl", APPLE), [], name)
    assert str(caught.value).encode()
    with pytest.raises(OrchardError, match="no file"):
        origin_of(tmp_path / "none.jsonl", [])


def test_two_files_of_one_name_are_both_kept_and_what_is_replaced_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path / "home"))
    a, b = (
        write(tmp_path / "a" / "train.jsonl", APPLE, HAZEL),
        write(tmp_path / "b" / "train.jsonl", RED),
    )

    assert bring(a, JudgeSettings()).replaced == 0
    with pytest.raises(OrchardError, match="--as"):
        bring(b, JudgeSettings())
    bring(b, JudgeSettings(), "colours")
    shown = CliRunner().invoke(app, ["import", str(a)]).output
    assert shown.startswith("recognised: our own columns")
    assert "train.jsonl: 0 votes, 2 pairs, 0 rejected rows, 0 repeats" in shown
    assert "replaces 2 pairs of an earlier train.jsonl" in shown
    with Lake(tmp_path / "home") as lake:
        origins = lake.sql(
            "SELECT origin, count(*) FROM recorded_pairs GROUP BY ALL ORDER BY ALL"
        ).rows()
        kept = lake.read("imports").select("origin", "path", "layout").rows()
    assert origins == [("colours", 1), ("train.jsonl", 2)]
    assert sorted(kept) == [
        ("colours", str(b), "our own columns"),
        ("train.jsonl", str(a), "our own columns"),
    ]
