"""One policy on held-out prompts and pairs: rows of `evaluations`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import comb

import polars as pl

from pipeline import responses, tables
from pipeline.config import SamplingSettings
from pipeline.engine.base import Engine, Reject
from pipeline.ids import content_id
from pipeline.validation.diversity import distinct
from pipeline.verify.instructed import InstructionsVerifier
from pipeline.verify.instructions import fulfilment, read

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Candidate:
    """A policy under test."""

    policy_id: str
    variant: str
    seed: int
    beta: float = 0.1  # that it was trained with: the scale of its reward margins
    elsewhere: bool = False  # trained elsewhere, perhaps with another tokenizer


@dataclass(frozen=True)
class Drawn:
    """Sampled answers of one policy to test prompts."""

    prompts: pl.DataFrame  # those of whose requests none failed
    rows: pl.DataFrame  # of `responses` to these; an empty answer has no row, and counts as wrong
    n: int  # draws per prompt
    failed: list[Reject]  # prompts with a failed request: neither right nor wrong

    @property
    def first(self) -> dict[str, tuple[str, int]]:
        """Prompt id -> its first answer that is not empty, and the tokens of that."""
        first = self.rows.sort("draw").unique("prompt_id", keep="first", maintain_order=True)
        return {
            prompt: (text, tokens)
            for prompt, text, tokens in first.select("prompt_id", "text", "tokens").iter_rows()
        }


def answers(
    engine: Engine,
    prompts: pl.DataFrame,
    sampling: SamplingSettings,
    run_seed: int,
    progress: Progress | None = None,
) -> Drawn:
    """Draws answers. The seeds of the draws are the same for every policy."""
    drawn, rejects = responses.draw(engine, prompts, sampling, run_seed, progress)
    ids = set(prompts["prompt_id"])
    # the others name a response that is empty
    failed = [reject for reject in rejects if reject.row_id in ids]
    lost = {reject.row_id for reject in failed}
    # a prompt that lost one of its draws would count as less right
    sound = ~pl.col("prompt_id").is_in(lost)
    return Drawn(prompts.filter(sound), drawn.filter(sound), sampling.n, failed)


def checkable(prompts: pl.DataFrame) -> pl.DataFrame:
    """The prompts whose answers a verifier checks."""
    return prompts.filter(pl.col("verifier").is_not_null())


def accuracy(candidate: Candidate, drawn: Drawn, metric: str = "accuracy") -> pl.DataFrame:
    """Share of right draws per prompt.

    An empty draw is wrong, and a failed request is not counted at all.
    """
    right = drawn.rows.group_by("prompt_id").agg(
        right=pl.col("correct").sum(), tokens=pl.col("tokens").sum()
    )
    units = drawn.prompts.select("prompt_id").join(
        right, on="prompt_id", how="left", maintain_order="left"
    )
    values = units.select(
        unit_id="prompt_id",
        value=pl.col("right").fill_null(0) / drawn.n,
        n=pl.lit(drawn.n),
        tokens=pl.col("tokens").fill_null(0),
    )
    return rows(candidate, metric, values)


def pass_at(k: int, n: int, right: int) -> float:
    """P(at least one of k draws is right), from `right` of n draws:
    unbiased (Chen et al. 2021, arXiv 2107.03374).
    """
    return 1 - comb(n - right, k) / comb(n, k)


def of_draws(candidate: Candidate, drawn: Drawn, pass_ks: tuple[int, ...]) -> pl.DataFrame:
    """accuracy, pass@k for each k below the number of draws,
    and length and diversity of the answers.
    """
    accurate = accuracy(candidate, drawn)
    frames = [accurate]
    rights = [
        (unit, round(value * drawn.n))
        for unit, value in accurate.select("unit_id", "value").iter_rows()
    ]
    for k in sorted({k for k in pass_ks if 1 < k < drawn.n}):
        frames.append(
            _named(candidate, f"pass_at_{k}", {unit: pass_at(k, drawn.n, c) for unit, c in rights})
        )
    own = {str(prompt): frame for (prompt,), frame in drawn.rows.group_by("prompt_id")}
    ordered = {unit: own[unit] for unit, _ in rights if unit in own}
    lengths = {unit: float(frame["tokens"].sum()) / frame.height for unit, frame in ordered.items()}
    frames.append(_named(candidate, "answer_tokens", lengths))
    several = {unit: frame for unit, frame in ordered.items() if frame.height > 1}
    grams = {unit: distinct(frame["text"].to_list(), 2) for unit, frame in several.items()}
    frames.append(
        _named(
            candidate,
            "distinct_2",
            {unit: value for unit, value in grams.items() if value is not None},
        )
    )
    copies = {unit: _copies(frame) for unit, frame in several.items()}
    return pl.concat([*frames, _named(candidate, "near_duplicates", copies)])


def instructed(candidate: Candidate, drawn: Drawn) -> pl.DataFrame:
    """How well instructions are followed, per prompt of that verifier; an empty draw fulfils none.

    `accuracy` is the share of draws that fulfil all, strictly; `accuracy_loose` is the same in
    IFEval's loose mode.
    """
    asked = drawn.prompts.filter(pl.col("verifier") == InstructionsVerifier.name)
    known = {
        name: read(metadata) for name, metadata in asked.select("prompt_id", "metadata").iter_rows()
    }
    texts = drawn.rows.filter(pl.col("prompt_id").is_in(list(known)))
    found = fulfilment(
        (response, text, known[name])
        for response, text, name in texts.select("response_id", "text", "prompt_id").iter_rows()
    ).join(texts.select("prompt_id", unit_id="response_id"), on="unit_id")
    sums = found.group_by("prompt_id").agg(pl.col("strict", "loose", "all_loose").sum() / drawn.n)
    values = (
        asked.select("prompt_id")
        .join(sums, on="prompt_id", how="left", maintain_order="left")
        .fill_null(0)
    )
    names = {"strict": "instructions", "loose": "instructions_loose", "all_loose": "accuracy_loose"}
    frames = [
        units(candidate, name, values.select(unit_id="prompt_id", value=mode))
        for mode, name in names.items()
    ]
    return pl.concat(frames)


def _copies(frame: pl.DataFrame) -> float:
    return (frame.height - frame["near_duplicate_of"].null_count()) / (frame.height - 1)


def _named(candidate: Candidate, metric: str, values: Mapping[str, float]) -> pl.DataFrame:
    return units(
        candidate, metric, pl.DataFrame({"unit_id": list(values), "value": list(values.values())})
    )


def as_rejects(candidate: Candidate, failed: Sequence[Reject], step: str) -> list[Reject]:
    """What failed for one policy, as rejects of `evaluations`.

    A prompt that fails twice in the same way is one.
    """
    different = {(reject.row_id, reject.reason): reject for reject in failed}
    return [
        replace(
            reject,
            table="evaluations",
            step=step,
            row_id=content_id(candidate.policy_id, reject.row_id),
        )
        for reject in different.values()
    ]


def units(candidate: Candidate, metric: str, values: pl.DataFrame) -> pl.DataFrame:
    """Rows of `evaluations` from (unit_id, value): one draw each, with no tokens of its own."""
    return rows(candidate, metric, values.with_columns(n=pl.lit(1), tokens=pl.lit(0)))


def rows(candidate: Candidate, metric: str, values: pl.DataFrame) -> pl.DataFrame:
    """Rows of `evaluations` from columns unit_id, value, n, tokens."""
    ids = [
        content_id(candidate.policy_id, candidate.variant, candidate.seed, metric, unit)
        for unit in values["unit_id"]
    ]
    schema = tables.empty("evaluations").schema
    frame = values.with_columns(
        evaluation_id=pl.Series(ids, dtype=pl.String),
        policy_id=pl.lit(candidate.policy_id),
        variant=pl.lit(candidate.variant),
        seed=pl.lit(candidate.seed),
        metric=pl.lit(metric),
    )
    return frame.select(pl.col(name).cast(kind) for name, kind in schema.items())
