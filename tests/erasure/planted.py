"""A home in which one prompt's rows hold a canary wherever a text can stand, beside another's."""

import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from pipeline import tables
from pipeline.engine.cachefile import CacheFile
from pipeline.engine.session import cache_path
from pipeline.ids import content_id
from pipeline.store import Commit, Lake
from pipeline.store.commits import Written, record
from pipeline.store.replace import replace_rows
from pipeline.tables.links import LINKS

CANARY = "zzCanaryOfOnePerson"
GONE, KEPT = "gone", "kept"
POOLS = {GONE: "withdrawn", KEPT: "free"}
# A prompt's id leads to none of their rows: they are of a source.
OF_A_SOURCE = ("imports", "judges", "voter_checks", "code_changes", "recorded_code")
INLINED = "responses"  # the table of which the catalog itself holds rows
COMPLETION = ["", [1, 2], [-0.5, -0.25], "stop", None, 3]


def id_of(kind: str, who: str) -> str:
    """An id of what is of one of the two prompts."""
    return content_id(kind, who)


def word(who: str) -> str:
    """What each text of a prompt's rows holds."""
    return CANARY if who == GONE else "zzNothingOfAnyone"


def row(table: str, who: str, version: int, *, quiet: bool = False) -> dict[str, Any]:
    """A row in which every text that is no id holds the prompt's word.

    quiet: not in tables that a prompt's id does not lead to.
    """
    links = LINKS[table]
    ids = {name: kind for kind, name in (*links.made_from, *links.own[:1])}
    found: dict[str, Any] = {}
    for name, dtype in tables.empty(table).schema.items():
        if name in ids:
            found[name] = id_of(ids[name], f"{who} {name}" if ids[name] == "side" else who)
        elif name == links.source:
            found[name] = POOLS.get(who, POOLS[KEPT])
        else:
            said = KEPT if table in OF_A_SOURCE and quiet else who
            found[name] = _value(dtype, f"{word(said)} {name} {version} {who}", who)
    if table == "rejects":
        found |= {"row": json.dumps({"prompt_id": id_of("prompt", who), "text": word(who)})}
        found |= {"row_id": None, "prompt_id": None}
    if table in ("evaluations", "brought_evaluations", "tree_nodes"):
        found |= {name: id_of("prompt", who) for name in ("unit_id",) if name in found}
    return found


def _value(dtype: Any, text: str, who: str) -> Any:
    if isinstance(dtype, pl.List):
        return [_value(dtype.inner, text, who)]
    if isinstance(dtype, pl.Struct):
        inner = {one.name: _value(one.dtype, text, who) for one in dtype.fields}
        return inner | ({"item_id": id_of("side", who)} if "item_id" in inner else {})
    return {pl.String: text, pl.Boolean: False, pl.Int64: 1, pl.Float64: 0.5}[dtype.base_type()]


def put(lake: Lake, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Replace rows of tables in one version; whether they keep rules is not what is tried here."""
    database = lake._database

    def body() -> None:
        for table, own in rows.items():
            frame = pl.DataFrame(own, schema=tables.empty(table).schema)
            replace_rows(database, table, frame, {})
            written = Written(0, frame.height, 0, changed=True)
            commit = Commit("plant", fingerprint="f")
            record(database, table, commit, {}, written, same_as=None, seconds=0.0)

    database.transact(body)


def plant_lake(home: Path) -> None:
    """Three versions of every table: the second replaces the first, the third deletes a row."""
    with Lake(home) as lake:
        execute = lake._database.connection.execute
        option = "CALL lake.set_option('data_inlining_row_limit', 100, table_name => '{}')"
        execute(option.format(INLINED))
        for name, who in (("first", (KEPT, GONE, KEPT + "2")), ("second", (GONE, KEPT))):
            number = len(who)
            put(
                lake,
                {table: [row(table, one, number, quiet=True) for one in who] for table in LINKS},
            )
            lake.tag(name)
        put(lake, {"training_runs": [_run()]})
        for table in ("prompts", "tree_nodes"):
            lake._database.transact(
                lambda table=table: execute(f"DELETE FROM {table} WHERE prompt_id = ?", [GONE_ID])
            )
        lake.keep_copy()


def _run() -> dict[str, Any]:
    run = {
        name: _value(kind, "x", GONE) for name, kind in tables.empty("training_runs").schema.items()
    }
    return run | {
        "run_id": "r1", "variant": "outcome", "checkpoint": "policies/outcome-s0-1",
        "prompt_ids": [GONE_ID], "row_ids": [],
    }  # fmt: skip


def plant_files(home: Path) -> None:
    """The same in every other file of a home that may hold a text."""
    lake = home / "lake"
    spoilt = pl.DataFrame({"text": [CANARY] * 3})
    spoilt.write_parquet(lake / "files" / "main" / "prompts" / "orphan.parquet")
    (lake / "files" / "main" / "prompts" / "lost.parquet.damaged").write_text(CANARY)
    (lake / "tmp" / "spill.tmp").write_text(CANARY)
    (lake / "catalog.format1.sqlite").write_text(CANARY)
    (lake / "replaced-1").mkdir()
    (lake / "replaced-1" / "catalog.sqlite").write_text(CANARY)
    with closing(CacheFile(cache_path(home))) as cache:
        for number, text in enumerate(
            (f"so says {CANARY}", f"{word(KEPT)} text 3 {KEPT}", "no row's")
        ):
            cache.put(bytes([number]) * 16, [text, *COMPLETION[1:]], "m@1")
        cache.put(b"v" * 16, [0.25, 0.75], "m@1")
    cache_path(home).with_name("completions.sqlite.damaged-1").write_text(CANARY)
    (home / "cache" / "features").mkdir()
    (home / "cache" / "features" / "a.npz").write_text(CANARY)
    (home / "report.html").write_text(CANARY)
    (home / "dagster" / "history").mkdir(parents=True)
    with closing(sqlite3.connect(home / "dagster" / "history" / "runs.db")) as runs:
        runs.execute("CREATE TABLE events (event TEXT)")
        runs.execute("INSERT INTO events VALUES (?)", [CANARY])
        runs.commit()
    policy = home / "policies" / "outcome-s0-1"
    policy.mkdir(parents=True)
    (policy / "model.safetensors").write_bytes(b"weights")
    mine = {"row_id": None, "prompt_id": GONE_ID, "reason": "long", "row": f'"{CANARY}"'}
    note = {"row": {"run_id": "r1"}, "rejects": [mine, {**mine, "prompt_id": "other", "row": "{}"}]}
    policy.with_name("outcome-s0-1.json").write_text(json.dumps(note))
    (home / "policies" / "outcome-s1-1.job").mkdir()
    spoilt.write_parquet(home / "policies" / "outcome-s1-1.job" / "pairs.parquet")


GONE_ID = id_of("prompt", GONE)
KEPT_ID = id_of("prompt", KEPT)


def files_with(home: Path, text: str = CANARY) -> list[str]:
    """Files of a home that hold a text: in their bytes, or in a value of their columns."""
    return sorted(
        str(path.relative_to(home))
        for path in home.rglob("*")
        if path.is_file() and any(text in one for one in _readings(path))
    )


def _readings(path: Path) -> Iterator[str]:
    data = path.read_bytes()
    yield data.decode("latin-1")
    if path.suffix == ".parquet":
        yield str(pq.read_table(path).to_pylist())
    elif data[:2] == b"\x1f\x8b":
        yield zlib.decompress(data, 31).decode("latin-1")


def contents(home: Path) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """The rows of every table at some versions, without those of the prompt that goes."""
    with Lake(home) as lake:
        tagged = lake.releases()["version"].to_list()
        versions = [0, *tagged, tagged[-1] + 2, lake.version("tree_nodes")]
        return {
            (table, version): _kept(lake.read(table, version=version))
            for version in versions
            for table in (*LINKS, "training_runs")
        }


def _kept(frame: pl.DataFrame) -> list[dict[str, Any]]:
    return [
        one for one in frame.to_dicts() if CANARY not in str(one) and POOLS[GONE] not in str(one)
    ]
