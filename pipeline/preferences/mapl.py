"""MAPL's variants: prompts compared for one response (intra-sample), and pairs of such comparisons (inter-sample).

Intra-sample rows hold two prompts and one response: chosen and rejected are the same text, and `rejected_messages` are
the turns of the worse prompt. The loss 'sigmoid' on both log-ratios is the response-conditioned Bradley-Terry model in
its DPO form (arXiv 2502.00814, second-hand). The partition terms of the two prompts do not cancel; the form drops them.

Inter-sample rows hold two prompts and two responses. For the prompt x, its instructed form x', a response a that
fulfils what was added and b that violates it, the term is our hypothesis (the paper's is not readable):

    L = -log sigma( [r(x', a) - r(x', b)] - [r(x, a) - r(x, b)] )

One row is one term: (x', a) is its chosen side and (x, b) its rejected one, and the loss 'prompt_contrast' reads both
texts under both prompts. In one of the two directions a is the original pair's better response, in the other its worse.
"""

import polars as pl

from pipeline.config import Settings
from pipeline.ids import unit_for
from pipeline.preferences.texts import text_ids
from pipeline.preferences.variant import Build, Variant
from pipeline.store import Lake

TABLES = ("responses", "instructions")


def from_file(name: str) -> Build:
    """The pairs that one SQL file of the table `instructions` gives."""

    def build(lake: Lake, settings: Settings) -> pl.DataFrame:
        return lake.query_file(name)

    return build


def shuffled(source: Build) -> Build:
    """The control: of half of each split's rows, by hash, the better and the worse prompt are exchanged."""

    def build(lake: Lake, settings: Settings) -> pl.DataFrame:
        return exchange_half(source(lake, settings))

    return build


def exchange_half(pairs: pl.DataFrame) -> pl.DataFrame:
    """Exchanges the prompts of the rows with the smallest hashes, half of those of a split."""
    units = [unit_for("mapl shuffle", *text_ids(row)) for row in pairs.iter_rows(named=True)]
    marked = pairs.with_columns(order=pl.Series(units, dtype=pl.Float64))
    half = pl.col("order").rank("dense").over("split") <= pl.col("order").n_unique().over("split") // 2
    marked = marked.with_columns(flipped=half)
    swap = [
        pl.when("flipped").then(other).otherwise(side).alias(side)
        for side, other in (("messages", "rejected_messages"), ("rejected_messages", "messages"))
    ]
    sign = pl.when("flipped").then(-pl.col("margin")).otherwise("margin").alias("margin")
    return marked.with_columns(*swap, sign).drop("order")


_intra, _inter = from_file("mapl_intra"), from_file("mapl_inter")
VARIANTS = (
    Variant("mapl_intra", "prompt", "MAPL, one response under two prompts", TABLES, _intra, "sigmoid"),
    Variant(
        "mapl_shuffled",
        "prompt",
        "MAPL, one response under two prompts, shuffled",
        TABLES,
        shuffled(_intra),
        "sigmoid",
        control_of="mapl_intra",
    ),
    Variant("mapl_inter", "prompt", "MAPL, pairs of pairs", TABLES, _inter, "prompt_contrast"),
    Variant(
        "mapl_inter_shuffled",
        "prompt",
        "MAPL, pairs of pairs, shuffled",
        TABLES,
        shuffled(_inter),
        "prompt_contrast",
        control_of="mapl_inter",
    ),
)
