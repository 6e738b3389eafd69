"""CodeFavor's variants: from commits, a critic, all sources, and those that execution decides;
each with two controls.

In all of them the direction of a pair with tests is what execution says, whatever the critic said;
where both versions fail, or pass alike, there is no pair. A pair without tests goes as the critic
says; `codefavor_tests` has none of them. `..._shuffled` exchanges half of the labels. `..._length`
knows nothing but the length: its chosen side is the longer one, or the shorter one, whichever is
more often the better in the same pairs: what a variant gains over it is not length.
`codefavor_judge` holds every pair in both orders as a question for a judge, answered by a letter;
its control by length goes by the codes' lengths.
"""

from collections.abc import Callable

import polars as pl

from pipeline.config import Settings
from pipeline.ids import content_id
from pipeline.preferences.controls import shuffled
from pipeline.preferences.exchange import SIDES
from pipeline.preferences.variant import Build, Variant, register
from pipeline.steps.declared import Reads
from pipeline.store.reader import Reader
from pipeline.synthesis.codefavor_prompts import judge

# Methods of `code_pairs`; recorded: pairs from a file (`orchard import-code`).
ALL = (
    "commit",
    "evol",
    "recorded",
)


def _pairs(methods: tuple[str, ...], tests: bool) -> Build:
    def build(lake: Reader, settings: Settings) -> pl.DataFrame:
        found = lake.query_file("pairs_code", methods=list(methods), tests=tests)
        return found.drop("instruction", "criteria")

    return build


def _by_length(source: Build) -> Build:
    return lambda lake, settings: by_length(source(lake, settings))


def by_length(pairs: pl.DataFrame) -> pl.DataFrame:
    """The pairs relabelled by length alone:
    the longer side is chosen where it is the better one more often than not.

    Equally long sides have no label by length and are left out; strength and margin are unknown.
    """
    chosen, rejected = pl.col("chosen").str.len_chars(), pl.col("rejected").str.len_chars()
    unequal = pairs.filter(chosen != rejected)
    longer_wins = (
        unequal.select((chosen > rejected).mean() >= 0.5).item() if unequal.height else True
    )
    wrong = (chosen > rejected) != longer_wins
    swap = [
        pl.when(wrong).then(other).otherwise(side).alias(side)
        for a, b in SIDES
        for side, other in ((a, b), (b, a))
    ]
    unknown = [pl.lit(None, dtype=pl.Float64).alias(name) for name in ("strength", "margin")]
    return unequal.with_columns(*swap, *unknown, flipped=wrong)


def questions(pairs: pl.DataFrame) -> pl.DataFrame:
    """Every pair with a criterion twice, in both orders:
    which code is better, A or B? So no seat has an advantage.

    The right letter is the pair's direction: what execution says where there are tests, else what
    the critic says.
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
    def build(lake: Reader, settings: Settings) -> pl.DataFrame:
        pairs = lake.query_file("pairs_code", methods=list(ALL), tests=False)
        return questions(relabel(pairs.drop_nulls("criteria")))

    return build


def _order(row: dict[str, str], better_first: bool) -> tuple[str, str]:
    return (row["chosen"], row["rejected"]) if better_first else (row["rejected"], row["chosen"])


READS = Reads(queries=("pairs_code",))


def _register(name: str, method: str, methods: tuple[str, ...], *, tests: bool = False) -> None:
    """A variant of some methods, and its two controls."""
    build = _pairs(methods, tests)
    made = Variant(name, "response", method, READS, build)
    register(
        made,
        made.control("shuffled", "labels shuffled", shuffled(build)),
        made.control("length", "labels by length", _by_length(build)),
    )


_register("codefavor", "commits, critic and files", ALL)
_register("codefavor_commit", "Commit-Instruct", ("commit",))
_register("codefavor_evol", "Critic-Evol", ("evol",))
_register("codefavor_tests", "commits, critic and files, labels by execution", ALL, tests=True)
JUDGE = Variant("codefavor_judge", "response", "pairwise judge, both orders", READS, _judged())
register(
    JUDGE,
    JUDGE.control("shuffled", "labels shuffled", shuffled(_judged())),
    JUDGE.control("length", "labels by length", _judged(by_length)),
)
