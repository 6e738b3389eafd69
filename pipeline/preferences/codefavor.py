"""CodeFavor's variants: from commits, a critic, all sources, and those that execution decides;
each with two controls.

In all of them the direction of a pair with tests is what execution says, whatever the critic said;
where both versions fail, or pass alike, there is no pair. A pair without tests goes as the critic
says; `codefavor_tests` has none of them. `..._shuffled` exchanges half of the labels. `..._length`
knows nothing but the length: its chosen side is the longer one, or the shorter one, whichever is
more often the better in the same pairs: what a variant gains over it is not length.
`codefavor_judge` holds every pair in both orders as a question for a judge, answered by a letter;
its control by length goes by the codes' lengths. DPO learns it; `codefavor_judge_sft` has the same
rows, and learns the right letter alone, as the paper trains its classification.
`codefavor_judge_generation` is the paper's other mode: the critic's feedback, and then the verdict
in a fixed sentence, learned likewise.
"""

import re
from collections.abc import Callable

import polars as pl

from pipeline.config import Settings
from pipeline.ids import content_id
from pipeline.preferences.controls import shuffled
from pipeline.preferences.exchange import SIDES
from pipeline.preferences.variant import Build, Variant, register
from pipeline.steps.declared import Reads
from pipeline.store.reader import Reader
from pipeline.synthesis.codefavor_prompts import judge, verdict

# Methods of `code_pairs`; recorded: pairs from a file (`orchard import-code`).
ALL = (
    "commit",
    "evol",
    "recorded",
)


FOR_JUDGES = ("instruction", "criteria", "feedback")  # what questions are made of


def _pairs(methods: tuple[str, ...], tests: bool) -> Build:
    def build(lake: Reader, settings: Settings) -> pl.DataFrame:
        found = lake.query_file("pairs_code", methods=list(methods), tests=tests)
        return found.drop(FOR_JUDGES)

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
    return pl.DataFrame(rows, schema=pairs.schema).drop(FOR_JUDGES)


def explained(pairs: pl.DataFrame) -> pl.DataFrame:
    """Every pair with feedback twice, in both orders: why one code is better, and which.

    The sides differ in the last sentence only. Pairs whose tests contradict the critic are left
    out, since the feedback argues for the other side; so are those without feedback.
    """
    kept = pairs.filter(pl.col("chosen_id").str.ends_with(".improved")).drop_nulls("feedback")
    rows = []
    for row in kept.to_dicts():
        for improved_first in (True, False):
            better, worse = "AB" if improved_first else "BA"
            said = _about_codes(row["feedback"], improved=better, naive=worse)
            order = _order(row, improved_first)
            asked = judge(row["instruction"], row["criteria"], *order, explains=True)
            sides = {"chosen": verdict(said, better), "rejected": verdict(said, worse)}
            ids = {
                f"{side}_id": content_id(row[f"{side}_id"], improved_first, "explained")
                for side in sides
            }
            rows.append({**row, "messages": asked, **sides, **ids})
    return pl.DataFrame(rows, schema=pairs.schema).drop(FOR_JUDGES)


def _about_codes(feedback: str, *, improved: str, naive: str) -> str:
    """Feedback that calls the two codes as a judge sees them."""
    for names, letter in (("NAIVE_CODE|ATTEMPT_1", naive), ("IMPROVED_CODE|ATTEMPT_2", improved)):
        feedback = re.sub(rf"\[?\b(?:{names})\b\]?", f"[CODE_{letter}]", feedback)
    return feedback


def _judged(
    relabel: Callable[[pl.DataFrame], pl.DataFrame] = lambda pairs: pairs,
    asked: Callable[[pl.DataFrame], pl.DataFrame] = questions,
) -> Build:
    def build(lake: Reader, settings: Settings) -> pl.DataFrame:
        pairs = lake.query_file("pairs_code", methods=list(ALL), tests=False)
        return asked(relabel(pairs.drop_nulls("criteria")))

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
SFT = Variant(
    "codefavor_judge_sft", "response", "pairwise judge by SFT", READS, _judged(), loss="sft"
)
for _made in (JUDGE, SFT):
    register(
        _made,
        _made.control("shuffled", "labels shuffled", shuffled(_judged())),
        _made.control("length", "labels by length", _judged(by_length)),
    )
GENERATION = Variant(
    "codefavor_judge_generation",
    "response",
    "pairwise judge by SFT, feedback and verdict",
    READS,
    _judged(asked=explained),
    loss="sft",
)
register(
    GENERATION,
    GENERATION.control("shuffled", "verdicts shuffled", shuffled(_judged(asked=explained))),
)
