"""Mixtures of variants: whose pairs, how many, with which loss; and what is refused in one line."""

from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from pipeline import config, tables
from pipeline.config import Settings
from pipeline.errors import OrchardError
from pipeline.named import check_names
from pipeline.preferences.build import build
from pipeline.preferences.mixture import told
from pipeline.preferences.registry import check_sources, reads_of, registry, variant, wanted
from pipeline.training import losses
from pipeline.validation.rows import training_rows
from tests.training.toy import example, frame, pair

QUICK = config.load("quick")


def settings(**changes: Any) -> Settings:
    return Settings(**{**QUICK.model_dump(), **changes})


def mixed(shares: dict[str, float], name: str = "mix") -> Settings:
    return settings(variants=[{"name": name, "of": shares}], validation={"variants": [name]})


def pairs(n: int, name: str, split: str = "train", **values: Any) -> list[dict[str, Any]]:
    return [
        pair(f"q{i}", "yes", f"no {name}", variant=name, split=split, **values) for i in range(n)
    ]


class Held:
    """The table `preferences` without a lake."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = frame(rows)

    def read(self, table: str, *, where: str | None = None) -> pl.DataFrame:
        assert table == "preferences" and where is not None
        return self.rows.filter(pl.col("variant") == where.split("'")[1])

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Puts rows in the place of those of the same variants."""
        new = frame(rows)
        old = self.rows.join(new, on="variant", how="anti")
        self.rows = pl.concat([old, new])


@pytest.fixture
def lake() -> Any:
    rows = pairs(12, "outcome") + pairs(4, "outcome", "validation") + pairs(6, "tree_plv", weight=3)
    shuffled = [{**row, "pair_id": f"s{i}"} for i, row in enumerate(pairs(12, "outcome_shuffled"))]
    return Held(rows + shuffled)


def counts(rows: pl.DataFrame, split: str = "train") -> dict[str, int]:
    found = rows.filter(pl.col("split") == split).group_by("part").len()
    return dict(found.iter_rows())


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        # 12 outcome pairs and 6 of tree_plv: the smaller for its share is taken whole
        ({"outcome": 0.5, "tree_plv": 0.5}, {"outcome": 6, "tree_plv": 6}),
        ({"outcome": 3, "tree_plv": 1}, {"outcome": 12, "tree_plv": 4}),
        ({"outcome": 0.2, "tree_plv": 0.8}, {"outcome": 1, "tree_plv": 5}),  # of 7: 1.4 and 5.6
    ],
)
def test_shares_are_kept_and_the_smallest_part_decides(
    lake: Any, shares: dict[str, float], expected: dict[str, int]
) -> None:
    chosen = mixed(shares)
    rows = build("mix", lake, chosen)
    tables.Preferences.validate(rows)
    assert counts(rows) == expected
    assert counts(rows, "validation") == {}  # tree_plv has none there


def test_rows_name_their_part_and_its_loss_and_weigh_as_their_share(lake: Any) -> None:
    chosen = mixed({"outcome": 0.5, "tree_plv": 0.5})
    rows = build("mix", lake, chosen)
    assert counts(rows) == {"outcome": 6, "tree_plv": 6}
    assert set(rows.select("part", "loss").rows()) == {
        ("outcome", "sigmoid"),
        ("tree_plv", "sigmoid"),
    }
    assert rows.group_by("part").agg(pl.col("weight").mean())["weight"].to_list() == [1, 1]
    assert rows["pair_id"].n_unique() == 12 and set(rows["variant"]) == {"mix"}
    sources = lake.rows.select("messages", "chosen", "rejected").rows()
    assert all(row in sources for row in rows.select("messages", "chosen", "rejected").rows())
    lake.write(rows.to_dicts())
    assert training_rows(lake, "mix", len, chosen).height == 12
    line = "6 of 12 of outcome, 6 of 6 of tree_plv; tree_plv is the smallest for its share"
    assert line in told(variant("mix", chosen).parts, lake)


def test_a_pair_that_two_parts_have_is_there_twice(lake: Any) -> None:
    lake.write(
        [
            {**row, "variant": "tree_plv", "pair_id": f"t{row['pair_id']}"}
            for row in pairs(6, "outcome")
        ],
    )
    rows = build("mix", lake, mixed({"outcome": 2, "tree_plv": 1}))
    assert rows.height == 18 and rows["pair_id"].n_unique() == 18


def test_more_pairs_of_a_part_change_what_is_taken_by_their_hash_only(lake: Any) -> None:
    chosen = mixed({"outcome": 1, "tree_plv": 1})
    before = build("mix", lake, chosen).filter(pl.col("part") == "outcome")
    assert build("mix", lake, chosen).filter(pl.col("part") == "outcome").equals(before)
    lake.write(pairs(24, "outcome"))
    after = build("mix", lake, chosen).filter(pl.col("part") == "outcome")
    old = {f"q{i}" for i in range(12)}
    kept = {m[0]["content"] for m in after["messages"]} & old
    assert kept <= {m[0]["content"] for m in before["messages"]}, "no pair comes in anew"


def test_the_control_has_the_parts_shuffled_labels_of_the_same_pairs(lake: Any) -> None:
    chosen = mixed({"outcome": 0.5, "tree_plv": 0.5})
    control = variant("mix_shuffled", chosen)
    assert [part.name for part in control.parts] == ["outcome_shuffled", "tree_plv_shuffled"]
    assert control.control_of == "mix"
    flipped = pairs(6, "tree_plv_shuffled") + [
        {**row, "chosen": row["rejected"], "rejected": row["chosen"],
         "chosen_id": row["rejected_id"], "rejected_id": row["chosen_id"],
         "variant": "outcome_shuffled", "pair_id": f"f{i}"}
        for i, row in enumerate(pairs(12, "outcome"))
    ]  # fmt: skip
    lake.write(flipped)

    def taken(name: str) -> set[str]:
        rows = build(name, lake, chosen).filter(pl.col("part").str.starts_with("outcome"))
        return {turns[0]["content"] for turns in rows["messages"]}

    assert taken("mix") == taken("mix_shuffled") and len(taken("mix")) == 6


def test_a_part_without_pairs_leaves_none_and_says_so(lake: Any) -> None:
    chosen = mixed({"outcome": 0.5, "osp": 0.5})
    assert build("mix", lake, chosen).is_empty()
    assert "0 of 0 of osp; osp is the smallest" in told(variant("mix", chosen).parts, lake)


def test_mapls_joint_objective_is_a_mixture_of_both_data_sets_with_both_losses() -> None:
    made = variant("mapl_joint", QUICK)
    assert [(part.name, part.share, part.loss) for part in made.parts] == [
        ("mapl_intra", 0.5, "sigmoid"),
        ("mapl_inter", 0.5, "prompt_contrast"),
    ]
    control = variant("mapl_joint_shuffled", QUICK)
    assert [part.name for part in control.parts] == ["mapl_shuffled", "mapl_inter_shuffled"]
    chosen = settings(validation={"variants": ["mapl_joint"]})
    assert wanted(chosen) == ["mapl_joint", "mapl_intra", "mapl_inter"]
    needs = [str(need) for need in reads_of("mapl_joint", chosen).tables]
    assert needs == ["preferences[variant=mapl_intra]", "preferences[variant=mapl_inter]"]


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"outcome": 1, "nothing": 1}, "variant 'mix': of 'nothing' is not a variant: declare it"),
        ({"outcome": 1, "bco": 1}, "of 'bco' has no pairs: its loss reads lists or texts"),
        ({"outcome": 1, "voted_soft": 1}, "of 'voted_soft' is itself made from another's pairs"),
        ({"outcome": 1, "mapl_joint": 1}, "of 'mapl_joint' is itself made from another's pairs"),
    ],
)
def test_a_part_that_cannot_be_mixed_is_one_clear_line(
    shares: dict[str, float], message: str
) -> None:
    with pytest.raises(OrchardError, match=message):
        registry(mixed(shares))


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"of": {"outcome": 1.0}}, "at least two variants with shares above 0"),
        ({"of": {"outcome": 1.0, "osp": 0.0}}, "at least two variants with shares above 0"),
        ({"of": {"outcome": 1.0, "osp": 1.0}, "loss": "ipo"}, "loss is not for a mixture"),
    ],
)
def test_a_mixture_without_sense_is_refused_with_the_profile(
    own: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(variants=[{"name": "mix", **own}])


def test_stages_cannot_be_mixed_and_votes_need_a_variant_that_treats_none(lake: Any) -> None:
    lake.write([{**row, "stage": 1} for row in pairs(3, "curriculum")])
    with pytest.raises(OrchardError, match="of 'curriculum' is trained in stages"):
        build("mix", lake, mixed({"outcome": 1, "curriculum": 1}))
    chosen = mixed({"outcome": 1, "tree_plv": 1})
    voted = settings(
        variants=[one.model_dump() for one in chosen.variants],
        validation={"variants": ["voted_soft"]},
        noise={**QUICK.noise.model_dump(), "source": "mix"},
    )
    with pytest.raises(OrchardError, match="noise.source: 'mix' is itself made from the pairs of"):
        check_sources(voted)


def test_a_loss_with_a_memory_is_refused_in_a_mixture() -> None:
    chosen = mixed({"outcome": 1, "tree_plv": 1})
    training = chosen.training.model_copy(update={"loss": "lcpo"})
    with pytest.raises(OrchardError, match="variant 'mix': of 'outcome' is learned with lcpo"):
        check_names(chosen.model_copy(update={"training": training}))
    row = example("r", (1,), (2,), (3,), loss="lcpo")
    assert losses.get("mixed").fault([row]) == (
        "lcpo reads more than its own row, which a mixture does not give"
    )
    other = example("r", (1,), (2,), (3,), loss="soft")
    assert "soft needs the column strength" in str(losses.get("mixed").fault([other]))
