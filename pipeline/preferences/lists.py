"""Ranked lists of whole responses, for losses that learn from a list (TPO, ICLR 2025).

From TPO's released code, as facts: five responses to a list, each with its steps and a score. Our
choices, where that code has a fault or says nothing: the score is the value of the response's leaf
in the tree and not a judge's number (of a tree that was voted on, its place by the votes:
pipeline/trees/ballots.py); a leaf that the search left unfinished is completed by one of its
rollouts (pipeline/trees/paths.py), so that all items end and the value is what it was, the share of
right ends from that leaf; equal values share a rank and are never ordered; the same text counts
once; restarted step numbers are put right.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl

from pipeline import tables
from pipeline.config import Settings
from pipeline.engine.base import Reject, Turn
from pipeline.ids import content_id, unit_for
from pipeline.preferences.variant import Variant
from pipeline.store.reader import Reader
from pipeline.trees.chances import Chances, Draws, draws_of, fit
from pipeline.trees.node import Row
from pipeline.trees.paths import Path, finished_paths
from pipeline.trees.similarity import Embed, centred, step_rewards
from pipeline.trees.steps import split_path

Item = dict[str, Any]  # of `preference_lists.items`
_LABEL = re.compile(
    r"^(\s*(?:\*\*|#+\s*)?step\s+)(\d+)(?=(?:\*\*)?\s*[:.])", re.IGNORECASE | re.MULTILINE
)


@dataclass(frozen=True)
class ListVariant:
    """Which trees a list variant is made from, and what it lacks as a control."""

    method: str  # of tree_nodes
    shuffled: bool = False  # items change places
    rewarded: bool = True  # with adaptive step rewards


def ranked_lists(
    nodes: pl.DataFrame,
    prompts: pl.DataFrame,
    size: int,
    delimiter: str = "\n",
    embed: Embed | None = None,
) -> tuple[pl.DataFrame, list[Reject]]:
    """One ranked list per tree, and the trees that order nothing.

    Args:
        nodes: rows of `tree_nodes`.
        prompts: rows of `prompts`, those of the trees among them.
        size: items in a list at most: the best, the worst, and those between that spread the values
            best.
        delimiter: ends a step.
        embed: gives step vectors; null: items without rewards.

    Returns:
        rows of `preference_lists` with variant and list_id still empty, by prompt and tree.
    """
    known = {row["prompt_id"]: row for row in prompts.iter_rows(named=True)}
    rows, rejects = [], []
    leaves: dict[str, dict[str, Draws]] = {}  # by tree, as items name them
    grown = nodes.filter(pl.col("kind") != "root").sort("prompt_id", "tree_id")
    for (prompt_id, tree_id), tree in grown.group_by("prompt_id", "tree_id", maintain_order=True):
        found = finished_paths(tree.iter_rows(named=True))
        leaves[str(tree_id)] = _draws(found)
        items = chosen_items(items_of(found, delimiter), size)
        if len({item["value"] for item in items}) < 2:
            reason = "no order: no two of the tree's finished responses differ in value"
            rejects.append(
                Reject("preference_lists", "lists", str(tree_id), reason, {"prompt_id": prompt_id})
            )
            continue
        rows.append(_list_row(items, tree, known[prompt_id], embed))
    chances = fit(leaves.values())
    filled = [{**row, "orders": orders(row["items"], chances)} for row in rows]
    return pl.DataFrame(filled, schema=tables.empty("preference_lists").schema), rejects


def _list_row(items: list[Item], tree: pl.DataFrame, prompt: Row, embed: Embed | None) -> Row:
    first = tree.row(0, named=True)
    return {
        **{name: prompt[name] for name in ("prompt_id", "split", "messages")},
        "list_id": "",
        "variant": "",
        "items": _with_rewards(items, prompt["messages"], embed) if embed else items,
        "thoughts": _thoughts(items, tree),
        "policy_id": first["policy_id"],
        "method": f"paths of {first['method']}",
    }


def _draws(found: Sequence[Path]) -> dict[str, Draws]:
    drawn = {path.last["node_id"]: draws_of(path.leaf) for path in found}
    return {item: draws for item, draws in drawn.items() if draws is not None}


def orders(items: Sequence[Item], chances: Chances) -> list[Row]:
    """The pairs of items whose values differ, by their places, with their strengths.

    A strength compares the leaves: of two rollouts below them of which one is right, how often it
    is the better one's. Null where the values are no shares of rollouts.
    """
    return [
        {"better": i, "worse": j, "strength": chances.strength(one["item_id"], other["item_id"])}
        for (i, one), (j, other) in combinations(enumerate(items), 2)
        if one["value"] > other["value"]
    ]


def named(lists: pl.DataFrame, variant: str) -> pl.DataFrame:
    """Lists as a variant's, with their ids."""
    ids = [
        content_id(variant, row["prompt_id"], row["items"]) for row in lists.iter_rows(named=True)
    ]
    return lists.with_columns(variant=pl.lit(variant), list_id=pl.Series(ids, dtype=pl.String))


def items_of(found: Sequence[Path], delimiter: str) -> list[Item]:
    """Finished responses as items, the best first;
    of equal ones, and of equal texts, what the search itself finished is first, then by id.
    """
    items: dict[str, tuple[Path, Item]] = {}
    for path in sorted(found, key=lambda p: (p.rest is not None, *_place(p))):
        items.setdefault(path.text.strip(), (path, _item(path, delimiter)))
    return ranked([item for _, item in sorted(items.values(), key=lambda one: _place(one[0]))])


def _place(path: Path) -> tuple[float, bool, str]:
    return -(path.value or 0.0), path.rest is not None, path.last["node_id"]


def ranked(items: Sequence[Item]) -> list[Item]:
    """Items, the best first, with their ranks from 0; equal values share a rank."""
    values = sorted({item["value"] for item in items}, reverse=True)
    return [{**item, "rank": values.index(item["value"])} for item in items]


def chosen_items(items: Sequence[Item], size: int) -> list[Item]:
    """At most `size` items:
    the best, the worst, then always the one whose value is farthest from all chosen ones.
    """
    if len(items) <= size:
        return list(items)
    chosen = {0, len(items) - 1}
    while len(chosen) < size:
        rest = (place for place in range(len(items)) if place not in chosen)
        chosen.add(
            max(rest, key=lambda p: min(abs(items[p]["value"] - items[c]["value"]) for c in chosen))
        )
    return ranked([items[place] for place in sorted(chosen)])


def shuffle(lists: pl.DataFrame) -> pl.DataFrame:
    """The control: in each list the values stay where they are,
    and the items change places by hash.
    """

    def mixed(row: Row) -> list[Item]:
        items = row["items"]
        order = sorted(
            items, key=lambda item: unit_for("shuffle list", row["prompt_id"], item["item_id"])
        )
        kept = ("value", "rank")
        return [
            {**new, **{name: old[name] for name in kept}}
            for old, new in zip(items, order, strict=True)
        ]

    changed = pl.Series(
        "items", [mixed(row) for row in lists.iter_rows(named=True)], dtype=lists.schema["items"]
    )
    return lists.with_columns(changed)


def endings(lists: pl.DataFrame) -> dict[str, float | None]:
    """The shares of items that end, and of those that a rollout completed; null without items."""
    items = [item for found in lists["items"].to_list() for item in found]
    completed = [bool(item["steps"]) and item["steps"][-1]["value"] is None for item in items]
    n = len(items)
    return {
        "share_of_items_that_end": sum(item["ends"] for item in items) / n if n else None,
        "share_completed_by_a_rollout": round(sum(completed) / n, 4) if n else None,
    }


def renumbered(steps: Sequence[str]) -> list[str]:
    """Steps whose 'Step n:' labels rise:
    one that does not follows the last label, and those above it stay.

    A model may start again at 1 after a branch. A label begins a line, of which a step may have
    several, and has a colon or a full stop after its number: 'step 1 above' is none.
    """
    last = -1

    def risen(label: re.Match[str]) -> str:
        nonlocal last
        last = max(int(label[2]), last + 1)
        return f"{label[1]}{last}"

    return [_LABEL.sub(risen, step) for step in steps]


def _item(path: Path, delimiter: str) -> Item:
    rest = split_path(path.rest["text"], delimiter) if path.rest else []
    texts = renumbered([*(step["text"] for step in path.steps), *rest])
    values = [*(step["value"] for step in path.steps), *[None] * len(rest)]
    steps = [
        {"text": t, "value": value, "reward": None} for t, value in zip(texts, values, strict=True)
    ]
    return {
        "item_id": path.last["node_id"],
        "text": "".join(texts),
        "ends": path.last["terminal"],
        "value": path.value,
        "rank": 0,
        "reward": None,
        "steps": steps,
    }


def _thoughts(items: Sequence[Item], tree: pl.DataFrame) -> list[Row] | None:
    """What the model thought before each item, by the item's id; null where it never did."""
    known = dict(tree.select("node_id", "thought").iter_rows())
    found = [{"item_id": item["item_id"], "thought": known[item["item_id"]]} for item in items]
    return [one for one in found if one["thought"] is not None] or None


def _with_rewards(items: list[Item], messages: Sequence[Turn], embed: Embed) -> list[Item]:
    """Items with TPO's adaptive step rewards.

    The reference path is the list's best item: our choice.
    """
    vectors = centred(embed(messages, [[step["text"] for step in item["steps"]] for item in items]))
    given = [step_rewards(own, vectors[0]) for own in vectors]
    return [
        {
            **item,
            "reward": sum(rewards) / len(rewards),
            "steps": [
                {**step, "reward": reward}
                for step, reward in zip(item["steps"], rewards, strict=True)
            ],
        }
        for item, rewards in zip(items, given, strict=True)
    ]


def _without_rewards(lists: pl.DataFrame) -> pl.DataFrame:
    """The control of adaptive step rewards: the same lists without them."""

    def plain(items: list[Item]) -> list[Item]:
        return [
            {**item, "reward": None, "steps": [{**step, "reward": None} for step in item["steps"]]}
            for item in items
        ]

    changed = [plain(items) for items in lists["items"].to_list()]
    return lists.with_columns(pl.Series("items", changed, dtype=lists.schema["items"]))


def of_variant(lists: pl.DataFrame, name: str) -> pl.DataFrame:
    """The lists of a tree's items as those of a list variant."""
    own = LISTS[name]
    changed = lists if own.rewarded else _without_rewards(lists)
    return named(shuffle(changed) if own.shuffled else changed, name)


def own_lists(made: Variant, lake: Reader, settings: Settings) -> pl.DataFrame:
    """The lists of a variant that makes them itself; a control's are shuffled."""
    assert made.own_rows is not None
    lists = made.own_rows(lake, settings)
    return named(shuffle(lists) if made.control_of is not None else lists, made.name)


def reward_factors(lists: pl.DataFrame) -> dict[str, float | None]:
    """The spread of what the loss multiplies a step's log-ratio by:
    its reward over the mean of its list. Null without rewards.
    """
    found = [
        [step["reward"] for item in items for step in item["steps"]]
        for items in lists["items"].to_list()
        if all(item["reward"] is not None for item in items)
    ]
    each = [rewards / np.mean(rewards) for rewards in map(np.array, found) if rewards.sum() > 0]
    factors = np.concatenate(each) if each else None
    return {
        f"reward_factor_{name}": None if factors is None else round(float(measure(factors)), 4)
        for name, measure in (("lowest", np.min), ("highest", np.max), ("spread", np.std))
    }


LISTS: dict[str, ListVariant] = {
    "tpo": ListVariant("best_first"),
    "tpo_shuffled": ListVariant("best_first", shuffled=True),
    "tpo_no_rewards": ListVariant("best_first", rewarded=False),
    "tpo_tot": ListVariant("tot"),
    "tpo_tot_shuffled": ListVariant("tot", shuffled=True),
    "tpo_tot_no_rewards": ListVariant("tot", rewarded=False),
}
