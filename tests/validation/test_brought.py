"""Policies that were trained elsewhere: measured as the profile's own, tested apart from them."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from pipeline import config, tables
from pipeline.brought import brought_row, check_name, settings_of
from pipeline.config import AskedModelSettings, Settings, ValidationSettings
from pipeline.engine.base import Prompt, Sampling
from pipeline.engine.model import Model, resolve
from pipeline.engine.room import EngineRoom
from pipeline.errors import OrchardError
from pipeline.training.reference import reference_logps
from pipeline.validation import candidates
from pipeline.validation.candidates import measure
from pipeline.validation.comparisons import compare, compare_on_sets
from pipeline.validation.evaluate import Candidate, units
from pipeline.validation.footing import footing
from pipeline.validation.leaderboard import rank
from pipeline.validation.ranked import Ranked, RankedBy
from tests.fake_server import Answer, FakeServer, chat
from tests.scripted import ScriptedEngine
from tests.training.toy import pair, save_llama

OPTIONS = ValidationSettings(bootstrap=300)
RUNS = tables.empty("training_runs")


@pytest.mark.parametrize(
    ("name", "why"),
    [("base", "is the name of a policy"), ("tree_plv", "is the name of"), ("a b", "use letters")],
)
def test_names_that_a_policy_has_or_no_table_takes_are_refused(name: str, why: str) -> None:
    with pytest.raises(OrchardError, match=why):
        check_name(name, {"base", "tree_plv"})


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (("./nowhere", None, None), "no such folder"),
        (("EMPTY", None, None), "lacks a configuration"),
        (("http://localhost:1", None, None), "say with --model what the server calls it"),
        (("http://user:pw@host", "m", None), "a server's url holds no user"),
        (("EMPTY", "m", None), "is no server's address: leave --model and --key out"),
    ],
)
def test_what_is_no_policy_is_refused_in_a_line(
    tmp_path: Path, asked: tuple[str, str | None, str | None], why: str
) -> None:
    (tmp_path / "EMPTY").mkdir()
    place = asked[0].replace("EMPTY", str(tmp_path / "EMPTY"))
    with pytest.raises(OrchardError, match=why) as refused:
        brought_row("mine", place, *asked[1:], home=tmp_path)
    assert "\n" not in str(refused.value)


def test_a_servers_model_is_known_by_its_name_and_address(tmp_path: Path) -> None:
    one, other = (
        brought_row("mine", f"http://{host}:8000/v1", "m", "KEY", tmp_path) for host in "ab"
    )
    assert one["policy_id"] != other["policy_id"] and one["key_env"] == "KEY"
    asked = settings_of(one, 512)
    assert asked.max_model_len == 512 and resolve(asked, tmp_path).policy_id == one["policy_id"]


def on_sums(pairs: pl.DataFrame, reference: pl.DataFrame, base: Model) -> candidates.Test:
    quick = config.load("quick").model_dump()
    training = {**quick["training"], "max_length": 400, "micro_tokens": 2048}
    settings = Settings(**{**quick, "training": training})
    prompts = pl.DataFrame(
        [
            {"prompt_id": f"p{i}", "pool": "sums", "task": "sums", "split": "test", "answer": "7",
             "messages": [{"role": "user", "content": f"What is {i}?"}], "verifier": "number",
             "metadata": None, "source": "s", "licence": "MIT"}
            for i in range(6)
        ],
        schema=tables.empty("prompts").schema,
    )  # fmt: skip
    engine = ScriptedEngine(lambda prefix, sampling, n: "It is 7.")
    return candidates.Test(settings, prompts, {}, pairs, reference, base, engine, [], lambda: None)


def test_the_same_weights_have_the_same_values_wherever_they_were_trained(tmp_path: Path) -> None:
    """Each metric of a copied policy folder is that of the policy itself, unit by unit."""
    base = Model(save_llama(tmp_path / "base", seed=0), "base@0")
    own = Model(save_llama(tmp_path / "own", seed=1), "own@0")
    copied = shutil.copytree(tmp_path / "own", tmp_path / "copy")
    pairs = pl.DataFrame(
        [pair(f"Is {i} even?", split="validation") for i in range(4)],
        schema=tables.empty("preferences").schema,
    )
    training = config.section(config.load("quick").training, max_length=400, micro_tokens=2048)
    reference = reference_logps(base.path, pairs, training, policy_id="base@0")
    test = on_sums(pairs, reference, base)

    def rows(candidate: Candidate, model: Model) -> pl.DataFrame:
        engine = ScriptedEngine(lambda prefix, sampling, n: "It is 7.")
        found, failed = measure(test, candidate, model, engine, lambda *_: None)
        assert not failed
        return found.select("metric", "unit_id", "value", "n", "tokens").sort("metric", "unit_id")

    here = rows(Candidate("own@0", "outcome", 0), own)
    there = rows(Candidate("copy@1", "mine", 0, elsewhere=True), Model(copied, "copy@1"))
    assert here.equals(there)
    assert {"accuracy", "greedy", "kl", "reward_accuracy", "ranking_accuracy"} <= {*here["metric"]}
    template = copied / "chat_template.jinja"
    template.write_text("Talk. " + template.read_text())
    foreign = rows(Candidate("copy@2", "mine", 0, elsewhere=True), Model(copied, "copy@2"))
    assert {"ranking_accuracy", "accuracy"} <= {*foreign["metric"]}
    assert not {"kl", "reward_accuracy", "reward_margin"} & {*foreign["metric"]}
    served = rows(Candidate("s@3", "mine", 0, elsewhere=True), Model(None, "s@3"))
    assert set(here["metric"]) - set(served["metric"]) >= {"ranking_accuracy", "kl"}
    assert served.filter(metric="accuracy").equals(here.filter(metric="accuracy"))


def board(brought: dict[str, str], seeds: int = 1) -> tuple[pl.DataFrame, RankedBy, list[str]]:
    """`good` and its control against the base, and policies from elsewhere that equal `good`."""
    draw = np.random.default_rng(0)
    names = [f"p{i:02}" for i in range(24)]
    base = 0.25 * (np.arange(24) % 3)
    shifts = {"base": 0.0, "good": 0.3, "good_shuffled": 0.0, **dict.fromkeys(brought, 0.3)}
    frames = []
    noise = draw.normal(0, 0.1, (3, 24))
    for variant, shift in shifts.items():
        for seed in range(seeds if variant.startswith("good") else 1):
            wobble = 0.0 if variant == "base" else noise[seed]
            frame = pl.DataFrame({"unit_id": names, "value": base + shift + wobble})
            frames.append(units(Candidate(f"{variant}@{seed}", variant, seed), "accuracy", frame))
    return pl.concat(frames), RankedBy(brought=brought), names


def test_policies_from_elsewhere_are_families_of_their_own() -> None:
    """What the tests say of the variants is the same with them and without them."""
    known: dict[str, Any] = {}
    for brought in ({}, {"mine": "/there", "theirs": "http://host"}):
        rows, by, tests = board(brought)
        ranked = Ranked.of(rows, by, tests)
        found = compare(ranked, {"good_shuffled": "good"}, OPTIONS, 0)
        shown = rank(rows, RUNS, {}, OPTIONS, 0, tests=tests, by=by)
        own = found.filter(~pl.col("family").str.starts_with("brought"))
        variants = shown.filter(pl.col("brought_from").is_null())
        if not brought:
            known = {"tests": own, "board": variants}
    assert known["tests"].equals(own)
    assert known["board"].sort("variant").equals(variants.sort("variant"))
    pairs = found.filter(family="brought_pairwise").select("variant", "against").rows()
    assert {frozenset(one) for one in pairs} == {
        frozenset(one) for one in [("good", "mine"), ("good", "theirs"), ("mine", "theirs")]
    }
    of_base = found.filter(family="brought", variant="mine").row(0, named=True)
    row = shown.filter(variant="mine").row(0, named=True)
    same = ("gain", "gain_low", "gain_high", "p_value", "p_holm", "verdict")
    assert [row[name] for name in same] == [of_base[name] for name in same]
    assert row["p_holm"] == pytest.approx(2 * row["p_value"])
    good = shown.filter(variant="good").row(0, named=True)
    assert row["gain"] == pytest.approx(good["gain"]) and row["brought_from"] == "/there"
    assert row["n_pairs"] == 0 and row["n_seeds"] == 0
    assert footing(shown, RUNS) == footing(variants, RUNS)
    tables.TABLES["comparisons"].validate(found)
    assert compare_on_sets(rows, by, tests, [], OPTIONS, 0).is_empty()


def test_a_policy_without_seeds_meets_all_seeds_of_a_variant() -> None:
    rows, by, tests = board({"mine": "/there"}, seeds=3)
    ranked = Ranked.of(rows, by, tests)
    gaps = ranked.differences("good", "mine")
    assert gaps.shape == (3, 24) and np.allclose(gaps[0], 0.0)  # the first seed equals it
    assert np.allclose(ranked.differences("mine", "good"), -gaps)
    found = compare(ranked, {"good_shuffled": "good"}, OPTIONS, 0)
    methods = dict(found.filter(against="base").select("variant", "method").iter_rows())
    assert "training seeds" in methods["good"] and "one policy" in methods["mine"]


def test_prompts_are_judged_set_by_set() -> None:
    """Own ones first, also where there are none; each set apart, however many it has."""
    prompts = pl.DataFrame({"prompt_id": ["a", "b", "c", "d"]})
    sets = {"b": "mt", "d": "mt", "c": "exam"}
    test = candidates.Test(*[None] * 2, sets, *[None] * 6)  # type: ignore[arg-type, misc]
    assert [one["prompt_id"].to_list() for one in test.by_set(prompts)] == [
        ["a"],
        ["c"],
        ["b", "d"],
    ]
    (own, *others) = test.by_set(prompts.filter(pl.col("prompt_id") != "a"))
    assert own.is_empty() and len(others) == 2


def test_a_servers_policy_is_asked_at_its_own_address(tmp_path: Path) -> None:
    """Whatever the profile's engine is; one that lacks the model is refused with what it has."""
    with FakeServer().up() as fake:
        fake.models = Answer({"data": [{"id": "big"}]})
        fake.version = Answer({"detail": "Not Found"}, 404)
        fake.script = lambda body, n: Answer(chat("It is 7."))
        room = EngineRoom(config.load("quick"), tmp_path)
        big, small = (
            settings_of(brought_row("mine", fake.url, model, None, tmp_path), 256)
            for model in ("big", "small")
        )
        assert isinstance(big, AskedModelSettings) and isinstance(small, AskedModelSettings)
        engine = room.engine_on_servers(big)
        asked = engine.sample(Prompt(({"role": "user", "content": "3 + 4"},)), Sampling(8), [1])
        assert asyncio.run(asked)[0].response == "It is 7."
        assert engine is room.engine_on_servers(big)
        with pytest.raises(OrchardError, match="serves 'big' and not 'small'"):
            room.engine_on_servers(small)
        room.close()
