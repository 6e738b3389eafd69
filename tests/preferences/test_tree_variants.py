"""Pairs that trees turn into, each asserted from a tree worked out by hand."""

import math
from pathlib import Path

import polars as pl
import pytest

from assets.steps import GRAPH
from pipeline import config, tables
from pipeline.config import Settings
from pipeline.errors import OrchardError
from pipeline.preferences.build import build
from pipeline.preferences.registry import registry
from pipeline.preferences.trees import shuffled_stages, staged
from pipeline.steps.declared import table_of
from pipeline.store import Commit, Lake
from pipeline.trees.facts import counts
from pipeline.verify import verify
from tests.preferences.forest import GROWN, NODES, PROMPTS, build_lists, frame, rollout
from tests.runs import cost_of, made_from

SETTINGS = config.load("quick")  # margin 3/8, at most 4 pairs a prompt
VARIANTS = registry(SETTINGS)
TREE_VARIANTS = [
    variant
    for variant in VARIANTS.values()
    if {table_of(need) for need in variant.reads.tables} & {"tree_nodes", "preference_lists"}
]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    rollouts = [
        rollout("r1", "b", "so 7", "7"),
        rollout("r2", "b", "so 8", "8"),
        rollout("r3", "c", "so 8", "8"),
        rollout("r4", "c", "is 9", "9"),
        rollout("r5", "c", "hm", None),  # no answer: wrong, but in no cluster
        rollout("r6", "c", "is 8", "8", method="tot"),  # another method's tree
    ]
    nodes = pl.concat([NODES, frame("tree_nodes", rollouts)])
    lists, _ = build_lists(GROWN, PROMPTS, ["best_first"], 5, None)
    lake.write("prompts", PROMPTS, Commit("test"))
    for method in ("best_first", "tot"):
        part = nodes.filter(pl.col("method") == method)
        lake.write("tree_nodes", part, Commit("test"), partition={"method": method})
    lake.write("preference_lists", lists, Commit("test"))
    return lake


def with_preferences(**changes: object) -> Settings:
    own = SETTINGS.preferences.model_copy(update=changes)
    return SETTINGS.model_copy(update={"preferences": own})


MANY = with_preferences(max_pairs_per_prompt=100)


def sides(pairs: pl.DataFrame) -> set[tuple[str, str]]:
    return set(pairs.select("chosen_id", "rejected_id").rows())


def test_best_against_worst_path(lake: Lake) -> None:
    (row,) = build("tree_best_worst", lake, SETTINGS).to_dicts()
    assert (row["chosen"], row["rejected"], row["margin"]) == ("a\nis 7", "c\nso 9", 1.0)
    assert row["strength"] == pytest.approx(1)  # it ended right
    assert (row["chosen_ends"], row["rejected_ends"], row["prefix"], row["level"]) == (
        True,
        True,
        "",
        "response",
    )


def test_all_ordered_pairs_never_order_equal_values(lake: Lake) -> None:
    pairs = build("tree_all_pairs", lake, MANY)
    # Values: a1 1, a3 and b 1/2, a2 1/4, c 0: ten pairs less the tie.
    assert sides(pairs) == {
        ("a1", "a3.0"), ("a1", "b.1"), ("a1", "a2.1"), ("a1", "c.1"), ("a3.0", "a2.1"),
        ("b.1", "a2.1"), ("a3.0", "c.1"), ("b.1", "c.1"),
        ("a2.1", "c.1"),
    }  # fmt: skip
    strength = dict(pairs.select(pl.concat_str("chosen_id", "rejected_id"), "strength").rows())
    assert strength["a1a3.0"] == strength["a1b.1"] == 1  # a1 is no estimate: it ended right
    assert 0.5 < strength["b.1a2.1"] == strength["a3.0a2.1"] < strength["b.1c.1"] < 0.95
    assert sides(build("tpo", lake, MANY)) == sides(pairs)
    assert sides(build("tpo", lake, SETTINGS)) < sides(pairs)  # four a prompt


def test_a_curriculum_goes_from_the_surest_pair_to_the_least_sure(lake: Lake) -> None:
    pairs = build("curriculum", lake, SETTINGS)
    staged = {
        (r["chosen_id"], r["rejected_id"]): (r["margin"], r["stage"]) for r in pairs.to_dicts()
    }
    # At least 3/8 apart. a1 ended right: both are sure, and the wider gap comes first.
    assert staged == {("a1", "a2"): (0.75, 0), ("a1", "a3"): (0.5, 1), ("a", "c"): (0.75, 2)}
    assert set(pairs["depth"]) == {0, 1} and set(pairs["level"]) == {"step"}


def test_stages_are_thirds_by_rank_and_none_is_empty() -> None:
    def some(n: int, split: str = "train") -> pl.DataFrame:
        rows = [
            {"chosen_id": f"{m}", "rejected_id": "x", "split": split, "margin": 0.5,
             "strength": 0.7 + 0.001 * (m // 4)}
            for m in range(n)
        ]  # fmt: skip
        return pl.DataFrame(rows)

    for n in (3, 4, 5, 30, 31):
        sizes = staged(some(n))["stage"].value_counts(sort=True)["count"].to_list()
        assert len(sizes) == 3 and max(sizes) - min(sizes) <= 1, n
    found = staged(some(30))
    lows, highs = (
        found.group_by("stage").agg(value).sort("stage")["strength"].to_list()
        for value in (pl.col("strength").min(), pl.col("strength").max())
    )
    assert lows[0] >= highs[1] >= lows[1] >= highs[2]
    with pytest.raises(OrchardError, match="2 training pairs make no 3 stages: grow more trees"):
        staged(some(2))
    assert staged(some(2, "validation")).height == 2  # nothing is learned from these


def test_the_curriculums_controls_change_the_stages_and_nothing_else(lake: Lake) -> None:
    real = build("curriculum", lake, SETTINGS)
    turned = build("curriculum_reversed", lake, SETTINGS)
    assert {(r["rejected_id"], r["stage"]) for r in turned.to_dicts()} == {
        ("c", 0),
        ("a2", 2),
        ("a3", 1),
    }
    mixed = build("curriculum_shuffled", lake, SETTINGS)
    assert sides(mixed) == sides(turned) == sides(real)
    assert sorted(mixed["stage"]) == sorted(real["stage"])
    assert not mixed["flipped"].any()


def test_the_same_step_control_pairs_rollouts_of_one_step(lake: Lake) -> None:
    (row,) = build("tree_plv_same_step", lake, SETTINGS).to_dicts()
    # Only b has a right and a wrong rollout that end; c's are all wrong.
    assert (row["prefix"], row["chosen"], row["rejected"]) == ("b\n", "so 7", "so 8")
    assert (row["chosen_id"], row["rejected_id"]) == ("r1", "r2")
    assert row["chosen_ends"] and row["rejected_ends"] and row["depth"] == 1
    assert (row["strength"], row["margin"], row["level"]) == (1, 1, "response")
    assert VARIANTS["tree_plv_same_step"].control_of == "tree_plv"


def test_shuffled_stages_do_not_follow_the_gap() -> None:
    rows = [
        {"chosen_id": str(n), "rejected_id": "x", "split": "train", "stage": n % 3}
        for n in range(300)
    ]
    source = pl.DataFrame(rows)
    mixed = shuffled_stages(lambda lake, settings: source)(None, None)  # type: ignore[arg-type]
    table = (
        source.rename({"stage": "before"})
        .join(mixed, on="chosen_id")
        .group_by("before", "stage")
        .len()
    )
    # As many of each stage as before, and of those that were easy a third in each: 33, 3.6 standard
    # deviations.
    assert mixed["stage"].value_counts()["count"].to_list() == [100] * 3
    assert table.height == 9 and table["len"].is_between(18, 50).all()


def test_clusters_pair_a_right_response_with_one_of_each_wrong_answer(lake: Lake) -> None:
    pairs = build("tree_clusters", lake, SETTINGS)
    # Wrong answers: 8 twice, 9 once. Right responses by id: a1 'a\nis 7', r1 'b\nso 7'.
    found = {(r["chosen"], r["rejected"]): r["weight"] for r in pairs.to_dicts()}
    assert found == pytest.approx({("a\nis 7", "b\nso 8"): 4 / 3, ("b\nso 7", "c\nis 9"): 2 / 3})
    one = SETTINGS.preferences.model_copy(update={"max_pairs_per_prompt": 1})
    (row,) = build(
        "tree_clusters", lake, SETTINGS.model_copy(update={"preferences": one})
    ).to_dicts()
    assert (row["rejected"], row["weight"]) == ("b\nso 8", 1.0)  # the commonest wrong answer


def test_clusters_of_mathematical_answers_are_of_equal_value_not_of_equal_text(
    tmp_path: Path,
) -> None:
    wrong = (r"\boxed{\frac{1}{2}}", r"\boxed{0.5}", r"\boxed{1/2}", r"\boxed{3}")
    rollouts = [
        rollout(f"w{n}", "b", text, verify(text, "7", "math").answer)
        for n, text in enumerate(wrong)
    ]
    lake = Lake(tmp_path)
    lake.write("prompts", PROMPTS, Commit("test"))
    nodes = NODES.filter(pl.col("node_id").is_in(["root", "b"]))
    more = frame("tree_nodes", [*rollouts, rollout("right", "b", r"\boxed{7}", "7")])
    lake.write("tree_nodes", pl.concat([nodes, more]), Commit("test"))
    found = {
        (r["rejected"], r["weight"]) for r in build("tree_clusters", lake, SETTINGS).to_dicts()
    }
    assert found == {("b\n" + wrong[0], 1.5), ("b\n" + wrong[3], 0.5)}  # three halves and one 3


def test_regret_pairs_join_steps_of_different_parents_by_what_they_changed(lake: Lake) -> None:
    pairs = build("tree_regret", lake, with_preferences(max_pairs_per_prompt=100, margin=0.4))
    # A parent is worth the mean of its children: the root (2 * 3/4 + 1/2 + 0) / 4 = 1/2, a
    # (1 + 1/4 + 1/2) / 3 = 7/12, and not the 3/4 that chose it. a1 ends, and is in no pair.
    found = {(r["chosen_id"], r["rejected_id"]): r["margin"] for r in pairs.to_dicts()}
    gains = {"a": 0.25, "b": 0.0, "c": -0.5, "a2": -1 / 3, "a3": -1 / 12}
    expected = {
        (x, y): gains[x] - gains[y]
        for x in gains
        for y in gains
        if len(x) != len(y) and gains[x] - gains[y] >= 0.4  # names tell the parents apart
    }
    assert found == pytest.approx(expected)
    assert set(expected) == {("a", "a2"), ("a3", "c")}
    strength = dict(pairs.select(pl.concat_str("chosen_id", "rejected_id"), "strength").rows())
    # few draws: less sure than sigmoid(margin)
    assert 0.5 < strength["aa2"] < 1 / (1 + math.exp(-7 / 12))
    row = pairs.filter(pl.col("chosen_id") == "a3").to_dicts()[0]
    assert (row["prefix"], row["rejected_prefix"], row["depth"]) == ("a\n", "", 0)
    assert pairs["depth"].to_list() == [0, 0]


def test_the_control_of_regret_pairs_exchanges_their_prefixes_too(lake: Lake) -> None:
    real = build("tree_regret", lake, SETTINGS)
    control = build("tree_regret_shuffled", lake, SETTINGS)
    whole = {
        (r["prefix"] + r["chosen"], r["rejected_prefix"] + r["rejected"]) for r in real.to_dicts()
    }
    for row in control.to_dicts():
        pair = (row["prefix"] + row["chosen"], row["rejected_prefix"] + row["rejected"])
        assert (pair[::-1] if row["flipped"] else pair) in whole
    assert control["flipped"].sum() == real.height // 2 > 0


def test_every_tree_variant_has_a_control_of_the_same_cost(lake: Lake) -> None:
    names = {variant.name for variant in TREE_VARIANTS if variant.control_of is None}
    assert {variant.control_of for variant in TREE_VARIANTS} == {None, *names} and len(names) == 9
    for variant in TREE_VARIANTS:
        if variant.control_of:
            costs = [cost_of(name, lake, SETTINGS) for name in (variant.control_of, variant.name)]
            assert costs[0] == costs[1] > 0, variant.name
            assert made_from(variant.control_of, SETTINGS) == made_from(variant.name, SETTINGS)
        pairs = build(variant.name, lake, SETTINGS)
        good, bad = tables.Preferences.filter(pairs)
        assert good.height == pairs.height and not bad.counts(), variant.name


def test_sibling_pairs_and_costs_keep_the_methods_apart(lake: Lake) -> None:
    assert build("tot", lake, SETTINGS).is_empty()
    assert sides(build("tree_plv", lake, MANY)) == {
        ("a", "c"),
        ("b", "c"),
        ("a1", "a2"),
        ("a1", "a3"),
    }
    costs = [cost_of(name, lake, SETTINGS) for name in ("tree_plv", "tot", "tpo", "tpo_tot")]
    assert costs == [15, 1, 15, 1]  # lists are made from trees: nothing more is sampled


def test_what_every_variant_is_made_from_is_made_by_a_step() -> None:
    for variant in VARIANTS.values():
        needs = GRAPH.behind(variant.reads_for(SETTINGS), SETTINGS)
        assert needs and all(GRAPH.makers(need, SETTINGS) for need in needs), variant.name
        assert "prompts" in needs, variant.name


def test_flat_trees_and_missing_answers_are_counted_by_pool(lake: Lake) -> None:
    assert lake.query_file("flat_trees").rows() == [("x", "best_first", 2, 1, 0, 0.5)]
    assert lake.query_file("missing_answers").rows() == [
        ("x", "tree_nodes, best_first", 6, 1, 0.1667),
        ("x", "tree_nodes, tot", 1, 0, 0.0),
    ]


def test_a_tree_is_flat_by_its_steps_and_by_its_probe_only_where_it_has_none(
    tmp_path: Path,
) -> None:
    probed = NODES.filter(pl.col("tree_id") == "flat").with_columns(
        # 2 of 4 right, and then no step is
        value=pl.when(pl.col("kind") == "root").then(0.5).otherwise(0.0)
    )
    skipped = NODES.filter(pl.col("node_id") == "root").with_columns(value=pl.lit(1.0))
    nodes = pl.concat([probed, skipped])
    lake = Lake(tmp_path)
    lake.write("prompts", PROMPTS, Commit("test"))
    lake.write("tree_nodes", nodes, Commit("test"))
    assert lake.query_file("flat_trees").rows() == [("x", "best_first", 2, 1, 1, 1.0)]
    assert counts(nodes)["share_of_trees_all_right_or_all_wrong"] == 1.0


def test_a_method_that_changes_leaves_the_other_up_to_date(lake: Lake) -> None:
    best, tot = {"method": "best_first"}, {"method": "tot"}
    lake.write("tree_nodes", NODES, Commit("test", fingerprint="one"), partition=best)
    mark = [lake.version("tree_nodes"), lake.version("tree_nodes", best)]
    thoughts = frame("tree_nodes", [rollout("r6", "c", "is 9", "9", method="tot")])  # it was 8
    lake.write("tree_nodes", thoughts, Commit("test", fingerprint="two"), partition=tot)
    assert (
        lake.fresh("tree_nodes", "one", best) is not None
        and lake.fresh("tree_nodes", "two", tot) is not None
    )
    assert lake.version("tree_nodes") != mark[0]  # what is made from both knows that one changed
    # and what is made from the other alone is left alone
    assert lake.version("tree_nodes", best) == mark[1]
