"""What a profile's variants are ranked by, and what is refused before anything is sampled."""

import pytest
from pydantic import ValidationError

from pipeline import config
from pipeline.config import PoolSettings, Settings, SourceSettings, ValidationSettings
from pipeline.errors import OrchardError
from pipeline.named import check_names
from pipeline.validation.ranked_by import named, ranked_by

OPEN = PoolSettings(name="chat", source="file", path="chat.jsonl", verifier="none")
SENT = SourceSettings(name="hh", path="hh.jsonl")


def profile(
    *pools: PoolSettings, splits: dict[str, float] | None = None, **said: object
) -> Settings:
    validation = ValidationSettings(**{"variants": ("hh",), **said})
    quick = config.load("quick").model_dump()
    kept = {**quick, "pools": pools, "sources": [SENT], "validation": validation}
    return Settings(**{**kept, "splits": splits or quick["splits"]})


def test_the_first_metric_that_a_profile_allows_ranks() -> None:
    assert ranked_by(config.load("quick")) == {"accuracy": 1.0}
    assert ranked_by(profile()) == ranked_by(profile(OPEN)) == {"ranking_accuracy": 1.0}
    assert ranked_by(profile(OPEN, win_prompts=5)) == {"length_controlled_wins": 1.0}
    check_names(profile())


def test_weights_are_shares_and_named() -> None:
    found = ranked_by(profile(rank_by={"ranking_accuracy": 3, "win_rate": 1}, win_prompts=2))
    assert found == {"ranking_accuracy": 0.75, "win_rate": 0.25}
    assert named(found) == "0.75 ranking_accuracy + 0.25 win_rate"
    assert named({"accuracy": 1.0}) == "accuracy"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"rank_by": "accuracy"}, "rank_by: there is no accuracy: no pool has a verifier"),
        ({"rank_by": "win_rate"}, "there is no win_rate: validation.win_prompts is 0"),
        ({"rank_by": {"win_rate": 1}, "win_prompts": 3, "splits": {"test": 0.0}}, "splits.test is"),
        ({"rank_by": "instructions"}, "no pool has the verifier 'instructions'"),
        ({"rank_by": "ranking_accuracy", "splits": {"validation": 0}}, "splits.validation is 0"),
        ({"variants": ("hh_shuffled",)}, "nothing to rank the variants by: no pool has a verifier"),
        ({"variants": ("hh_shuffled",)}, "only controls are compared"),
    ],
)
def test_a_profile_that_leaves_nothing_to_rank_by_is_refused(
    changes: dict[str, object], why: str
) -> None:
    with pytest.raises(OrchardError, match=why) as refused:
        check_names(profile(OPEN, **changes))  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("winrate", "'winrate' ranks nothing: use accuracy, "),
        ({}, "name one of accuracy"),
        (3, "name one of accuracy"),
        ({"accuracy": 0}, "the weight of accuracy is 0: give a positive number"),
        ({"accuracy": True}, "the weight of accuracy is True"),
        ({"accuracy": float("nan")}, "the weight of accuracy is nan"),
    ],
)
def test_no_metric_and_no_weight_are_refused(asked: object, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        ValidationSettings(rank_by=asked)  # type: ignore[arg-type]
