"""Votes from elsewhere: their way into the lake, beside our own voters,
and what pairs with nothing but shares get.
"""

import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from assets.cli.importing_votes import bring_votes, holds_votes
from assets.cli.main import app
from pipeline import tables
from pipeline.config import NoiseSettings
from pipeline.errors import OrchardError
from pipeline.noise.judgement import judge
from pipeline.noise.votes import read_votes
from pipeline.noise.voting import from_elsewhere, imported, recorded_votes
from pipeline.preferences.voted import apply
from pipeline.store import Commit, Lake
from pipeline.tables import TABLES
from tests.noise.simulate import ETAS, world

SETTINGS = NoiseSettings(method="none", flip_share=1.0)


def pairs_of(ids: list[str]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "pair_id": ids, "prompt_id": [f"q{i}" for i in ids], "split": "train", "method": "made",
            "chosen_id": [f"{i} a" for i in ids], "rejected_id": [f"{i} b" for i in ids],
        }
    )  # fmt: skip


def test_pairs_with_nothing_but_shares_have_no_mean_and_are_treated_by_their_noise_score() -> None:
    w = world(1500, ETAS, clean=0.8)
    pairs = pairs_of(w.pair_ids)
    votes = recorded_votes(
        pairs, read_votes(w.votes.filter(pl.col("pair_id") != "p000000"))[0], "made"
    )
    strength, voters = judge(pairs, votes, "made", SETTINGS)
    for table, rows in (("pair_votes", votes), ("pair_strengths", strength), ("voters", voters)):
        good, bad = TABLES[table].filter(rows)
        assert good.height == rows.height and not bad.counts(), table
    assert strength.height == 1499  # nobody voted on the first
    assert strength["mean"].null_count() == strength["decile"].null_count() == 1499
    known = dict(voters.select("voter_id", "consensus").iter_rows())
    assert known == pytest.approx({**ETAS, "label:made": 0.8}, abs=0.05)
    score = dict(strength.select("pair_id", "noise_score").iter_rows())
    wrong = dict(zip(w.pair_ids, ~w.right, strict=True))
    assert np.mean([(score[key] > 0.5) == wrong[key] for key in score]) > 0.95
    made = pairs.with_columns(
        chosen=pl.lit("x"),
        rejected=pl.lit("y"),
        strength=1.0,
        margin=pl.lit(None, pl.Float64),
        flipped=False,
    )
    made = made.with_columns(chosen_ends=True, rejected_ends=True, prefix=pl.lit(""))
    flipped = apply("flip", made, strength, SETTINGS)
    assert set(flipped.filter("flipped")["pair_id"]) == {
        key for key, value in score.items() if value > 0.5
    }
    kept = apply("weight", made, strength, SETTINGS).filter(pair_id="p000000")
    assert kept["noise_score"].to_list() == [None] and kept["weight"].to_list() == [1.0]


def test_margins_and_shares_of_the_same_pairs_give_one_row_with_both() -> None:
    pairs = pairs_of([f"p{i}" for i in range(40)])
    margins = pl.DataFrame(
        {"pair_id": pairs["pair_id"], "voter_id": "rm", "margin": np.linspace(-30, 90, 40)}
    )
    people = pl.DataFrame({"pair_id": ["p0", "p0"], "voter_id": ["ann", None], "label": [0, 0]})
    votes = pl.concat([recorded_votes(pairs, read_votes(f)[0], "made") for f in (margins, people)])
    size = votes.select((pl.col("margin").drop_nulls() ** 2).mean().sqrt()).item()
    assert size == pytest.approx(math.sqrt(2))  # whatever scale the margins came on
    strength, _ = judge(pairs, votes, "made", SETTINGS)
    row = strength.filter(pair_id="p0").row(0, named=True)
    assert (row["n_votes"], row["share_against"], row["decile"]) == (3, 1.0, 0)
    assert strength.height == 40 and strength["mean"].null_count() == 0


def test_constant_margins_say_nothing_and_a_voter_of_constant_scores_is_unknown() -> None:
    w = world(300, ETAS)
    pairs = pairs_of(w.pair_ids)
    still = pl.DataFrame({"pair_id": w.pair_ids, "voter_id": "still", "margin": 0.0})
    frames = [recorded_votes(pairs, read_votes(f)[0], "made") for f in (w.votes, still)]
    assert frames[1]["p"].unique().to_list() == [0.5]
    voters = judge(pairs, pl.concat(frames), "made", SETTINGS)[1]
    assert voters.filter(voter_id="still")["consensus"].to_list() == [None]


def test_a_recorded_model_worse_than_chance_helps_as_much_as_its_opposite() -> None:
    rng = np.random.default_rng(0)
    w = world(2000, {"a": 0.85, "b": 0.8}, clean=0.8)
    pairs, people = pairs_of(w.pair_ids), read_votes(w.votes)[0]
    right = rng.random(2000) < 0.9
    margin = np.abs(rng.normal(1.5, 1, 2000)) * np.where(w.right == right, 1, -1)
    found = []
    for sign in (1, -1):
        model = pl.DataFrame({"pair_id": w.pair_ids, "voter_id": "rm", "margin": sign * margin})
        votes = [recorded_votes(pairs, v, "made") for v in (people, read_votes(model)[0])]
        found.append(judge(pairs, pl.concat(votes), "made", SETTINGS))
    (strength, voters), (turned, others) = found
    for column in ("mean", "spread", "share_against", "noise_score"):
        assert turned[column].to_numpy() == pytest.approx(strength[column].to_numpy(), abs=1e-4)
    honest, liar = (v.filter(voter_id="rm").to_dicts()[0] for v in (voters, others))
    assert liar["consensus"] < 0.2 and liar["agreement"] == pytest.approx((margin < 0).mean())
    mirrored = {
        "consensus": "consensus",
        "consensus_low": "consensus_high",
        "consensus_high": "consensus_low",
        "agreement": "agreement",
    }
    for name, other in mirrored.items():  # what is said is said of the side that it took
        assert liar[name] == pytest.approx(1 - honest[other], abs=1e-4)


def test_no_votes_at_all_are_no_rows() -> None:
    strength, voters = judge(pairs_of(["a"]), tables.empty("pair_votes"), "made", SETTINGS)
    assert strength.is_empty() and voters.is_empty()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lake with two pairs, both of prompt q."""
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path / "home"))
    row = {
        "variant": "v", "level": "response", "prompt_id": "q", "split": "train", "depth": 0,
        "prefix": "",
        "messages": [{"role": "user", "content": "?"}], "chosen": "x", "rejected": "y",
        "chosen_ends": True,
        "rejected_ends": True, "weight": 1.0, "flipped": False, "policy_id": "m", "method": "made",
    }  # fmt: skip
    rows = [
        {**row, "pair_id": key, "chosen_id": f"{key} a", "rejected_id": f"{key} b"}
        for key in ("one", "two")
    ]
    with Lake(tmp_path / "home") as lake:
        lake.write(
            "preferences",
            pl.DataFrame(rows, schema=tables.empty("preferences").schema),
            Commit("test"),
        )
    return tmp_path / "home"


def test_imported_votes_follow_the_two_sides_wherever_the_label_has_gone(
    home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "people.csv"
    file.write_text(
        "pair_id,annotator,label,order\none,ann,true,\n"
        "one,bob,0,\nthree,bob,1,\ntwo,ann,2,\ntwo,bob,maybe?,\n"
    )
    brought = bring_votes(file, "error")
    assert (brought.votes, brought.pairs, brought.rejected) == (2, 1, 3)
    reasons = {
        ("no such pair", 1),
        ("label is neither 0 nor 1", 1),
        ("label is 'maybe?', not a number", 1),
    }
    assert set(brought.reasons) == reasons
    bring_votes(file, "error")  # again: in place of the first
    with Lake(home) as lake:
        votes = lake.read("recorded_votes")
    good, bad = TABLES["recorded_votes"].filter(votes)
    assert good.height == 2 and not bad.counts()
    exchanged = pl.DataFrame({"pair_id": ["new"], "chosen_id": ["one b"], "rejected_id": ["one a"]})
    assert imported(exchanged, votes).select("pair_id", "voter_id", "p").rows() == [
        ("new", "ann", 0.0), ("new", "bob", 1.0),
    ]  # fmt: skip
    none = tables.empty("votes")
    found, rejects = from_elsewhere(exchanged, none, votes, "error")
    assert found.select("voter_id", "p").rows() == [("ann", 0.0), ("bob", 1.0)] and not rejects


def test_the_command_says_how_reliable_voters_are_and_takes_scores_of_both_sides(
    home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "rm.jsonl"
    rows = [
        {"pair_id": key, "voter_id": "rm", "chosen_score": 2.5, "rejected_score": 1.0}
        for key in ("one", "two")
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    done = CliRunner().invoke(app, ["import", str(file)])
    assert done.exit_code == 0 and "rm.jsonl: 2 votes on 2 pairs, 0 rejected rows" in done.output
    assert "reliability" in done.output
    with Lake(home) as lake:
        assert lake.read("recorded_votes").select("p", "margin").rows() == [
            (None, 1.5),
            (None, 1.5),
        ]
    file.write_text(json.dumps({"pair_id": "three", "p": 0.5}))
    refused = CliRunner().invoke(app, ["import", str(file)])
    assert (
        refused.exit_code == 1
        and "rm.jsonl: no row could be used: rm.jsonl row 1: no such pair" in refused.output
    )
    twice = {"pair_id": "one", "voter_id": "rm", "p": 0.5}
    file.write_text("\n".join([json.dumps(twice)] * 2))
    with pytest.raises(OrchardError, match="voter 'rm' votes 2 times on pair 'one'"):
        bring_votes(file, "error")
    assert bring_votes(file, "mean").votes == 2


def test_a_row_that_cannot_be_read_costs_a_file_of_json_only_itself(
    home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "votes.jsonl"
    said = [0.1 + 0.2, [0.4], "0.25", None, True, math.nan]
    file.write_text(
        "\n".join(
            json.dumps({"pair_id": "one", "voter_id": f"v{i}", "p": p}) for i, p in enumerate(said)
        )
    )
    brought = bring_votes(file, "error")
    assert set(brought.reasons) == {
        ("p is [0.4], not a number", 1), ("p is true, not a number", 1), ("no p", 2)
    }  # fmt: skip
    with Lake(home) as lake:
        assert lake.read("recorded_votes").sort("voter_id")["p"].to_list() == [0.1 + 0.2, 0.25]
        rejects = lake.read("rejects")
    assert rejects.height == 4


def test_votes_of_every_type_are_read_by_one_rule_and_their_other_columns_are_kept(
    home: Path, tmp_path: Path
) -> None:
    """What pandas, a spreadsheet and JSON write for two people's labels of one pair,
    and what is no id.
    """
    said: list[tuple[object, object]] = [
        ("ann", 1.0),
        ("bob", "0.0"),
        ("cat", True),
        (7, "true"),
        (math.nan, 0),
        (8.0, 1),
    ]
    rows = [
        {"pair_id": "one", "voter_id": who, "label": label, "minutes": 3} for who, label in said
    ]
    file = tmp_path / "people.jsonl"
    file.write_text(
        "\n".join(
            map(
                json.dumps,
                [*rows, {**rows[0], "pair_id": ["one"]}, {**rows[0], "voter_id": "\ud83d"}],
            )
        )
    )
    brought = bring_votes(file, "error")
    assert dict(brought.reasons) == {
        "voter_id is 8.0, not an id: write it as a text or a whole number": 1,
        "pair_id is ['one'], not an id: write it as a text or a whole number": 1,
        "voter_id holds half of a character (\\ud83d)": 1,
    }
    with Lake(home) as lake:
        votes = lake.read("recorded_votes").sort("voter_id")
        rejects = lake.read("rejects")
    assert dict(votes.select("voter_id", "p").iter_rows()) == {
        "7": 1,
        "ann": 1,
        "bob": 0,
        "cat": 1,
        "unknown": 0,
    }
    assert set(votes["metadata"]) == {'{"minutes": 3}'}
    assert sorted(rejects["row_id"]) == [f"people.jsonl row {n}" for n in (6, 7, 8)]


def test_a_share_and_a_margin_by_one_voter_are_one_line() -> None:
    pairs = pairs_of(["a"])
    vote = {
        "vote_id": "1",
        "origin": "f",
        "pair_id": "a",
        "chosen_id": "a a",
        "rejected_id": "a b",
        "voter_id": "k",
    }
    both = [{**vote, "order": "", "p": 0.5}, {**vote, "vote_id": "2", "order": "", "margin": 1.0}]
    frame = pl.DataFrame(both, schema=tables.empty("recorded_votes").schema)
    with pytest.raises(
        OrchardError, match="voter 'k' has a probability and a margin for pair 'a': import only one"
    ):
        from_elsewhere(pairs, tables.empty("votes"), frame, "error")


def test_votes_on_two_sides_as_pairs_of_two_variants_are_one_and_a_repeated_one_an_error() -> None:
    pairs = pairs_of(["a"])
    vote = {"origin": "f", "chosen_id": "a a", "rejected_id": "a b", "voter_id": "k", "order": ""}
    turned = {**vote, "chosen_id": "a b", "rejected_id": "a a"}
    said = [{**vote, "pair_id": "one", "p": 0.9}, {**turned, "pair_id": "two", "p": 0.3}]
    nobody = [{**row, "voter_id": "unknown"} for row in said]

    def found(rows: list[dict[str, object]]) -> list[tuple[object, ...]]:
        numbered = [{**row, "vote_id": str(i)} for i, row in enumerate(rows)]
        frame = pl.DataFrame(numbered, schema=tables.empty("recorded_votes").schema)
        return (
            from_elsewhere(pairs, tables.empty("votes"), frame, "error")[0]
            .select("voter_id", "p")
            .rows()
        )

    assert found(said) == [("k", pytest.approx((0.9 + 0.7) / 2))]
    # perhaps two people
    assert found(nobody) == [("unknown", pytest.approx(0.7)), ("unknown", 0.9)]
    with pytest.raises(OrchardError, match="voter 'k' votes 2 times on pair 'a'"):
        found([*said, said[0]])


def test_files_that_bring_the_texts_of_their_pairs_are_no_files_of_votes() -> None:
    assert holds_votes(["pair_id", "voter_id", "p"])
    # JudgeBench
    assert not holds_votes(["pair_id", "question", "response_A", "response_B", "label"])
    assert not holds_votes(["prompt", "first", "second", "p_first"])
