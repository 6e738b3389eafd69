"""Reference log-probabilities, and the implicit reward made from them."""

from pathlib import Path

import polars as pl
import pytest

from pipeline import tables
from pipeline.config import TrainingSettings
from pipeline.errors import OrchardError
from pipeline.training.accuracy import log_ratios, reward_accuracy
from pipeline.training.loading import load, load_tokenizer
from pipeline.training.reference import lookup, reference_logps
from pipeline.training.tokens import tokenize
from tests.training.test_logps import plainly
from tests.training.toy import frame, pair


def test_one_row_per_text_with_the_models_log_probability(
    tiny: Path, settings: TrainingSettings
) -> None:
    pairs = frame([pair("q", "a", "b"), pair("q", "a", "c"), pair("r", "a", "b")])
    table = reference_logps(tiny, pairs, settings, policy_id="tiny", precision="fp32")
    tables.ReferenceLogps.validate(table)
    assert len(table) == 5  # q: a, b, c; r: a, b
    examples = tokenize(pairs, load_tokenizer(tiny), 128).examples
    policy = load(tiny, "fp32")
    expected = [[plainly(policy, side) for side in e.compared] for e in examples]
    for row, want in zip(lookup(examples, table).tolist(), expected, strict=True):
        assert row == pytest.approx(want, abs=1e-4)


def test_known_texts_are_not_computed_again(
    tiny: Path, toy: pl.DataFrame, settings: TrainingSettings
) -> None:
    first = reference_logps(tiny, toy.head(4), settings, policy_id="tiny")
    rest = reference_logps(tiny, toy, settings, policy_id="tiny", known=first)
    assert not set(first["text_id"]) & set(rest["text_id"])
    assert len(reference_logps(tiny, toy, settings, policy_id="other", known=first)) == len(
        first
    ) + len(rest)
    assert reference_logps(tiny, toy.head(4), settings, policy_id="tiny", known=first).is_empty()


def test_a_missing_text_names_the_pair(
    tiny: Path, toy: pl.DataFrame, settings: TrainingSettings
) -> None:
    table = reference_logps(tiny, toy.head(4), settings, policy_id="tiny")
    examples = tokenize(toy.head(5), load_tokenizer(tiny), 128).examples
    with pytest.raises(
        OrchardError, match=f"missing for 1 of 5 rows, the first {toy['pair_id'][4]}"
    ):
        lookup(examples, table)


def test_two_reference_models_are_refused(
    tiny: Path, toy: pl.DataFrame, settings: TrainingSettings
) -> None:
    table = reference_logps(tiny, toy, settings, policy_id="a")
    both = pl.concat([table, table.with_columns(policy_id=pl.lit("b"))])
    with pytest.raises(OrchardError, match="several models"):
        lookup([], both)


def test_reward_accuracy_of_the_reference_itself_is_a_half(
    tiny: Path, toy: pl.DataFrame, settings: TrainingSettings
) -> None:
    table = reference_logps(tiny, toy, settings, policy_id="tiny")
    values = reward_accuracy(tiny, toy, table, settings)
    assert values["pair_id"].to_list() == toy["pair_id"].to_list()
    assert values["value"].to_list() == [0.5] * len(toy)


def test_reward_accuracy_follows_the_sign_of_the_margin(
    tiny: Path, other: Path, toy: pl.DataFrame, settings: TrainingSettings
) -> None:
    table = reference_logps(tiny, toy, settings, policy_id="tiny")
    ratios = log_ratios(other, toy, table, settings)
    values = reward_accuracy(other, toy, table, settings)["value"].to_list()
    assert values == [
        1.0 if c > r else 0.0 for c, r in zip(ratios["chosen"], ratios["rejected"], strict=True)
    ]


@pytest.mark.parametrize("missing", ["model.safetensors", "tokenizer.json"])
def test_a_folder_that_is_no_model_is_one_line(
    missing: str, tiny: Path, tmp_path: Path, toy: pl.DataFrame, settings: TrainingSettings
) -> None:
    for file in tiny.iterdir():
        if file.name != missing:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(OrchardError, match="lacks") as caught:
        reference_logps(tmp_path, toy, settings, policy_id="tiny")
    assert "\n" not in str(caught.value)
