"""Variants of a profile's own:
a few lines of SQL, a control for nothing, and mistakes in one line.
"""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline import config
from pipeline.config import Settings
from pipeline.errors import OrchardError
from pipeline.preferences.build import build
from pipeline.preferences.custom import check
from pipeline.preferences.registry import check_sources, reads_of, registry
from pipeline.steps.declared import Rows, table_of
from pipeline.store import Commit, Lake
from tests.preferences.test_build import frame
from tests.runs import made_from, write_pairs

VARIANTS = registry(config.load("quick"))
SHORT = """-- Is the shorter right answer the better one?
SELECT a.prompt_id, a.text AS chosen, b.text AS rejected, a.response_id AS chosen_id
FROM responses a JOIN responses b USING (prompt_id)
WHERE a.correct AND b.correct AND length(a.text) < length(b.text); -- texts only
"""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path)
    prompts = [
        {
            "prompt_id": f"p{i}",
            "split": split,
            "messages": [{"role": "user", "content": f"question {i}"}],
        }
        for i, split in enumerate(["train", "train", "validation", "test"])
    ]
    pool = {
        "pool": "x",
        "task": "x",
        "answer": "7",
        "verifier": "number",
        "source": "test",
        "licence": "none",
    }
    response = {
        "policy_id": "m", "on_policy": True, "draw": 0, "sampling": "{}", "tokens": 1,
        "prompt_tokens": 1, "logprob_mean": -1.0, "finish_reason": "stop", "correct": True,
    }  # fmt: skip
    responses = [
        {"response_id": f"r{i}{text}", "prompt_id": f"p{i}", "text": text}
        for i in range(3)
        for text in ("7", "is 7")
    ]
    lake.write("prompts", frame("prompts", prompts, **pool), Commit("test"))
    lake.write("responses", frame("responses", responses, **response), Commit("test"))
    return lake


def profile(folder: Path, *variants: dict[str, Any], sql: str = SHORT) -> Settings:
    (folder / "mine.sql").write_text(sql)
    settings = config.load("quick")
    own = [{"sql": str(folder / "mine.sql"), **v} if "source" not in v else v for v in variants]
    return Settings(**{**settings.model_dump(), "variants": own})


def test_a_few_lines_of_sql_make_a_variant_whose_gaps_are_filled(
    lake: Lake, tmp_path: Path
) -> None:
    settings = profile(tmp_path, {"name": "short", "loss": "ipo"})
    pairs = build("short", lake, settings)
    assert pairs.select("prompt_id", "split", "chosen", "rejected", "chosen_id").rows() == [
        (f"p{i}", split, "7", "is 7", f"r{i}7")
        for i, split in enumerate(["train", "train", "validation"])
    ]
    row = pairs.row(0, named=True)
    assert row["messages"] == [{"role": "user", "content": "question 0"}]
    assert (row["weight"], row["depth"], row["chosen_ends"], row["flipped"], row["level"]) == (
        1,
        0,
        True,
        False,
        "response",
    )
    assert row["strength"] is None and row["policy_id"] is None
    written = lake.write("preferences", pairs, Commit("test"))
    assert (written.rows, written.rejected) == (3, 0)
    assert registry(settings)["short"].loss == "ipo" and "short" not in VARIANTS
    assert made_from("short", settings) == ["responses", "prompts"]  # read from the query itself


def test_its_control_comes_with_it_and_keeps_what_the_label_claimed(
    lake: Lake, tmp_path: Path
) -> None:
    sql = SHORT.replace("AS chosen_id", "AS chosen_id, 0.9 AS strength, 2 AS margin").replace(
        " AND length(a.text) <", " AND length(a.text) !="
    )
    settings = profile(tmp_path, {"name": "short"}, sql=sql)
    real, control = build("short", lake, settings), build("short_shuffled", lake, settings)
    assert registry(settings)["short_shuffled"].control_of == "short"
    assert control["flipped"].sum() == sum(n // 2 for n in real.group_by("split").len()["len"])
    assert set(control["strength"]) == {0.9} and set(control["margin"]) == {2.0}
    sides = {frozenset(row) for row in real.select("chosen_id", "rejected_id").rows()}
    assert {frozenset(row) for row in control.select("chosen_id", "rejected_id").rows()} == sides


def test_a_variant_may_start_from_anothers_pairs(lake: Lake, tmp_path: Path) -> None:
    first = {"name": "short"}
    second = {"name": "train_only", "source": "short", "sql": str(tmp_path / "second.sql")}
    third = {"name": "short_ipo", "source": "short", "loss": "ipo"}
    (tmp_path / "second.sql").write_text("SELECT * FROM source WHERE split = 'train'")
    settings = profile(tmp_path, first, second, third)
    write_pairs(lake, settings, "short")
    assert build("train_only", lake, settings)["prompt_id"].to_list() == ["p0", "p1"]
    one, other = build("short", lake, settings), build("short_ipo", lake, settings)
    assert one.drop("pair_id", "variant", "method").equals(
        other.drop("pair_id", "variant", "method")
    )
    assert not set(one["pair_id"]) & set(other["pair_id"])
    assert registry(settings)["short_ipo"].loss == "ipo"
    # of its source
    assert made_from("short_ipo", settings) == ["preferences", "responses", "prompts"]
    assert reads_of("short_ipo", settings).tables == (Rows("preferences", "variant", "short"),)


def test_with_tables_of_its_own_and_thoughts_are_told_apart(lake: Lake, tmp_path: Path) -> None:
    sql = (
        "WITH votes AS (SELECT * FROM tree_nodes) "
        "SELECT prompt_id, text AS chosen, '' AS rejected FROM votes"
    )
    settings = profile(tmp_path, {"name": "own", "needs": ["thought_nodes"]}, sql=sql)
    assert registry(settings)["own"].reads.tables == (Rows("tree_nodes", "method", "tot"),)
    settings = profile(tmp_path, {"name": "own"}, sql=sql)
    assert registry(settings)["own"].reads.tables == ("tree_nodes",)


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELEC 1", "mine.sql: expected one SELECT: syntax error at or near"),
        ("SELECT 1; SELECT 2", "mine.sql: expected one SELECT: 2 statements"),
        ("DELETE FROM responses", "mine.sql: expected one SELECT"),
        ("SELECT * FROM preferences", "reads preferences, which is made from variants: set source"),
        ("SELECT prompt_id, text AS chosen FROM responses",
         "has no column 'rejected': it needs prompt_id, ch"),
        (SHORT.replace("AS chosen_id", "AS chosn_id"), "'chosn_id' is no column of preferences"),
        (SHORT.replace("a.correct", "a.korrect"), 'Binder Error: .*korrect'),
        (SHORT.replace("responses a", "answers a"), "Table with name answers does not exist"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_query_is_one_line_before_anything_runs(
    sql: str, says: str, lake: Lake, tmp_path: Path
) -> None:
    settings = profile(tmp_path, {"name": "mine"}, sql=sql)
    with pytest.raises(OrchardError, match=f"variant 'mine': .*{says}") as caught:
        registry(settings)
        check(settings, lake)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("part", "instead", "says"),
    [
        ("length(a.text) <", "0 >", "gives no rows"),
        ("SELECT a", "SELECT 'x' AS margin, a", "column 'margin' is String, which is not Float64"),
        (
            "a.prompt_id",
            "'lost' AS prompt_id",
            "3 of 3 rows have a prompt_id that `prompts` lacks, the first lost",
        ),
        (
            ";",
            "UNION ALL SELECT prompt_id, 'x', 'y', 'z' FROM prompts;",
            "1 of 7 rows belong to test prompts",
        ),
        (
            ";",
            "UNION ALL SELECT 'p1', '7', 'is 7', 'z';",
            "2 of 4 rows are there more than once, one of prompt p1",
        ),
    ],
)
def test_rows_that_are_no_pairs_stop_the_build_in_one_line(
    part: str, instead: str, says: str, lake: Lake, tmp_path: Path
) -> None:
    settings = profile(tmp_path, {"name": "mine"}, sql=SHORT.replace(part, instead))
    check(settings, lake)
    with pytest.raises(OrchardError, match=f"variant 'mine': .*{says}"):
        build("mine", lake, settings)


@pytest.mark.parametrize(
    ("variants", "says"),
    [
        ([{"name": "outcome"}], "the name 'outcome' is taken"),
        ([{"name": "base"}], "the name 'base' is taken"),
        ([{"name": "mine"}, {"name": "mine"}], "the name 'mine' is taken"),
        ([{"name": "mine"}, {"name": "mine_shuffled"}], "the name 'mine_shuffled' is taken"),
        (
            [{"name": "mine", "source": "later"}, {"name": "later"}],
            "source 'later' is not a variant",
        ),
        ([{"name": "mine", "source": "bco"}], "source 'bco' has no pairs"),
        (
            [{"name": "mine", "needs": ["leaderboard"]}],
            "needs 'leaderboard', which is no table that pairs are made",
        ),
        ([{"name": "mine", "sql": "/nowhere.sql"}], "/nowhere.sql: No such file or directory"),
    ],
)
def test_a_declaration_that_cannot_be_is_one_line(
    variants: list[dict[str, Any]], says: str, tmp_path: Path
) -> None:
    with pytest.raises(OrchardError, match=says):
        registry(profile(tmp_path, *variants))


def voting_on(settings: Settings, source: str) -> Settings:
    """A profile that compares a variant made from votes, and votes on the pairs of `source`."""
    noise = settings.noise.model_copy(update={"source": source})
    names = settings.validation.model_copy(update={"variants": ("voted_flip",)})
    return settings.model_copy(update={"noise": noise, "validation": names})


def test_votes_on_pairs_that_are_made_from_others_are_refused(tmp_path: Path) -> None:
    settings = profile(tmp_path, {"name": "a", "source": "outcome"})
    check_sources(settings)
    check_sources(voting_on(settings, "outcome"))
    for source in ("a", "rationale"):
        with pytest.raises(
            OrchardError,
            match=f"noise.source: '{source}' is itself made from the pairs of 'outcome'",
        ):
            check_sources(voting_on(settings, source))
    says = (
        "noise.source: 'voted_drop' is itself made from votes: name a variant .* such as 'outcome'"
    )
    with pytest.raises(OrchardError, match=says):
        check_sources(voting_on(settings, "voted_drop"))


def test_a_source_that_treats_anothers_pairs_is_refused_in_one_line(tmp_path: Path) -> None:
    for source in ("voted_drop", "rationale", "first"):
        settings = profile(
            tmp_path, {"name": "first", "source": "outcome"}, {"name": "b", "source": source}
        )
        with pytest.raises(
            OrchardError,
            match=f"variant 'b': source '{source}' is itself made from the pairs of 'out",
        ):
            check_sources(settings)


def test_a_profile_names_its_files_from_its_own_folder_and_misses_are_told(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "base.yaml").write_text(
        "extends: quick\nvariants: [{name: mine, sql: mine.sql}]\n"
    )
    (tmp_path / "top.yaml").write_text(f"extends: {tmp_path}/sub/base.yaml\nseed: 3\n")
    assert config.load(str(tmp_path / "top.yaml")).variants[0].sql == str(
        tmp_path / "sub" / "mine.sql"
    )
    (tmp_path / "none.yaml").write_text("extends: quick\nvariants: [{name: mine}]\n")
    with pytest.raises(OrchardError, match="variant 'mine' needs sql, source, or both"):
        config.load(str(tmp_path / "none.yaml"))


def test_every_variant_has_a_control_or_says_why_not() -> None:
    controlled = {variant.control_of for variant in VARIANTS.values()} - {None}
    for name, variant in VARIANTS.items():
        if variant.control_of is None:
            assert (name in controlled) != bool(variant.no_control), name
        else:
            source = VARIANTS[variant.control_of]
            assert source.control_of is None and (source.rows, source.loss) == (
                variant.rows,
                variant.loss,
            ), name
            assert {*map(table_of, source.reads.tables)} == {
                *map(table_of, variant.reads.tables)
            }, name


def test_no_rows_at_all_keep_the_shape_of_the_table(tmp_path: Path) -> None:
    empty = Lake(tmp_path / "empty")
    assert build("outcome_shuffled", empty, config.load("quick")).equals(
        pl.DataFrame(schema=build("outcome", empty, config.load("quick")).schema)
    )
