"""`orchard import` of every kind of source: what it says, what it replaces, what it refuses."""

import json
from pathlib import Path

import datasets
import pytest
from click.testing import Result
from typer.testing import CliRunner

from assets.cli.main import app
from pipeline.config import load
from pipeline.errors import OrchardError
from pipeline.named import check_names
from pipeline.store import Lake
from tests.sources.made import fake_hub, pairs, write


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def run(*words: object, command: str = "import") -> Result:
    return CliRunner().invoke(app, [command, *map(str, words)])


def done(*words: object, command: str = "import") -> list[str]:
    result = run(*words, command=command)
    assert result.exit_code == 0, result.output
    return [line.partition(";")[0] for line in result.stdout.splitlines()]


def refused(*words: object) -> str:
    result = run(*words)
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert result.stderr.startswith("orchard: ") and result.stdout == ""
    return result.stderr.strip()


def imported(home: Path) -> list[tuple[str, int]]:
    with Lake(home) as lake:
        query = "SELECT origin, count(*) FROM recorded_pairs GROUP BY ALL ORDER BY ALL"
        return lake.sql(query).rows()


def test_a_folder_comes_in_whole_and_again_replaces_itself(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "fruit"
    write(folder / "a.parquet", pairs("nut", "fruit"))
    write(folder / "b" / "c.jsonl.zst", [*pairs("colour", "nut"), {"prompt": "no pair"}])
    (folder / "README.md").write_text("# card")
    said = done(folder)
    assert said[:2] == [
        "recognised: our own columns",
        "fruit: 0 votes, 3 pairs, 1 rejected rows, 1 repeats",
    ]
    repeat = "the same labelled pair as fruit row 1 of a.parquet: the first one counts"
    assert f"  left out 1 x {repeat}" in said
    assert said[-1] == "  not read, for they hold no rows: README.md"
    with Lake(home) as lake:
        rejected = lake.read("rejects")["row_id"].to_list()
        (kept,) = lake.read("imports").select("origin", "path").rows()
    assert sorted(rejected) == ["fruit row 2 of b/c.jsonl.zst", "fruit row 3 of b/c.jsonl.zst"]
    assert kept == ("fruit", str(folder))

    assert "  replaces 3 pairs of an earlier fruit" in done(folder, "--limit", 1)
    assert imported(home) == [("fruit", 1)]
    write(tmp_path / "else" / "fruit" / "a.csv", pairs("tree"))
    other = refused(tmp_path / "else" / "fruit")
    assert f"'fruit' is the name of another source, {folder}: " in other
    assert other.endswith("give this one a name with --as")
    done(tmp_path / "else" / "fruit", "--as", "trees")
    assert imported(home) == [("fruit", 1), ("trees", 1)]
    again = refused(tmp_path / "else" / "fruit", "--as", "wood")
    assert "its rows are here already, imported as 'trees'" in again


def test_files_of_any_name_come_in_and_their_rejects_are_kept(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    write(folder / "\udcff.jsonl", [*pairs("nut"), {"prompt": "p"}])  # no UTF-8
    write(folder / "a\nrecognised: b\x1b[2J.jsonl", [*pairs("fruit"), {"prompt": "p"}])
    (folder / "\udcfe\n.md").write_text("")
    said = done(folder)
    assert said[1] == "odd: 0 votes, 2 pairs, 2 rejected rows, 0 repeats"
    assert said[-1] == "  not read, for they hold no rows: \\udcfe\\n.md"
    with Lake(home) as lake:
        rejected = sorted(lake.read("rejects")["row_id"])
    assert rejected == [
        "odd row 2 of \\udcff.jsonl",
        "odd row 2 of a\\nrecognised: b\x1b[2J.jsonl",
    ]


def test_saved_data_sets_come_in(home: Path, tmp_path: Path) -> None:
    one, other = (datasets.Dataset.from_list(pairs(*nouns)) for nouns in ("ab", "cd"))
    one.save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict({"train": one, "test": other}).save_to_disk(str(tmp_path / "both"))
    assert "one: 0 votes, 2 pairs, 0 rejected rows, 0 repeats" in done(tmp_path / "one")
    done(tmp_path / "both", "--split", "train", "--split", "test")
    done(tmp_path / "both", "--split", "test", "--as", "test")
    assert imported(home) == [("both", 4), ("one", 2), ("test", 2)]


def test_an_id_of_the_hub_comes_in_under_the_last_part_of_its_id(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_hub(tmp_path / "hub", monkeypatch, "main", "more")
    configs = ("--config", "main", "--config", "more")
    assert "set: 0 votes, 10 pairs, 0 rejected rows, 0 repeats" in done("hf:org/set", *configs)
    said = done("hf:org/set", *configs, "--limit", 4)
    assert "  replaces 10 pairs of an earlier set" in said
    assert "'set' is the name of another source, hf:org/set config=main,more: " in refused(
        "hf:org/set", "--config", "main"
    )
    with Lake(home) as lake:
        assert lake.read("imports").select("origin", "path").rows() == [
            ("set", "hf:org/set config=main,more")
        ]


def test_columns_of_an_unknown_layout_are_mapped(home: Path, tmp_path: Path) -> None:
    rows = [
        {"ask": "Name a nut.", "output": {"good": "Hazel.", "bad": "Lamp.", "by": "ann"}},
        {"ask": "Name a fruit.", "output": "Apple."},
    ]
    file = write(tmp_path / "odd.jsonl", rows)
    assert "its columns are ask, output: " in refused(file)
    names = "prompt=ask,chosen=output.good,rejected=output.bad"
    said = done(file, "--map", names)
    assert said[0] == "recognised: TRL, with a prompt"
    assert "  left out 1 x output holds text, not an object with 'good'" in said
    with Lake(home) as lake:
        (pair,) = lake.read("recorded_pairs").to_dicts()
    assert {pair["first"], pair["second"]} == {"Hazel.", "Lamp."}
    assert json.loads(pair["metadata"]) == {"output": {"by": "ann"}}


def test_what_is_refused_writes_nothing(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "a.jsonl", pairs("nut"))
    assert "map: there is no column 'x': its columns are prompt, " in refused(
        file, "--map", "first=x"
    )
    assert "names no two columns" in refused(file, "--map", "first")
    twice = write(tmp_path / "b.jsonl", [{"prompt": "p", "first": "a", "second": "b"}])
    assert refused(twice).startswith("orchard: b.jsonl: column judge_id is missing: ")
    assert "has no splits: leave out train" in refused(file, "--split", "train")
    write(tmp_path / "two" / "a.jsonl", pairs("nut"))
    write(tmp_path / "two" / "b.csv", [{"prompt": "p", "chosen": "c", "rejected": "r"}])
    assert refused(tmp_path / "two").endswith(
        "a.jsonl holds our own columns, and b.csv TRL, with a prompt: "
        "import them apart, each under a name of its own"
    )
    fake_hub(tmp_path / "hub", monkeypatch, "main")
    (tmp_path / "hub" / "main" / "test.parquet").write_bytes(b"PAR1 cut off")
    assert "hf:org/set cannot be read: " in refused("hf:org/set")
    assert "hf:org/set cannot be read: " in refused("hf:org/set", "--limit", 4)
    assert not home.exists()
    assert run(file, "--limit", 0).exit_code == 2


def test_pairs_of_code_come_from_every_kind_of_source_too(home: Path, tmp_path: Path) -> None:
    naive, improved = "def f(a):\n    return a", "def f(a):\n    return a + 1"
    rows = [{"instruction": text, "naive": naive, "improved": improved} for text in "ab"]
    write(tmp_path / "code" / "a.json.gz", rows)
    said = done(tmp_path / "code", "--as", "fixes", "--limit", 1, command="import-code")
    assert said[1].startswith("fixes: pairs of code: 1 ")
    with Lake(home) as lake:
        assert lake.read("recorded_code")["origin"].to_list() == ["fixes"]


def test_a_source_of_a_profile_has_no_variants_name(tmp_path: Path) -> None:
    profile = tmp_path / "mine.yaml"
    profile.write_text("extends: quick\nsources: [{name: outcome, path: hf:org/set}]\n")
    with pytest.raises(OrchardError, match="sources: the name 'outcome' is taken"):
        check_names(load(str(profile)))
    profile.write_text("extends: quick\nsources: [{name: uf, path: hf:org/set, map: {a: b.c}}]\n")
    check_names(load(str(profile)))
