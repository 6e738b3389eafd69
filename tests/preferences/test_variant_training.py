"""What of the training settings one variant has for itself: which, whose, and what is refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from pipeline import config
from pipeline.config import Settings, TrainingSettings
from pipeline.config.section import first_problem
from pipeline.errors import OrchardError
from pipeline.named import check_names
from pipeline.preferences.registry import variant

QUICK = config.load("quick").model_dump()
MINE = {"name": "mine", "source": "outcome", "loss": "simpo"}


def profile(**values: Any) -> Settings:
    return Settings(**{**QUICK, **values})


def training_of(name: str, settings: Settings) -> TrainingSettings:
    return variant(name, settings).settings(settings.training)


def test_a_variant_and_its_control_are_trained_with_its_own_settings_and_no_other_is() -> None:
    own = {"learning_rate": 1e-5, "beta": 2.0, "epochs": 3, "losses": {"simpo_gamma": 1.0}}
    settings = profile(variants=[{**MINE, "training": own}])
    shared = settings.training
    for name in ("mine", "mine_shuffled"):
        found = training_of(name, settings)
        assert (found.loss, found.beta, found.learning_rate, found.epochs) == (
            "simpo",
            2.0,
            1e-5,
            3,
        )
        assert found.losses == shared.losses.model_copy(update={"simpo_gamma": 1.0})
        assert found.batch_pairs == shared.batch_pairs
    assert training_of("outcome", settings) == shared
    assert training_of("outcome_shuffled", settings) == shared


def test_a_variant_of_ours_is_changed_by_its_name_and_its_controls_with_it() -> None:
    changes = {"tree_plv": {"beta": 0.5}, "bco": {"loss": "kto", "losses": {"kto_desirable": 2}}}
    settings = profile(variant_training=changes)
    names = ("tree_plv", "tree_plv_shuffled", "tree_plv_same_step", "outcome")
    assert [training_of(n, settings).beta for n in names] == [0.5, 0.5, 0.5, 0.1]
    for name in ("bco", "bco_shuffled"):
        found = training_of(name, settings)
        assert (found.loss, found.losses.kto_desirable) == ("kto", 2.0)
    assert training_of("kto", settings).losses.kto_desirable == 1.0
    check_names(settings)


def test_a_declared_control_trains_as_what_it_controls_but_for_its_own_loss() -> None:
    own = {**MINE, "training": {"beta": 2.0}}
    controls = [
        {"name": "mine_other", "source": "outcome", "loss": "cpo", "control_of": "mine"},
        {"name": "outcome_other", "source": "tree_plv", "control_of": "outcome"},
    ]
    changes = {"outcome": {"beta": 0.3, "epochs": 4}}
    settings = profile(variants=[own, *controls], variant_training=changes)
    found = training_of("mine_other", settings)
    assert (found.beta, found.loss) == (2.0, "cpo")
    found = training_of("outcome_other", settings)
    assert (found.beta, found.epochs, found.loss) == (0.3, 4, settings.training.loss)


def test_a_mixture_and_its_control_have_settings_too() -> None:
    mixed = {"name": "both", "of": {"outcome": 1, "osp": 1}, "training": {"epochs": 4}}
    settings = profile(variants=[mixed])
    assert [training_of(n, settings).epochs for n in ("both", "both_shuffled")] == [4, 4]


@pytest.mark.parametrize(
    ("variants", "compared", "said"),
    [
        (
            [{"name": "few", "part_of": "outcome", "training": {"beta": 1.0}}],
            ["outcome", "few"],
            "variant 'few': training is not for a part of another variant: leave it out",
        ),
        (
            [{"name": "few", "part_of": "outcome", "share": 0.5}],
            ["few"],
            "variant 'few': part_of 'outcome' is not compared: add it to validation.variants",
        ),
        (
            [{"name": "few", "part_of": "outcome"}, {"name": "fewer", "part_of": "few"}],
            ["outcome", "few", "fewer"],
            "variant 'fewer': part_of 'few' is a part itself: name the whole variant",
        ),
    ],
)
def test_a_part_that_cannot_be_drawn_is_refused_in_one_line(
    variants: list[dict[str, Any]], compared: list[str], said: str
) -> None:
    with pytest.raises(ValidationError) as error:
        profile(variants=variants, validation={"variants": compared})
    message = first_problem(error.value)
    assert said in message and "\n" not in message


def test_settings_survive_being_written_and_read_again() -> None:
    settings = profile(
        variants=[{**MINE, "training": {"beta": 2.0}}], variant_training={"osp": {"epochs": 3}}
    )
    again = Settings(**settings.model_dump(mode="json"))
    assert again == settings and training_of("osp", again).epochs == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"learnign_rate": 1}, "learnign_rate: no training setting, use method, losses, beta"),
        ({"max_length": 64}, "max_length cannot differ between variants: set it in `training`"),
        ({"seeds": [1]}, "seeds cannot differ between variants"),
        ({"patience": 1}, "patience cannot differ between variants"),
        ({"beta": -1}, "beta: Input should be greater than 0"),
        ({"losses": {"simpo_gama": 1}}, "losses.simpo_gama: Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(changes: dict[str, Any], said: str) -> None:
    for values in (
        {"variants": [{**MINE, "training": changes}]},
        {"variant_training": {"outcome": changes}},
    ):
        with pytest.raises(ValidationError) as error:
            profile(**values)
        message = first_problem(error.value)
        assert said in message and "\n" not in message


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"variants": [{**MINE, "training": {"loss": "ipo"}}]}, "set the variant's own `loss`"),
        (
            {"variants": [{**MINE, "control_of": "outcome", "training": {"beta": 1}}]},
            "it is a control and trains as 'outcome' does",
        ),
        (
            {"variants": [MINE], "variant_training": {"mine": {"beta": 1}}},
            "'mine' is declared in `variants`",
        ),
        ({"variant_training": {"outcom": {"beta": 1}}}, "unknown variant 'outcom'"),
        (
            {"variant_training": {"outcome_shuffled": {"beta": 1}}},
            "'outcome_shuffled' is a control and trains as 'outcome' does",
        ),
        ({"variant_training": {"outcome": {"loss": "simop"}}}, "variant_training: outcome: loss"),
        (
            {"variant_training": {"bco": {"loss": "simpo"}}},
            "loss simpo compares 2 to 2 texts per row, and 'bco' has rows of unpaired",
        ),
    ],
)
def test_a_setting_in_the_wrong_place_is_refused_in_one_line(
    values: dict[str, Any], said: str
) -> None:
    with pytest.raises((ValidationError, OrchardError)) as error:
        check_names(profile(**values))
    assert said in str(error.value)


def test_every_variant_must_have_the_same_number_of_tries() -> None:
    both = {"variants": [MINE], "validation": {"variants": ["outcome", "outcome_shuffled", "mine"]}}
    more = {"beta": [0.1, 0.3], "variants": {"mine": {"beta": [1.0, 2.0, 2.5]}}}
    with pytest.raises(OrchardError, match=r"same number of tries .*\(outcome 2, mine 3\)"):
        check_names(profile(**both, search=more))
    check_names(profile(**both, search={**more, "tries": 2}))
    with pytest.raises(OrchardError, match="unknown variant 'min'"):
        check_names(profile(**both, search={"beta": [0.1], "variants": {"min": {"beta": [1.0]}}}))
    for values, said in (
        ({"beta": [-1.0]}, "beta: Input should be greater than 0"),
        ({"losses": {"simpo_gama": [1.0]}}, "losses.simpo_gama"),
        ({"max_length": [64]}, "search.max_length: Extra inputs"),
    ):
        with pytest.raises(ValidationError) as error:
            profile(search=values)
        assert said in first_problem(error.value)


def test_values_for_what_is_not_searched_for_are_refused() -> None:
    both = {"validation": {"variants": ["outcome", "outcome_shuffled"]}}
    search = {"beta": [0.1], "variants": {"outcome_shuffled": {"beta": [1.0]}}}
    with pytest.raises(OrchardError, match="'outcome_shuffled' trains as 'outcome' does"):
        check_names(profile(**both, search=search))
