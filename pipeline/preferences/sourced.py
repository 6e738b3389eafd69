"""Variants of imported pairs: each source of the profile is one, under its own name.

A pair is there where the file gives both texts and says which is better; ties are no pairs, and
pairs of test prompts are left out. `margin` is the difference of the sides' scores, where the file
gives them; a share of annotators says nothing sure of a strength, which stays null (our choice).
"""

import polars as pl

from pipeline.config import Settings
from pipeline.folding import folded
from pipeline.preferences.controls import shuffled
from pipeline.preferences.judged import explained_variants
from pipeline.preferences.variant import Build, Variant
from pipeline.steps.declared import Reads, Rows
from pipeline.store.reader import Reader


def variants(settings: Settings) -> dict[str, Variant]:
    """The profile's sources as variants by name: the pairs, those with rationales, controls."""
    found: list[Variant] = []
    for source in settings.sources:
        build = _build(source.name)
        own = [Rows(table, "origin", source.name) for table in ("recorded_pairs", "source_prompts")]
        reads = Reads(tables=tuple(own), settings=("preferences.max_pairs_per_prompt",))
        made = Variant(source.name, "response", "imported pairs", reads, build)
        found += [made, made.control("shuffled", "labels shuffled", shuffled(build))]
        found += explained_variants(f"{source.name}_rationale", source.name)
    return {variant.name: variant for variant in found}


def _build(name: str) -> Build:
    def build(lake: Reader, settings: Settings) -> pl.DataFrame:
        where = f"origin = '{name}'"
        pairs = lake.read("recorded_pairs", where=where).drop_nulls(["messages", "first", "second"])
        prompts = lake.read("source_prompts", where=where)
        own = prompts.select("prompt_id", "split", prompt="recorded_id")
        joined = pairs.rename({"prompt_id": "prompt"}).join(own, on="prompt")
        decided = joined.filter(pl.col("label") != 0.5, pl.col("split") != "test")
        rows = _oriented(decided).sort("prompt_id", "chosen_id", "rejected_id")
        limit = settings.preferences.max_pairs_per_prompt
        return _differing(rows).group_by("prompt_id", maintain_order=True).head(limit)

    return build


def _oriented(pairs: pl.DataFrame) -> pl.DataFrame:
    """The pairs as columns of `preferences`, the better side as the chosen one."""
    first = pl.col("label") > 0.5

    def side(name: str, *, better: bool) -> pl.Expr:
        one, other = (f"first{name}", f"second{name}")
        return pl.when(first if better else ~first).then(one).otherwise(other)

    policy = pl.col("first_policy")
    return pairs.select(
        "prompt_id",
        "split",
        "messages",
        chosen=side("", better=True),
        rejected=side("", better=False),
        chosen_id=side("_id", better=True),
        rejected_id=side("_id", better=False),
        margin=side("_score", better=True) - side("_score", better=False),
        depth=0,
        prefix=pl.lit(""),
        chosen_ends=True,
        rejected_ends=True,
        policy_id=pl.when(policy == pl.col("second_policy")).then(policy),
    )


def _differing(pairs: pl.DataFrame) -> pl.DataFrame:
    """Those whose sides look different, each once: two rows of a file may hold one pair."""
    looks = [
        (folded(chosen), folded(rejected))
        for chosen, rejected in pairs.select("chosen", "rejected").iter_rows()
    ]
    seen: set[tuple[str, str, str]] = set()
    kept = []
    for prompt, (chosen, rejected) in zip(pairs["prompt_id"], looks, strict=True):
        new = chosen != rejected and (prompt, *sorted((chosen, rejected))) not in seen
        seen.add((prompt, *sorted((chosen, rejected))))
        kept.append(new)
    return pairs.filter(pl.Series(kept, dtype=pl.Boolean))
