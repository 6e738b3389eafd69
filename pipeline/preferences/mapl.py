"""MAPL's variants: prompts compared for one response (intra-sample),
and pairs of such comparisons (inter-sample).

Intra-sample rows hold two prompts and one response: chosen and rejected are the same text, and
`rejected_messages` are the turns of the worse prompt. The loss 'sigmoid' on both log-ratios is the
response-conditioned Bradley-Terry model in its DPO form (arXiv 2502.00814, second-hand). The
partition terms of the two prompts do not cancel; the form drops them.

Inter-sample rows hold two prompts and two responses. For the prompt x, its instructed form x', a
response a that fulfils what was added and b that violates it, the term is our hypothesis (the
paper's is not readable):

    L = -log sigma( [r(x', a) - r(x', b)] - [r(x, a) - r(x, b)] )

One row is one term: (x', a) is its chosen side and (x, b) its rejected one, and the loss
'prompt_contrast' reads both texts under both prompts. In one of the two directions a is the
original pair's better response, in the other its worse.

Two controls each: `..._shuffled` exchanges the prompts of half of the rows; `..._length` knows
nothing but lengths.

`mapl_joint` is the paper's joint objective: both data sets and both losses in one training, equally
many rows of each (the paper's weights were not found). Its control mixes the shuffled ones.
"""

from dataclasses import replace

import polars as pl

from pipeline.config import Settings
from pipeline.ids import unit_for
from pipeline.preferences.mixture import control_of, mixture
from pipeline.preferences.texts import text_ids
from pipeline.preferences.variant import Build, Variant, register
from pipeline.steps.declared import Reads
from pipeline.store.reader import Reader


def from_file(name: str) -> Build:
    """The pairs that one SQL file of the table `instructions` gives."""

    def build(lake: Reader, settings: Settings) -> pl.DataFrame:
        return lake.query_file(name)

    return build


def shuffled(source: Build) -> Build:
    """The control: of half of each split's rows, by hash,
    the better and the worse prompt are exchanged.
    """

    def build(lake: Reader, settings: Settings) -> pl.DataFrame:
        return exchange_half(source(lake, settings))

    return build


def by_length(source: Build, better: pl.Expr, worse: pl.Expr) -> Build:
    """The control that knows nothing but the length of two texts of a row: see `length_only`."""

    def build(lake: Reader, settings: Settings) -> pl.DataFrame:
        return length_only(source(lake, settings), better, worse)

    return build


def exchange_half(pairs: pl.DataFrame) -> pl.DataFrame:
    """Exchanges the prompts of the rows with the smallest hashes, half of those of a split."""
    marked = pairs.select("split", order=_units(pairs, "mapl shuffle"))
    return _exchanged(pairs, marked.select(_first_half("order")).to_series())


def length_only(pairs: pl.DataFrame, better: pl.Expr, worse: pl.Expr) -> pl.DataFrame:
    """The rows relabelled by length alone:
    the longer text marks the better side where it does so more often than not.

    Where both texts are equally long, length has no say and half of these rows are exchanged, by
    hash: so the control has every row of its source. The margin is unknown. Our choice.

    Args:
        better, worse: of a row, the texts that stand for its better and its worse side; length is
            in characters.
    """
    more = better.str.len_chars().cast(pl.Int64) - worse.str.len_chars().cast(pl.Int64)
    marked = pairs.select("split", more=more, units=_units(pairs, "mapl length"))
    marked = marked.with_columns(order=pl.when(pl.col("more") == 0).then("units"))
    longer_wins = marked.select((pl.col("more") > 0).sum() >= (pl.col("more") < 0).sum()).item()
    by_coin, by_size = _first_half("order"), (pl.col("more") > 0) != longer_wins
    wrong = marked.select(pl.when(pl.col("more") == 0).then(by_coin).otherwise(by_size)).to_series()
    return _exchanged(pairs, wrong).with_columns(margin=pl.lit(None, dtype=pl.Float64))


def _units(pairs: pl.DataFrame, name: str) -> pl.Series:
    return pl.Series(
        [unit_for(name, *text_ids(row)) for row in pairs.iter_rows(named=True)], dtype=pl.Float64
    )


def _first_half(order: str) -> pl.Expr:
    """True for the rows of each split whose values are smallest.

    Rows of equal texts go together, nulls nowhere.
    """
    column = pl.col(order)
    return column.rank("dense").over("split") <= column.drop_nulls().n_unique().over("split") // 2


def _exchanged(pairs: pl.DataFrame, flipped: pl.Series) -> pl.DataFrame:
    """The better and the worse prompt exchanged where `flipped`:
    it turns the sign of both losses.
    """
    marked = pairs.with_columns(flipped=flipped)
    swap = [
        pl.when("flipped").then(other).otherwise(side).alias(side)
        for side, other in (("messages", "rejected_messages"), ("rejected_messages", "messages"))
    ]
    sign = pl.when("flipped").then(-pl.col("margin")).otherwise("margin").alias("margin")
    return marked.with_columns(*swap, sign)


# What a policy could go by without reading: the prompt's length (one response, two prompts), or the
# response's.
_PROMPTS = (
    pl.col("messages").list.last().struct.field("content"),
    pl.col("rejected_messages").list.last().struct.field("content"),
)
OWN: dict[str, Variant] = {}  # all of these, by name
_RESPONSES = (pl.col("chosen"), pl.col("rejected"))


def _register(
    name: str,
    method: str,
    query: str,
    loss: str,
    lengths: tuple[pl.Expr, pl.Expr],
    shuffled_name: str,
) -> None:
    """A variant of one query, and its two controls; `lengths` are what the second goes by."""
    build = from_file(query)
    made = Variant(name, "prompt", method, Reads(queries=(query,)), build, loss)
    mixed = made.control("shuffled", "shuffled", shuffled(build))
    by_lengths = "labels by length"
    own = (
        made,
        replace(mixed, name=shuffled_name),
        made.control("length", by_lengths, by_length(build, *lengths)),
    )
    register(*own)
    OWN.update({one.name: one for one in own})


_register(
    "mapl_intra",
    "MAPL, one response under two prompts",
    "mapl_intra",
    "sigmoid",
    _PROMPTS,
    "mapl_shuffled",
)
_register(
    "mapl_inter",
    "MAPL, pairs of pairs",
    "mapl_inter",
    "prompt_contrast",
    _RESPONSES,
    "mapl_inter_shuffled",
)
JOINT = mixture("mapl_joint", {"mapl_intra": 1, "mapl_inter": 1}, OWN)
register(JOINT, control_of(JOINT, OWN))
