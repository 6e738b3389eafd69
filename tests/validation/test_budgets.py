"""What each variant learns from under each budget, and what a profile may say of it."""

from typing import Any

import pytest
from pydantic import ValidationError

from pipeline import config
from pipeline.config import Settings, ValidationSettings
from pipeline.named import check_names
from pipeline.preferences.registry import variant, wanted
from pipeline.validation import budgets

NAMES = ("outcome", "outcome_shuffled", "tree_plv", "osp")


def profile(**said: Any) -> Settings:
    quick = config.load("quick").model_dump()
    return Settings(**{**quick, "validation": {"variants": NAMES, **said}})


def test_budgets_are_equal_within_groups_and_a_control_is_with_what_it_controls() -> None:
    assert budgets.groups(profile()) == [list(NAMES)]
    named = profile(groups={"small": ("osp",), "right": ("outcome",)})
    assert budgets.groups(named) == [["outcome", "outcome_shuffled"], ["tree_plv"], ["osp"]]
    assert budgets.groups(profile(budget="own")) == [[name] for name in NAMES]


def test_a_curve_has_parts_of_every_variant_as_variants_of_their_own() -> None:
    said = profile(budget="curve", variants=("outcome", "outcome_shuffled"))
    parts = [f"{name}_{part}" for name in ("outcome", "outcome_shuffled")
             for part in ("1of8", "1of4", "1of2")]  # fmt: skip
    assert said.validation.variants == ("outcome", "outcome_shuffled", *parts)
    own = variant("outcome_shuffled_1of4", said)
    assert (own.part_of, own.share, own.control_of) == ("outcome_shuffled", 0.25, "outcome")
    assert own.build is variant("outcome_shuffled", said).build
    assert budgets.groups(said) == [["outcome", "outcome_shuffled"]]
    assert set(parts) <= set(wanted(said))
    check_names(said)
    named = profile(budget="curve", variants=("outcome", "outcome_1of8", "outcome_shuffled"))
    assert sorted(named.validation.variants) == sorted(said.validation.variants)  # none is twice
    again = Settings(**said.model_dump())  # parts have no parts
    assert again.validation.variants == said.validation.variants and again == said


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"groups": {"a": ("none",)}}, "groups: 'none' is not in validation.variants"),
        ({"groups": {"a": ("osp",), "b": ("osp",)}}, "groups: 'osp' is in two groups"),
        ({"budget": "free"}, "budget"),
    ],
)
def test_groups_and_budgets_that_make_no_sense_are_refused(said: Any, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        ValidationSettings(variants=NAMES, **said)
    with pytest.raises(ValidationError, match=why):
        profile(**said)


def test_groups_are_refused_where_nothing_is_made_equal() -> None:
    with pytest.raises(ValidationError, match="groups: each variant learns from its own yield"):
        ValidationSettings(variants=("outcome",), budget="own", groups={"one": ("outcome",)})
