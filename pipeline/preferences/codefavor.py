"""CodeFavor's variants: from commits, a critic, all sources, and those that execution decides; each with two controls.

In all of them the direction of a pair with tests is what execution says, whatever the critic said; where both versions
fail, or pass alike, there is no pair. A pair without tests goes as the critic says; `codefavor_tests` has none of them.
`..._shuffled` exchanges half of the labels. `..._length` knows nothing but the length: its chosen side is the longer
one, or the shorter one, whichever is more often the better in the same pairs: what a variant gains over it is not
length. `codefavor_judge` holds every pair in both orders as a question for a judge, answered by a letter; its control
by length goes by the codes' lengths.
"""

from collections.abc import Callable

import polars as pl

from pipeline.config import Settings
from pipeline.ids import content_id
from pipeline.preferences.controls import shuffled
from pipeline.preferences.variant import Build, Variant
from pipeline.store import Lake
from pipeline.synthesis.codefavor_prompts import judge

ALL = ("commit", "evol", "recorded")  # methods of `code_pairs`; recorded: pairs from a file (`orchard import-code`)
_SIDES = (("chosen", "rejected"), ("chosen_ends", "rejected_ends"), ("chosen_id", "rejected_id"))


def _pairs(methods: tuple[str, ...], tests: bool) -> Build:
    def build(lake: Lake, settings: Settings) -> pl.DataFrame:
        found = lake.query_file("pairs_code", methods=list(methods), tests=tests)
        return found.drop("instruction", "criteria")

    return build


def _by_length(source: Build) -> Build:
    return lambda lake, settings: by_length(source(lake, settings))


def by_length(pairs: pl.DataFrame) -> pl.DataFrame:
    """The pairs relabelled by length alone: the longer side is chosen where it is the better one more often than not.

    Equally long sides have no label by length and are left out; strength and margin are unknown.
    """
    chosen, rejected = pl.col("chosen").str.len_chars(), pl.col("rejected").str.len_chars()
    unequal = pairs.filter(chosen != rejected)
    longer_wins = unequal.select((chosen > rejected).mean() >= 0.5).item() if unequal.height else True
    wrong = (chosen > rejected) != longer_wins
    swap = [
        pl.when(wrong).then(other).otherwise(side).alias(side) for a, b in _SIDES for side, other in ((a, b), (b, a))
    ]
    unknown = [pl.lit(None, dtype=pl.Float64).alias(name) for name in ("strength", "margin")]
    return unequal.with_columns(*swap, *unknown, flipped=wrong)


def questions(pairs: pl.DataFrame) -> pl.DataFrame:
    """Every pair with a criterion twice, in both orders: which code is better, A or B? So no seat has an advantage.

    The right letter is the pair's direction: what execution says where there are tests, else what the critic says.
    """
    rows = [
        {
            **row,
            "messages": judge(row["instruction"], row["criteria"], *_order(row, better_first)),
            "chosen": "A" if better_first else "B",
            "rejected": "B" if better_first else "A",
            # Letters say nothing of the codes, so the order stands in the ids.
            "chosen_id": content_id(row["chosen_id"], better_first),
            "rejected_id": content_id(row["rejected_id"], better_first),
        }
        for row in pairs.to_dicts()
        for better_first in (True, False)
    ]
    return pl.DataFrame(rows, schema=pairs.schema).drop("instruction", "criteria")


def _judged(relabel: Callable[[pl.DataFrame], pl.DataFrame] = lambda pairs: pairs) -> Build:
    def build(lake: Lake, settings: Settings) -> pl.DataFrame:
        pairs = lake.query_file("pairs_code", methods=list(ALL), tests=False)
        return questions(relabel(pairs.drop_nulls("criteria")))

    return build


def _order(row: dict[str, str], better_first: bool) -> tuple[str, str]:
    return (row["chosen"], row["rejected"]) if better_first else (row["rejected"], row["chosen"])


def _family() -> tuple[Variant, ...]:
    sources = {
        "codefavor": ("commits, critic and files", _pairs(ALL, tests=False)),
        "codefavor_commit": ("Commit-Instruct", _pairs(("commit",), tests=False)),
        "codefavor_evol": ("Critic-Evol", _pairs(("evol",), tests=False)),
        "codefavor_tests": ("commits, critic and files, labels by execution", _pairs(ALL, tests=True)),
    }
    made: list[Variant] = []
    for name, (method, build) in sources.items():
        made.append(Variant(name, "response", method, ("code_pairs",), build))
        for suffix, what, relabelled in (
            ("shuffled", "labels shuffled", shuffled(build)),
            ("length", "labels by length", _by_length(build)),
        ):
            made.append(
                Variant(
                    f"{name}_{suffix}", "response", f"{method}, {what}", ("code_pairs",), relabelled, control_of=name
                )
            )
    for name, what, build, control_of in (
        ("codefavor_judge", "both orders", _judged(), None),
        ("codefavor_judge_shuffled", "labels shuffled", shuffled(_judged()), "codefavor_judge"),
        ("codefavor_judge_length", "labels by length", _judged(by_length), "codefavor_judge"),
    ):
        method = f"pairwise judge, {what}"
        made.append(Variant(name, "response", method, ("code_pairs",), build, control_of=control_of))
    return tuple(made)


VARIANTS = _family()
