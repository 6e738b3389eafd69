"""Prompts, and what the policy makes of them: sampled responses and reasoning trees."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from pipeline import responses as sampled
from pipeline import tables
from pipeline.by_hash import first_by_hash
from pipeline.config import Settings
from pipeline.engine.rendering import Renderer
from pipeline.ids import content_id
from pipeline.preferences.trees import THOUGHTS, TREES
from pipeline.prompts import load_pools
from pipeline.prompts.pools import KEPT_FOR_TESTS, evaluation_pools, verifiers_of
from pipeline.prompts.renderable import check_renderable
from pipeline.prompts.source import SOURCES
from pipeline.rewards.values import rewards_of
from pipeline.sources.pair_sets import asked_by, pair_sets
from pipeline.steps import Inputs, PerPrompt, Reads, Rows, Step, StepResult
from pipeline.trees.forest import plant
from pipeline.trees.views import views
from pipeline.verify import registry


def verified(settings: Settings, part: str | None = None) -> Reads:
    """The code of the verifiers of a profile's pools."""
    return Reads(code=tuple(registry.code_of(name) for name in verifiers_of(settings)))


def _pooled(settings: Settings, part: str | None = None) -> Reads:
    """The code of a profile's pool sources, and of the verifiers of its pools; the conversations of
    sources that are evaluation sets, which are left out of what is learned from.
    """
    sources = dict.fromkeys(SOURCES.source_of(pool.source) for pool in settings.pools)
    sets = tuple(Rows("recorded_pairs", "origin", name) for name in pair_sets(settings))
    return verified(settings).plus(Reads(code=tuple(sources), tables=sets))


def learnable(inputs: Inputs) -> pl.DataFrame:
    """Train and validation prompts: test prompts are kept for the leaderboard."""
    return inputs.table("prompts", where="split <> 'test'")


def _pools(inputs: Inputs) -> tuple[pl.DataFrame, pl.DataFrame]:
    return inputs.once("pools", lambda: _read_pools(inputs))


def _read_pools(inputs: Inputs) -> tuple[pl.DataFrame, pl.DataFrame]:
    erased = inputs.table("erased_ids").select("id", "erased_on")
    names = pair_sets(inputs.settings)
    asked = asked_by(inputs.table("recorded_pairs"), names) if names else {}
    return load_pools(inputs.settings, dict(erased.iter_rows()), asked)


def _prompts(inputs: Inputs) -> StepResult:
    rows, rejects = _pools(inputs)
    model = inputs.model("policy")
    check_renderable(rows, Renderer(model.path).chat, model.policy_id)
    kept = rejects.filter(pl.col("reason").str.contains(KEPT_FOR_TESTS, literal=True)).height
    return StepResult(rows, rejects, {"left_out_for_evaluation_sets": kept} if kept else {})


def _prompts_shown(inputs: Inputs, rows: pl.DataFrame) -> Mapping[str, Any]:
    sets = pl.col("pool").is_in(evaluation_pools(inputs.settings))
    kind = pl.when(sets).then(pl.format("set_{}", "pool")).otherwise(pl.format("split_{}", "split"))
    counts = rows.group_by(kind=kind).len().sort("kind")
    last = pl.col("messages").list.last().struct.field("role")
    begun = rows.filter(last == "assistant").height
    shown = dict(counts.iter_rows())
    return {**shown, "go_on_with_an_assistants_turn": begun} if begun else shown


PROMPTS = Step(
    name="prompts",
    table="prompts",
    make=_prompts,
    reads=Reads(
        beside=("erased_ids",),
        settings=("pools", "splits", "sandbox", "personal_data"),
        models=("policy",),
    ),
    reads_of=_pooled,
    # The rows themselves count: a pool's file may change while its settings stay.
    counts=lambda inputs: [content_id(frame.to_dicts()) for frame in _pools(inputs)],
    show=_prompts_shown,
    group="prompts",
    description="The prompt pools of the profile, split into train, validation and test by hash.",
)


def _responses(inputs: Inputs) -> StepResult:
    engine, settings = inputs.engine("policy"), inputs.settings
    with inputs.bar("responses", engine) as advance:
        found = sampled.draw(engine, inputs.units, settings.sampling, settings.seed, advance)
    return StepResult(*found)


def _responses_shown(inputs: Inputs, rows: pl.DataFrame) -> Mapping[str, Any]:
    right = rows["correct"].mean()
    share = round(float(right), 4) if isinstance(right, float) else None
    missing = rows.filter(pl.col("correct").is_not_null())["answer"].null_count()
    others = tables.empty("policy_responses")  # they show themselves
    return {
        "share_right": share,
        "judged_without_an_answer": missing,
        "length_and_style": inputs.query("policy_style", frames={"policy_responses": others}),
    }


RESPONSES = Step(
    name="responses",
    table="responses",
    make=_responses,
    reads=Reads(tables=("prompts",), settings=("seed", "sampling", "sandbox"), engines=("policy",)),
    reads_of=verified,
    per=PerPrompt(learnable),
    show=_responses_shown,
    show_reads=Reads(queries=("policy_style",)),
    group="sampling",
    kinds=("vllm",),
    description="Several responses of the policy to every train and validation prompt, verified.",
)


def _trees(inputs: Inputs) -> StepResult:
    engine, settings = inputs.engine("policy"), inputs.settings
    with inputs.bar("trees", engine) as advance:
        return StepResult(*plant(engine, inputs.units, settings.trees, settings.seed, advance))


def _trees_shown(inputs: Inputs, rows: pl.DataFrame) -> Mapping[str, Any]:
    flat = inputs.query("flat_trees", frames={"tree_nodes": rows})
    return views(rows, flat)


TREE_NODES = Step(
    name="tree_nodes",
    table="tree_nodes",
    partition=TREES,
    make=_trees,
    reads=Reads(
        tables=("prompts",),
        settings=("seed", "trees", "sandbox"),
        engines=("policy",),
    ),
    reads_of=verified,
    per=PerPrompt(
        lambda inputs: first_by_hash(learnable(inputs), "trees", inputs.settings.trees.max_prompts)
    ),
    show=_trees_shown,
    show_reads=Reads(queries=("flat_trees",)),
    continues=True,
    group="sampling",
    kinds=("vllm",),
    description="A Tree-PLV best-first tree for every train and validation prompt.",
)


def _thoughts(inputs: Inputs) -> StepResult:
    engine, settings = inputs.engine("policy"), inputs.settings
    with inputs.bar("thoughts", engine) as advance:
        rewards = rewards_of(settings)
        found = plant(engine, inputs.units, settings.thoughts, settings.seed, advance, rewards)
    return StepResult(*found)


THOUGHT_NODES = Step(
    name="thought_nodes",
    table="tree_nodes",
    partition=THOUGHTS,
    make=_thoughts,
    reads=Reads(
        tables=("prompts",),
        settings=("seed", "thoughts", "sandbox", "engine", "noise.micro_tokens"),
        engines=("policy",),
    ),
    reads_of=verified,
    per=PerPrompt(
        lambda inputs: first_by_hash(
            learnable(inputs), "trees", inputs.settings.thoughts.max_prompts
        )
    ),
    show=_trees_shown,
    show_reads=Reads(queries=("flat_trees",)),
    continues=True,
    group="sampling",
    kinds=("vllm",),
    description="A tree of thoughts for every train and validation prompt.",
)

STEPS = (PROMPTS, RESPONSES, TREE_NODES, THOUGHT_NODES)
