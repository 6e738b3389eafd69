"""Trees of thoughts, and ranked lists of the paths of all trees."""

import dagster as dg

from assets import plots
from assets.produce import Made, Recipe, Result, column_schema, produce
from assets.sampling import CODE, OWNERS, first_by_hash, learnable, prompts, sampling_settings, speed, tree_nodes
from assets.treeviews import tree_metadata
from assets.workshop import Workshop
from pipeline.code import code_version
from pipeline.preferences.lists import build_lists
from pipeline.progress import bar
from pipeline.rewards.values import rewards_of
from pipeline.trees.forest import plant

LIST_CODE = code_version("pipeline/preferences/lists.py", "pipeline/trees", "pipeline/tables")
UNUSED = {"status": "no variant of this profile uses it"}


@dg.asset(
    group_name="sampling",
    kinds={"vllm", "parquet"},
    owners=OWNERS,
    deps=[prompts],
    code_version=CODE["tree_nodes"],
    metadata={"dagster/column_schema": column_schema("tree_nodes")},
    description="A tree of thoughts for every train and validation prompt: the rows of tree_nodes with method tot.",
)
def thought_nodes(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    settings = shop.settings
    if not shop.wants("thought_nodes"):
        return dg.MaterializeResult(metadata=UNUSED)

    def compute() -> Made:
        engine = shop.room.engine(shop.base)
        chosen = first_by_hash(learnable(shop), settings.thoughts.max_prompts)
        with bar("thoughts", lambda: speed(engine)) as advance:
            rows, rejects = plant(engine, chosen, settings.thoughts, settings.seed, advance, rewards_of(settings))
        return Made(rows, rejects, tree_metadata(shop.lake, rows))

    recipe = Recipe(
        "tree_nodes",
        "thoughts",
        CODE["tree_nodes"],
        sampling_settings(shop, "thoughts"),
        parents=("prompts",),
        partition={"method": "tot"},
    )
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, compute))


@dg.asset(
    group_name="preferences",
    kinds={"polars", "parquet"},
    owners=OWNERS,
    deps=[tree_nodes, thought_nodes],
    code_version=LIST_CODE,
    metadata={"dagster/column_schema": column_schema("preference_lists")},
    description="Ranked lists of each tree's paths, with values and TPO's adaptive step rewards, and shuffled ones.",
)
def preference_lists(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    settings = shop.settings
    if not shop.wants("preference_lists"):
        return dg.MaterializeResult(metadata=UNUSED)
    methods = [
        method for table, method in (("tree_nodes", "best_first"), ("thought_nodes", "tot")) if shop.wants(table)
    ]

    def compute() -> Made:
        embed = None
        if settings.lists.rewards:
            from pipeline.trees.embed import embedder  # torch only where a step needs it

            shop.room.rest()  # the engine's memory, before torch takes its own
            embed = embedder(shop.base.path, settings.model.max_model_len)
        nodes, asked = shop.lake.read("tree_nodes"), shop.lake.read("prompts")
        rows, rejects = build_lists(nodes, asked, methods, settings.lists.size, embed)
        counts = {f"lists_{name}": n for name, n in rows.group_by("variant").len().sort("variant").iter_rows()}
        sizes = rows["items"].list.len().to_list()
        return Made(rows, rejects, {**counts, "list_sizes": plots.histogram(sizes, "items in a list", "lists")})

    recipe = Recipe(
        "preference_lists",
        "lists",
        LIST_CODE,
        [settings.lists.model_dump(), methods, shop.base.policy_id],
        parents=("prompts", "tree_nodes"),
    )
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, compute))
