"""The training step on a tiny model:
seeds are trained once each, and stop on validation pairs only.
"""

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from assets.steps import GRAPH
from assets.training import REFERENCE_LOGPS, TRAINING_RUNS, _searched
from pipeline import config, tables
from pipeline.config import Settings
from pipeline.config.training import merged
from pipeline.engine.model import Model
from pipeline.engine.rendering import Renderer
from pipeline.errors import Diverged
from pipeline.preferences.registry import variant
from pipeline.steps.recipe import code_of
from pipeline.store import Commit, Lake
from pipeline.training import loop
from pipeline.training.once import Training
from pipeline.training.reference import reference_logps
from pipeline.training.result import TrainResult
from pipeline.validation import budgets
from pipeline.validation.report.blocks import Picture, Table, Text
from pipeline.validation.report.learning import points
from pipeline.validation.report.training import curves
from pipeline.validation.untrained import untrained
from tests.runs import ScriptedRun, make
from tests.training.toy import frame, pair, save_llama

TRAINING = {
    "method": "full", "learning_rate": 3e-3, "epochs": 6, "batch_pairs": 4, "micro_tokens": 256,
    "max_length": 128, "evaluate_every": 2,
}  # fmt: skip


@pytest.fixture
def shop(tmp_path: Path) -> Any:
    path = save_llama(tmp_path / "tiny", seed=0)
    own = {"variant": "outcome", "chosen_tokens": 3, "rejected_tokens": 2}
    learned = [pair(f"is it {i}?", **own) for i in range(8)]
    # what is learnt is wrong
    held = [pair(f"was it {i}?", "no", "yes", split="validation", **own) for i in range(16)]
    lake = Lake(tmp_path)
    found = SimpleNamespace(lake=lake, path=path, length=Renderer(path).length)

    def use(validation: dict[str, Any] | None = None, **changes: Any) -> None:
        quick = config.load("quick").model_dump()
        sections = {
            "training": {**TRAINING, **changes},
            "validation": {"variants": ["outcome"], **(validation or {})},
        }
        found.settings = Settings(**{**quick, **sections})

    def give(pairs: pl.DataFrame) -> None:
        """The lake holds these pairs now, and their prompts."""
        prompts = pairs.select("prompt_id", "split", "messages").unique("prompt_id")
        common = {
            "pool": "toy",
            "task": "toy",
            "answer": None,
            "verifier": None,
            "source": "toy",
            "licence": "toy",
        }
        lacking = [pl.lit(value).alias(name) for name, value in common.items()]
        columns = tables.empty("prompts").schema
        rest = [pl.lit(None, dtype=kind).alias(name) for name, kind in columns.items()
                if name not in {*common, *prompts.columns}]  # fmt: skip
        lake.write("prompts", prompts.with_columns(*lacking, *rest), Commit("test"))
        lake.write("preferences", pairs, Commit("test"))
        known = reference_logps(path, pairs, found.settings.training, policy_id="tiny")
        lake.write("reference_logps", known, Commit("test"))

    found.use, found.give, found.folders = use, give, lambda: (tmp_path / "policies").iterdir()
    use()
    give(frame([*learned, *held]))
    return found


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Seeds of the trainings that were begun."""
    seeds: list[int] = []
    real = loop.train

    def counted(*arguments: Any, **values: Any) -> Any:
        seeds.append(values["seed"])
        return real(*arguments, **values)

    monkeypatch.setattr(loop, "train", counted)
    return seeds


@pytest.fixture
def quick_trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that copies the model: where only what is trained, and how often, matters.

    Asked before `begun`.
    """

    def train(
        model: Path, rows: pl.DataFrame, reference: Any, settings: Any, **values: Any
    ) -> TrainResult:
        shutil.copytree(model, values["out"])
        n = rows.filter(pl.col("split") == "train").height
        curve = [(1, 0.5, 1.0, 0.1, -1.0, None)]
        dropped = tables.empty("rejects")
        return TrainResult(
            n, 1, n, 0.5, 0.5, 1.0, curve, 1.0, 0.0, 0, dropped, values["out"], 0, 1, []
        )

    monkeypatch.setattr(loop, "train", train)


def train(shop: Any) -> list[dict[str, Any]]:
    """The rows of `training_runs` after one run over all variants of the profile."""
    make(ScriptedRun(shop.lake, shop.settings, folder=shop.path, policy="tiny"), TRAINING_RUNS)
    return shop.lake.read("training_runs").sort("variant", "seed").to_dicts()


def without_policy(shop: Any) -> list[str]:
    """What is said of the variants that have no policy."""
    return untrained(
        shop.lake, shop.settings, lambda reads: GRAPH.tables_behind(reads, shop.settings)
    )


def of(variant: str, numbers: Iterable[int], **values: Any) -> list[dict[str, Any]]:
    """A pair of each numbered prompt."""
    own = {"variant": variant, "chosen_tokens": 3, "rejected_tokens": 2}
    return [pair(f"is it {i}?", **own, **values) for i in numbers]


def test_a_new_seed_costs_its_own_training_only(shop: Any, begun: list[int]) -> None:
    trained = begun
    shop.use(seeds=[0])
    (one,) = train(shop)
    shop.use(seeds=[0, 1])
    first, second = train(shop)
    assert trained == [0, 1] and first == one and second["policy_id"] != first["policy_id"]
    assert (first["n_steps"], first["kept_step"], first["looks"]) == (12, 12, "[]")
    shop.use(seeds=[0, 1], beta=0.2)
    train(shop)
    assert trained == [0, 1, 0, 1]


def test_a_variant_stops_on_its_validation_pairs_and_is_reported_on_others(shop: Any) -> None:
    shop.use(patience=1)
    (row,) = train(shop)
    assert (row["n_pairs"], row["n_steps"], row["kept_step"]) == (8, 4, 2) and len(
        row["row_ids"]
    ) == 8
    stopped_on = budgets.stopping_rows(shop.lake, shop.settings, shop.length)["outcome"]
    assert set(stopped_on["split"]) == {"validation"} and 2 < stopped_on.height < 14
    reported = budgets.held_out_pairs(shop.lake, shop.settings)
    assert not set(reported["pair_id"]) & set(stopped_on["pair_id"])
    assert reported.height + stopped_on.height == 16
    shop.use()
    assert budgets.stopping_rows(shop.lake, shop.settings, shop.length) == {}
    assert budgets.held_out_pairs(shop.lake, shop.settings).height == 16
    assert isinstance(reported, pl.DataFrame)


def test_variants_are_trained_again_together_when_the_budget_falls(
    shop: Any, quick_trainer: None, begun: list[int]
) -> None:
    both = {"variants": ["outcome", "tree_plv"]}
    shop.give(frame(of("outcome", range(40))))
    assert [row["n_pairs"] for row in train(shop)] == [40]
    shop.give(frame([*of("outcome", range(40)), *of("tree_plv", range(10))]))
    shop.use(both)
    assert [row["n_pairs"] for row in train(shop)] == [10, 10]
    shop.use({**both, "max_pairs": 9})
    assert [row["n_pairs"] for row in train(shop)] == [9, 9] and len(begun) == 5


def test_each_recipe_learns_from_what_it_yields_where_the_budget_says_so(
    shop: Any, quick_trainer: None
) -> None:
    both = {"variants": ["outcome", "tree_plv"], "max_pairs": 30}
    shop.give(frame([*of("outcome", range(40)), *of("tree_plv", range(10))]))
    for budget in ({"budget": "own"}, {"groups": {"few": ["tree_plv"]}}):
        shop.use({**both, **budget})
        assert [row["n_pairs"] for row in train(shop)] == [30, 10]


def test_a_curve_trains_parts_of_a_variant_that_lie_within_each_other(
    shop: Any, quick_trainer: None
) -> None:
    names = ["outcome", "outcome_1of2", "outcome_1of4", "outcome_1of8"]
    shop.give(frame([row for name in names for row in of(name, range(40))]))
    shop.use({"budget": "curve", "max_pairs": 16})
    rows = train(shop)
    assert {row["variant"]: row["n_pairs"] for row in rows} == dict(
        zip(names, (16, 8, 4, 2), strict=True)
    )
    learned = {row["variant"]: set(row["prompt_ids"]) for row in rows}
    assert all(learned[small] < learned[large] for large, small in pairwise(names))
    board = pl.DataFrame(
        [
            {"variant": name, "n_pairs": n, "data_tokens": 4000, "gain": n / 100}
            | {"gain_low": 0.0, "gain_high": 1.0}
            for name, n in zip(names, (16, 8, 4, 2), strict=True)
        ]
    )
    drawn = points(shop.lake, shop.settings, board)
    # 40 pairs were yielded for 4,000 tokens: 2 of them cost 200.
    assert drawn.select("whole", "share", "n_pairs", "tokens").rows() == [
        ("outcome", 0.125, 2, 200),
        ("outcome", 0.25, 4, 400),
        ("outcome", 0.5, 8, 800),
        ("outcome", 1.0, 16, 1600),
    ]


def test_a_few_new_pairs_train_nothing_and_a_prompt_that_was_taken_out_trains_all(
    shop: Any, quick_trainer: None, begun: list[int]
) -> None:
    shop.use({"variants": ["outcome", "tree_plv"]})

    def night(outcome: Iterable[int], tree_plv: Iterable[int]) -> list[int]:
        shop.give(frame([*of("outcome", outcome), *of("tree_plv", tree_plv)]))
        return [len(row["row_ids"]) for row in train(shop)]

    assert night(range(40), range(40)) == [40, 40] and len(begun) == 2
    assert night(range(41), range(41)) == [40, 40] and len(begun) == 2  # 1 of 41 rows is new: 2.4 %
    # 3 of 41: all are trained again
    assert night(range(41), [*range(38), 50, 51, 52]) == [41, 41] and len(begun) == 4
    # prompt 0 is gone
    assert night(range(1, 41), [*range(1, 38), 50, 51, 52]) == [40, 40] and len(begun) == 6


def test_a_few_new_pairs_train_nothing_where_settings_are_searched_for(
    shop: Any, quick_trainer: None, begun: list[int]
) -> None:
    searching = {"beta": [0.1, 0.3]}
    shop.settings = Settings(**{**shop.settings.model_dump(), "search": searching})
    night = nights(shop, "outcome")
    seen = []
    for n in (40, 41, 44):
        night(n)
        seen.append(len(begun))
    # no validation pair, and so no try: 2.4 % of 41 rows are new, then 9 % of 44
    assert seen == [1, 1, 2]


def nights(shop: Any, *variants: str) -> Callable[[int], None]:
    """Runs over these variants with that many pairs of each."""

    def night(n: int) -> None:
        shop.give(frame([row for name in variants for row in of(name, range(n))]))
        train(shop)

    return night


def test_after_a_setting_and_pairs_changed_together_a_few_more_pairs_train_nothing(
    shop: Any, quick_trainer: None, begun: list[int]
) -> None:
    both = {"variants": ["outcome", "tree_plv"]}
    night = nights(shop, "outcome", "tree_plv")
    seen = []
    for n, settings in (
        (40, {}),
        (41, {}),
        (42, {"max_pairs": 90}),
        (43, {"max_pairs": 90}),
        (44, {"max_pairs": 90}),
    ):
        shop.use({**both, **settings})
        night(n)
        seen.append(len(begun))
    assert seen == [2, 2, 4, 4, 4]
    shop.use({**both, "max_pairs": 90}, seeds=[0, 1])
    # another seed on changed pairs: the seeds answer for one set of pairs, so all are trained
    night(45)
    night(46)
    assert len(begun) == 8


def test_a_kill_between_two_variants_leaves_none_on_older_pairs(
    shop: Any, quick_trainer: None, begun: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.use({"variants": ["outcome", "tree_plv"]})
    nights(shop, "outcome", "tree_plv")(40)
    real = loop.train
    with monkeypatch.context() as killing:

        def kill(model: Path, rows: pl.DataFrame, *arguments: Any, **values: Any) -> Any:
            if rows["variant"][0] == "tree_plv":
                raise KeyboardInterrupt
            return real(model, rows, *arguments, **values)

        killing.setattr(loop, "train", kill)
        shop.give(
            frame([*of("outcome", [*range(37), 50, 51, 52]), *of("tree_plv", [*range(39), 50])])
        )
        with pytest.raises(KeyboardInterrupt):
            train(shop)
    rows = train(shop)  # of tree_plv alone, 1 of 40 would be too few
    today = set(budgets.learned_rows(shop.lake, shop.settings, shop.length)["tree_plv"]["row_id"])
    assert set(rows[1]["row_ids"]) == today and len(begun) == 4


def test_a_number_fitted_anew_each_night_trains_nothing_while_it_hardly_moves(
    shop: Any, quick_trainer: None, begun: list[int]
) -> None:
    shop.use({"variants": ["outcome"]}, loss="rdpo")
    for rate, expected in ((0.1, 1), (0.1 + 1e-10, 1), (0.3, 2)):
        shop.give(frame(of("outcome", range(40))).with_columns(noise_score=rate))
        train(shop)
        assert len(begun) == expected


def test_finished_seeds_of_a_run_that_was_killed_are_not_trained_again(
    shop: Any, quick_trainer: None, begun: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.use(seeds=[0, 1, 2])
    real, killed = loop.train, [False]

    def kill(*arguments: Any, **values: Any) -> Any:
        if values["seed"] == 2 and not killed[0]:
            killed[0] = True
            raise KeyboardInterrupt
        return real(*arguments, **values)

    monkeypatch.setattr(loop, "train", kill)
    with pytest.raises(KeyboardInterrupt):
        train(shop)
    assert begun == [0, 1] and shop.lake.read("training_runs").is_empty()
    rows = train(shop)
    assert begun == [0, 1, 2] and [row["seed"] for row in rows] == [0, 1, 2]
    assert {row["checkpoint"] for row in rows} == {
        f"policies/{path.name}" for path in shop.folders() if path.is_dir()
    }


def test_with_patience_variants_without_training_or_validation_pairs_fail_nothing(
    shop: Any, quick_trainer: None
) -> None:
    names = ["outcome", "outcome_shuffled", "tree_plv"]
    held = of("tree_plv", range(12), split="validation")
    # tree_plv: none to learn from; outcome: none to stop on
    shop.give(frame([*of("outcome", range(8)), *held]))
    shop.use({"variants": names}, patience=2)
    (row,) = train(shop)
    assert (row["variant"], row["n_pairs"], row["looks"]) == ("outcome", 8, "[]")
    section = curves(shop.lake, shop.settings)
    assert section is not None
    text = section.blocks[0]
    assert (
        isinstance(text, Text)
        and text.text.startswith("Not watched")
        and text.text.endswith(": outcome.")
    )
    shop.use({"variants": names})
    assert without_policy(shop)[1].startswith("tree_plv has 0 training pairs (12 of all splits)")


def test_a_training_that_diverges_ends_no_others(
    shop: Any, quick_trainer: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tried = loop.train, []

    def diverging(model: Path, rows: pl.DataFrame, *arguments: Any, **values: Any) -> Any:
        tried.append(rows["variant"][0])
        if rows["variant"][0] == "outcome":
            raise Diverged("training stopped at step 3: loss nan")
        return real(model, rows, *arguments, **values)

    monkeypatch.setattr(loop, "train", diverging)
    shop.use({"variants": ["outcome", "tree_plv"]})
    for n in (8, 40, 41, 42):  # what diverged is not tried again, and makes no other train again
        nights(shop, "outcome", "tree_plv")(n)
        (row,) = train(shop)
        assert row["variant"] == "tree_plv" and row["n_pairs"] == min(n, 40)
    assert tried == ["outcome", "tree_plv"] * 2
    shop.give(frame([*of("outcome", range(8)), *of("tree_plv", range(8))]))
    train(shop)
    (reject,) = shop.lake.read("rejects").to_dicts()
    assert (reject["row_id"], reject["step"]) == ("outcome seed 0", "training_runs outcome")
    (said,) = without_policy(shop)
    assert (
        said.startswith("outcome has 8 training pairs")
        and "seed 0: training stopped at step 3: loss nan" in said
    )


def test_a_variant_whose_loss_has_no_reference_costs_no_log_probability_of_the_base_model(
    shop: Any, begun: list[int]
) -> None:
    held = of("outcome", range(20, 24), split="validation")
    shop.give(frame([*of("outcome", range(8)), *held]))
    shop.lake.write("reference_logps", tables.empty("reference_logps"), Commit("test"))

    def computed(loss: str) -> int:
        shop.use(loss=loss)
        make(
            ScriptedRun(shop.lake, shop.settings, folder=shop.path, policy="tiny"), REFERENCE_LOGPS
        )
        return shop.lake.read("reference_logps").height

    assert computed("simpo") == 2 * 4  # held-out pairs alone: they are measured
    (row,) = train(shop)
    assert row["loss"] == "simpo" and row["accuracy_last"] == 1.0
    assert computed("sigmoid") == 2 * (4 + 8)


def test_the_log_probabilities_that_are_there_stay_where_another_loss_reads_them_too() -> None:
    quick = config.load("quick").model_dump()

    def code(loss: str, *variants: str) -> str:
        own = {"training": {"loss": loss}, "validation": {"variants": variants}}
        return code_of(REFERENCE_LOGPS, Settings(**{**quick, **own}))

    assert code("sigmoid", "outcome") == code("ipo", "outcome") == code("sigmoid", "outcome", "osp")
    assert code("sigmoid", "outcome") != code("simpo", "outcome")


def test_the_report_shows_the_log_probabilities_of_both_sides(shop: Any) -> None:
    (row,) = train(shop)
    better, others = json.loads(row["curve"])[-1][4:]
    section = curves(shop.lake, shop.settings)
    assert section is not None
    (picture,) = [b for b in section.blocks if isinstance(b, Picture) and "displacement" in b.alt]
    assert picture.data is not None
    assert [cells[2] for cells in picture.data.rows] == ["better texts", "other texts"]
    assert [cells[-1] for cells in picture.data.rows] == [better, others]
    shown = TRAINING_RUNS.show(None, shop.lake.read("training_runs"))  # type: ignore[misc, arg-type]
    assert set(shown) == {"loss", "log_probabilities"}
    # rows of older code
    old = shop.lake.read("training_runs").with_columns(curve=pl.lit("[[1, 0.5, 1.0, 0.1]]"))
    shop.lake.write("training_runs", old, Commit("test"))
    section = curves(shop.lake, shop.settings)
    assert section is not None and len(section.blocks) == 4
    assert set(TRAINING_RUNS.show(None, old)) == {"loss"}  # type: ignore[misc, arg-type]


def test_each_variant_is_trained_with_its_own_settings_and_one_change_trains_that_one_alone(
    shop: Any, quick_trainer: None, begun: list[int]
) -> None:
    shop.give(frame([*of("outcome", range(8)), *of("mine", range(8))]))
    shop.lake.write("reference_logps", tables.empty("reference_logps"), Commit("test"))
    validation = {"variants": ["outcome", "mine"]}

    def trained(beta: float, **others: Any) -> list[tuple[str, float, str]]:
        shop.use(validation)
        mine = {"name": "mine", "source": "outcome", "loss": "simpo", "training": {"beta": beta}}
        values = {**shop.settings.model_dump(), "variants": [mine], "variant_training": others}
        shop.settings = Settings(**values)
        return [
            (row["variant"], json.loads(row["settings"])["beta"], row["loss"])
            for row in train(shop)
        ]

    assert trained(2.0) == [("mine", 2.0, "simpo"), ("outcome", 0.1, "sigmoid")]
    assert trained(2.0) == [("mine", 2.0, "simpo"), ("outcome", 0.1, "sigmoid")] and len(begun) == 2
    assert trained(2.5)[0] == ("mine", 2.5, "simpo") and len(begun) == 3
    assert trained(2.5, outcome={"beta": 0.3})[1] == ("outcome", 0.3, "sigmoid")
    assert len(begun) == 4


def test_a_search_gives_a_control_its_variants_settings_and_keeps_reported_pairs_unseen(
    shop: Any, quick_trainer: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen_on: set[str] = set()

    def accuracy(path: Path, pairs: pl.DataFrame, _: Any, settings: Any) -> pl.DataFrame:
        chosen_on.update(pairs["pair_id"])
        assert set(pairs["variant"]) == {"outcome"}  # a control is not searched for
        return pl.DataFrame({"value": [float(settings.beta == 0.3)]})

    monkeypatch.setattr("pipeline.training.accuracy.preference_accuracy", accuracy)
    held = of("outcome", range(20, 36), split="validation")
    shop.give(frame([*of("outcome", range(8)), *of("outcome_shuffled", range(8)), *held]))
    shop.use({"variants": ["outcome", "outcome_shuffled"]})
    searching = {"beta": [0.1, 0.3], "learning_rate": [1e-3, 3e-3]}
    shop.settings = Settings(**{**shop.settings.model_dump(), "search": searching})
    variants, control = train(shop)
    for row in (variants, control):
        assert json.loads(row["settings"])["beta"] == 0.3
        assert json.loads(row["settings"])["learning_rate"] == 3e-3  # the profile's, of two equal
    tries = json.loads(variants["tries"])
    assert [one["accuracy"] for one in tries] == [0.0, 1.0, 0.0, 1.0] and control["tries"] is None
    assert [one["taken"] for one in tries] == [False, False, False, True]
    reported = set(budgets.held_out_pairs(shop.lake, shop.settings)["pair_id"])
    assert chosen_on and reported and not chosen_on & reported
    assert len(chosen_on) + len(reported) == 16
    section = curves(shop.lake, shop.settings)
    assert section is not None
    (table,) = [b for b in section.blocks if isinstance(b, Table) and "Search" in b.caption]
    assert table.rows[3] == ["outcome", "learning_rate 0.003, beta 0.3", 1.0, 1, True]
    assert "search" in TRAINING_RUNS.show(None, shop.lake.read("training_runs"))  # type: ignore[misc, arg-type]
    # without a pair to choose on the profile's settings stay, and the report says so
    shop.give(frame([*of("outcome", range(9, 17)), *of("outcome_shuffled", range(9, 17))]))
    assert [json.loads(row["settings"])["beta"] for row in train(shop)] == [0.1, 0.1]
    section = curves(shop.lake, shop.settings)
    assert section is not None and isinstance(section.blocks[0], Text)
    assert (
        section.blocks[0].text.startswith("Not searched") and "outcome." in section.blocks[0].text
    )


def test_a_control_with_a_loss_of_its_own_keeps_it_where_settings_are_searched_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variants = [
        {"name": "mine", "source": "outcome"},
        {"name": "other", "source": "outcome", "loss": "cpo", "control_of": "mine"},
    ]
    values = {"variants": variants, "validation": {"variants": ["mine", "other"]}}
    settings = Settings(**{**config.load("quick").model_dump(), **values, "search": {"beta": [9]}})
    pairs = frame([pair("a")])
    inputs: Any = SimpleNamespace(settings=settings, once=lambda *_: {"mine": pairs})

    def training_of(_: Any, name: str) -> Training:
        own = variant(name, settings).settings(settings.training)
        return Training(name, pairs, own, Model(tmp_path, "tiny"), "code", tmp_path)

    def best_of(own: Training, changes: Any, *_: Any) -> Any:
        return replace(own, settings=merged(own.settings, changes[0])), []

    monkeypatch.setattr("assets.training._training_of", training_of)
    monkeypatch.setattr("assets.training.best_of", best_of)
    for name, loss in (("mine", "sigmoid"), ("other", "cpo")):
        found = _searched(inputs, training_of(None, name), pairs).settings
        assert (found.beta, found.loss) == (9.0, loss)
