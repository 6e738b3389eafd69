"""Variants of what was imported: each source of the profile is some, under its own name.

`uf`: its pairs; `uf_rationale`: with reasons; `uf_thumbs`: single texts with a label of their own
(BCO); `uf_lists`: its ranked lists. A pair is there where the file gives both texts and says which
is better; ties are no pairs, and what belongs to test prompts is left out. `margin` is the
difference of the sides' scores, where the file gives them; a share of annotators says nothing sure
of a strength, which stays null (our choice).
"""

from dataclasses import replace
from itertools import combinations
from typing import Any

import polars as pl

from pipeline import tables
from pipeline.config import Settings
from pipeline.folding import folded
from pipeline.preferences.controls import shuffled
from pipeline.preferences.judged import explained_variants
from pipeline.preferences.lists import chosen_items, ranked
from pipeline.preferences.variant import Build, Variant
from pipeline.steps.declared import Reads, Rows
from pipeline.store.reader import Reader


def variants(settings: Settings) -> dict[str, Variant]:
    """The variants of the profile's sources, and their controls, by name."""
    found: list[Variant] = []
    for source in settings.sources:
        if source.role == "evaluation":
            continue
        name = source.name
        build = _build(name)
        paired, single = (
            Reads(tables=tuple(Rows(one, "origin", name) for one in (table, "source_prompts")))
            for table in ("recorded_pairs", "recorded_responses")
        )
        reads = paired.plus(Reads(settings=("preferences.max_pairs_per_prompt",)))
        pairs = Variant(name, "response", "imported pairs", reads, build)
        thumbs = replace(
            pairs,
            name=f"{name}_thumbs",
            method="imported texts with a thumb",
            loss="bco",
            rows="unpaired",
            own_rows=_thumbs(name),
            own_reads=single,
        )
        lists = replace(
            pairs,
            name=f"{name}_lists",
            method="imported lists",
            loss="list_ranking",
            rows="preference_lists",
            own_rows=_lists(name),
            own_reads=single.plus(Reads(settings=("lists.size",))),
        )
        for made in (pairs, thumbs, lists):
            found += [made, made.control("shuffled", "labels shuffled", shuffled(build))]
        found += explained_variants(f"{name}_rationale", name)
    return {variant.name: variant for variant in found}


def _with_prompts(lake: Reader, name: str, table: str) -> pl.DataFrame:
    """A source's rows of a table with the id and split of their prompt; none of test prompts."""
    where = f"origin = '{name}'"
    prompts = lake.read("source_prompts", where=f"{where} AND split <> 'test'")
    own = prompts.select("prompt_id", "split", prompt="recorded_id")
    rows = lake.read(table, where=where).drop_nulls("messages").rename({"prompt_id": "prompt"})
    return rows.join(own, on="prompt")


def _build(name: str) -> Build:
    def build(lake: Reader, settings: Settings) -> pl.DataFrame:
        pairs = _with_prompts(lake, name, "recorded_pairs").drop_nulls(["first", "second"])
        rows = oriented(pairs.filter(pl.col("label") != 0.5))
        ordered = differing(rows.sort("prompt_id", "chosen_id", "rejected_id"))
        limit = settings.preferences.max_pairs_per_prompt
        return ordered.group_by("prompt_id", maintain_order=True).head(limit)

    return build


def _thumbs(name: str) -> Build:
    """Gives texts with a thumb as rows of `unpaired` without weights, each of a prompt once."""

    def texts(lake: Reader, settings: Settings) -> pl.DataFrame:
        rows = _with_prompts(lake, name, "recorded_responses").drop_nulls("desirable")
        once = rows.sort("response_id").unique(["prompt_id", "text"], keep="first")
        return once.select(
            "prompt_id",
            "split",
            "messages",
            "text",
            "desirable",
            "response_id",
            ends=True,
            policy_id="policy",
            thought=pl.lit(None, pl.String),
            token_ids=pl.lit(None, pl.List(pl.Int64)),
            method=pl.lit("imported texts with a thumb"),
        ).sort("response_id")

    return texts


def _lists(name: str) -> Build:
    """Gives a source's ranked lists; at most `lists.size` items each, values from ranks."""

    def lists(lake: Reader, settings: Settings) -> pl.DataFrame:
        rows = _with_prompts(lake, name, "recorded_responses").drop_nulls(["list_id", "rank"])
        grouped = rows.sort("list_id", "rank", "response_id").group_by(
            "list_id", maintain_order=True
        )
        found = [_list(own.to_dicts(), settings.lists.size) for _, own in grouped]
        whole = [row for row in found if len({item["value"] for item in row["items"]}) > 1]
        return pl.DataFrame(whole, schema=tables.empty("preference_lists").schema)

    return lists


def _list(responses: list[dict[str, Any]], size: int) -> dict[str, Any]:
    """A list from responses in the order of their ranks; a value is the share that it beats."""
    texts: dict[str, dict[str, Any]] = {}
    for row in responses:
        texts.setdefault(folded(row["text"]), row)  # of equal texts the better one: the first
    ranks = [row["rank"] for row in texts.values()]
    items = [
        {
            "item_id": row["response_id"],
            "text": row["text"],
            "ends": True,
            "value": sum(rank > row["rank"] for rank in ranks) / max(len(ranks) - 1, 1),
            "reward": None,
            "steps": None,
        }
        for row in texts.values()
    ]
    chosen = chosen_items(ranked(items), size)
    writers = {row["policy"] for row in responses}
    first = responses[0]
    return {
        **{name: first[name] for name in ("prompt_id", "split", "messages")},
        "list_id": "",
        "variant": "",
        "items": chosen,
        "orders": [
            {"better": i, "worse": j, "strength": None}
            for (i, one), (j, other) in combinations(enumerate(chosen), 2)
            if one["value"] > other["value"]
        ],
        "thoughts": None,
        "policy_id": writers.pop() if len(writers) == 1 else None,
        "method": "imported lists",
    }


def oriented(pairs: pl.DataFrame, *more: str) -> pl.DataFrame:
    """The pairs as columns of `preferences`, the better side as the chosen one; more: columns that
    are kept as they are.
    """
    first = pl.col("label") > 0.5

    def side(name: str, *, better: bool) -> pl.Expr:
        one, other = (f"first{name}", f"second{name}")
        return pl.when(first if better else ~first).then(one).otherwise(other)

    policy = pl.col("first_policy")
    return pairs.select(
        *more,
        "prompt_id",
        "split",
        "messages",
        chosen=side("", better=True),
        rejected=side("", better=False),
        chosen_id=side("_id", better=True),
        rejected_id=side("_id", better=False),
        strength=pl.lit(None, pl.Float64),
        margin=side("_score", better=True) - side("_score", better=False),
        depth=0,
        prefix=pl.lit(""),
        chosen_ends=True,
        rejected_ends=True,
        policy_id=pl.when(policy == pl.col("second_policy")).then(policy),
    )


def differing(pairs: pl.DataFrame) -> pl.DataFrame:
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
