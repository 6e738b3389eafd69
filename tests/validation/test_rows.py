"""The rows that a variant learns from, and the marks that say whether they changed."""

from dataclasses import replace
from typing import cast

import polars as pl
import pytest
import torch

from pipeline import config
from pipeline.config import LossSettings, Settings
from pipeline.store.reader import Reader
from pipeline.training import losses
from pipeline.training.losses.columns import Columns
from pipeline.validation.rows import _tokens_of_rationales, training_rows


def columns(**changed: torch.Tensor) -> Columns:
    known = torch.full((1,), 0.3)
    table = torch.tensor([[2.0, 1.0]])
    plain = Columns(
        0.1, known, known, known, table, table, table, LossSettings(), -table, running=0.7
    )
    return replace(plain, **changed)


@pytest.mark.parametrize(
    "name", [name for name, loss in losses.LOSSES.all().items() if loss.texts[0] == 2]
)
def test_a_loss_reads_the_labels_it_is_marked_with(name: str) -> None:
    """Each label in turn is changed:
    the loss moves where its `needs` or `reads` name it, and nowhere else.
    """
    ratios = torch.tensor([[0.4, -0.2]])
    loss = losses.get(name)
    before = loss.rows(ratios, columns())
    for label in ("strength", "margin", "noise_score"):
        after = loss.rows(ratios, columns(**{label: torch.full((1,), 0.1)}))
        assert (not torch.equal(before, after)) == (label in (*loss.needs, *loss.reads)), label


class OneTable:
    """A lake with one pair, whose labels are given."""

    def __init__(self, **labels: float) -> None:
        texts = {
            "pair_id": "p",
            "chosen_tokens": 3,
            "rejected_tokens": 4,
            "chosen_id": "a",
            "rejected_id": "b",
        }
        row = {**texts, "weight": 1.0, "strength": 0.9, "margin": 0.5, "noise_score": 0.1, **labels}
        self.rows = pl.DataFrame([row]).with_columns(rejected_messages=None)

    def read(self, table: str, where: str) -> pl.DataFrame:
        return self.rows


def mark(name: str, settings: Settings, **labels: float) -> str:
    return str(training_rows(OneTable(**labels), name, len, settings)["mark"][0])  # type: ignore[arg-type]


def test_a_mark_changes_with_what_the_loss_reads_alone() -> None:
    settings = config.load("quick")
    plain = mark("voted_none", settings)
    # sigmoid reads no label
    assert mark("voted_none", settings, margin=0.6, strength=0.8, noise_score=0.2) == plain
    # but the trainer reads every loss's weight
    assert mark("voted_none", settings, weight=0.5) != plain
    assert mark("voted_margin", settings, margin=0.6) != mark("voted_margin", settings)
    assert mark("voted_rdpo", settings, noise_score=0.2) != mark("voted_rdpo", settings)
    soft = settings.model_copy(
        update={"training": settings.training.model_copy(update={"loss": "soft"})}
    )
    assert mark("voted_none", soft, strength=0.8) != mark("voted_none", soft)


def test_tokens_of_a_learned_rationale_count() -> None:
    rows = pl.DataFrame({"rationale_id": ["r1", None, "r2"]})
    known = pl.DataFrame({"rationale_id": ["r1", "r2"], "text": ["two words", "one"]})
    reader = cast(Reader, Known({"rationales": known}))
    counted = _tokens_of_rationales(reader, rows, lambda text: len(text.split()))
    assert list(cast(pl.Series, counted)) == [3, 0, 2]  # with the token that ends a text
    assert _tokens_of_rationales(reader, rows.clear(), len) == 0


class Known(dict[str, pl.DataFrame]):
    """Tables that a test gives."""

    def read(self, name: str) -> pl.DataFrame:
        return self[name]
