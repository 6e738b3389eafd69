"""Reward models that vote on the pairs of one variant, and what their votes say about labels and voters."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from assets import plots
from assets.judging import votes_asset
from assets.produce import Made, Recipe, Result, column_schema, preview, produce
from assets.sampling import OWNERS, prompts, responses, tree_nodes
from assets.trees import preference_lists
from assets.workshop import Workshop
from pipeline import config, tables
from pipeline.code import code_version
from pipeline.config import ModelSettings, Settings
from pipeline.engine.base import Reject
from pipeline.engine.model import Model, resolve
from pipeline.errors import OrchardError
from pipeline.preferences.build import identity, sources, voted_on
from pipeline.preferences.voted import source_of
from pipeline.progress import bar
from pipeline.store import Lake

if TYPE_CHECKING:
    from pipeline.noise.features import Features
    from pipeline.noise.selftest import SelfTest

CODE = code_version(
    "pipeline/noise", "pipeline/rewards", "pipeline/preferences", "pipeline/training/reward.py", "pipeline/tables"
)
SAMPLED = "SELECT prompt_id, response_id, text, messages FROM responses JOIN prompts USING (prompt_id)"
UNUSED = {"status": "no variant of this profile uses it"}
LABEL_TRUTH = config.SHIPPED / "sql" / "label_truth.sql"
AFTERWARDS = {
    "start",
    "flip_share",
    "drop_share",
    "soft",
    "duplicates",
    "test_shares",
}  # settings that no score reads
# Sections of the settings that pairs from these tables read besides `preferences`.
ASKED = {"votes": "judge", "rationales": "judge", "principles": "judge", "instructions": "mapl", "code_pairs": "code"}
Advance = Callable[[int, int], None]


def texts_of(
    lake: Lake, settings: Settings, model: Model, advance: Advance | None = None
) -> "tuple[pl.DataFrame, Features, list[Reject]]":
    """Pairs of the source variant with their text ids, features of all their texts, and pairs that do not fit.

    Raises:
        OrchardError: the source variant has no pairs.
    """
    from pipeline.noise.features import features

    fitting, texts, rejects = _sides_of(lake, settings, model)
    folder = config.home() / "cache" / "features"
    found = features(model, texts, folder, micro_tokens=settings.noise.micro_tokens, progress=advance)
    return fitting, found, rejects


def _sides_of(
    lake: Lake, settings: Settings, model: Model
) -> tuple[pl.DataFrame, dict[str, tuple[int, ...]], list[Reject]]:
    from pipeline.noise.features import sides

    pairs = voted_on(lake, settings)
    if pairs.is_empty():
        raise OrchardError(f"no pairs of {settings.noise.source!r}: run `orchard run` first, or set noise.source")
    fitting, texts, faults = sides(pairs, model, settings.noise.max_length)
    return fitting, texts, [Reject("scores", "scores", pair, reason) for pair, reason in faults.items()]


def _parents(shop: Workshop) -> tuple[str, ...]:
    """The tables of the source variant's pairs, and of the samples that centre combined rewards."""
    samples = ("prompts", "responses") if shop.settings.noise.combine == "log_sigmoid" else ()
    return tuple(dict.fromkeys([*sources(shop.settings, [source_of(shop.settings)]), *samples]))


@dg.asset(
    group_name="noise",
    kinds={"torch", "parquet"},
    owners=OWNERS,
    deps=[prompts, responses, tree_nodes, preference_lists, votes_asset],
    code_version=CODE,
    metadata={"dagster/column_schema": column_schema("scores")},
    description="Rewards of every text by reward models that never saw its prompt, and by external ones.",
)
def scores(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    settings = shop.settings
    if not shop.wants("pair_strengths"):
        return dg.MaterializeResult(metadata=UNUSED)

    def compute() -> Made:
        shop.room.rest()  # the engine's memory, before torch takes its own
        pairs, texts, rejects = _sides_of(shop.lake, settings, shop.base)
        own, curves = _own_scores(shop, pairs, texts)
        others, faults = _external_scores(shop.lake, settings, pairs)
        plot = plots.curves(curves, "optimiser step of the first fold", "loss") if curves else None
        return Made(pl.concat([own, others]), [*rejects, *faults], {"loss": plot} if plot else {})

    asked = [settings.seed, settings.noise.model_dump(exclude=AFTERWARDS), _pairs_asked(settings)]
    read_here = [resolve(model, config.home()).policy_id for model in local_voters(settings)]
    extra = (shop.base.policy_id, *read_here)
    recipe = Recipe("scores", "scores", CODE, asked, parents=_parents(shop), extra=extra)
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, compute))


def _own_scores(
    shop: Workshop, pairs: pl.DataFrame, texts: dict[str, tuple[int, ...]]
) -> tuple[pl.DataFrame, dict[str, list[tuple[float, float]]]]:
    """Rewards by our own models, and their training losses."""
    import numpy as np

    from pipeline.noise.features import Features, features
    from pipeline.noise.heads import fit_heads
    from pipeline.noise.voting import own_scores
    from pipeline.training.reward import fit_tuned

    chosen, cache, name = shop.settings.noise, config.home() / "cache", shop.base.policy_id
    if chosen.method == "none":
        return tables.empty("scores"), {}
    if chosen.method == "heads":
        with bar("features") as advance:
            found = features(shop.base, texts, cache / "features", micro_tokens=chosen.micro_tokens, progress=advance)
        return own_scores(found, pairs, chosen, shop.settings.seed, name, fit_heads(chosen))
    keys = sorted(texts)
    unread = Features(keys, np.zeros((len(keys), 0), np.float32))
    with bar("reward models") as advance:
        fit = fit_tuned(shop.base.path, [texts[key] for key in keys], chosen, cache / "rewards", progress=advance)
        return own_scores(unread, pairs, chosen, shop.settings.seed, name, fit)


def _external_scores(lake: Lake, settings: Settings, pairs: pl.DataFrame) -> tuple[pl.DataFrame, list[Reject]]:
    """Rewards by models and servers from elsewhere; combined ones also of the samples that centre them."""
    from pipeline.noise.elsewhere import external_scores
    from pipeline.rewards import reward_model
    from pipeline.rewards.texts import conversations, references

    said, samples = [], None
    asked = conversations(pairs)
    if settings.noise.combine == "log_sigmoid":
        samples = references(pairs, asked, lake.sql(SAMPLED))
        asked.update(samples.select("text_id", "turns").iter_rows())
    for voter in settings.noise.external:
        with bar(voter.name) as advance:
            model = reward_model(voter, settings.engine, config.home(), settings.noise.micro_tokens)
            said.append((model(asked, advance), voter.aspect))
    return external_scores(pairs, said, settings.noise.centre, samples)


def _heard(scores: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """The scores of the voters that the profile hears: external models each, or together."""
    from pipeline.noise.combine import together

    return together(scores) if settings.noise.combine == "log_sigmoid" else scores


def local_voters(settings: Settings) -> list[ModelSettings]:
    """External voters whose weights are read here: a change of them changes the scores."""
    return [ModelSettings(name=v.model, revision=v.revision) for v in settings.noise.external if v.model is not None]


def _settings(shop: Workshop) -> list[object]:
    settings = shop.settings
    return [settings.seed, settings.noise.model_dump(), _pairs_asked(settings), shop.base.policy_id]


def _pairs_asked(settings: Settings) -> list[object]:
    """What the source variant's pairs depend on besides code and tables; what a biased judge stops is not in it."""
    source = source_of(settings)
    read = {"preferences", *(ASKED[table] for table in sources(settings, [source]) if table in ASKED)}
    return [identity(source, settings), settings.model_dump(include=read, exclude={"judge": {"on_bias"}})]


@dg.asset(
    group_name="noise",
    kinds={"polars", "parquet"},
    owners=OWNERS,
    deps=[scores, votes_asset],
    code_version=CODE,
    metadata={"dagster/column_schema": column_schema("pair_votes")},
    description="One row per pair and voter: its margin, and the probability that it gives to the labelled side.",
)
def pair_votes(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    settings = shop.settings
    if not shop.wants("pair_strengths"):
        return dg.MaterializeResult(metadata=UNUSED)

    def compute() -> Made:
        from pipeline.noise.features import sides
        from pipeline.noise.voting import from_elsewhere, recorded_votes
        from pipeline.noise.voting import pair_votes as votes_of

        source = source_of(settings)
        pairs = voted_on(shop.lake, settings)
        fitting = sides(pairs, shop.base, settings.noise.max_length)[0]  # scores name texts by their tokens
        votes, rejects = from_elsewhere(
            pairs, shop.lake.read("votes"), shop.lake.read("recorded_votes"), settings.noise.duplicates
        )
        rows = votes_of(fitting, _heard(shop.lake.read("scores"), settings), source)
        rows = pl.concat([rows, recorded_votes(pairs, votes, source)])
        return Made(
            rows, rejects, {"margins": plots.histogram(rows["margin"].drop_nulls().to_list(), "margin", "votes")}
        )

    recipe = Recipe(
        "pair_votes",
        "pair votes",
        CODE,
        _settings(shop),
        parents=(*_parents(shop), "scores", "votes", "recorded_votes"),
    )
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, compute))


@dg.asset(
    group_name="noise",
    kinds={"polars", "parquet"},
    owners=OWNERS,
    deps=[pair_votes],
    code_version=CODE,
    metadata={"dagster/column_schema": column_schema("pair_strengths")},
    description="Strength of every pair's label, its decile, and the probability that it is wrong.",
)
def pair_strengths(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    if not shop.wants("pair_strengths"):
        return dg.MaterializeResult(metadata=UNUSED)

    def compute() -> Made:
        from pipeline.noise.figures import histograms, of_strength

        rows = _judge(shop)[0]
        known = rows.drop_nulls("mean")
        truth = shop.lake.sql(LABEL_TRUTH.read_text(encoding="utf-8"), frames={"pair_strengths": rows})
        shown = {
            "by_strength": plots.inline(of_strength(known, truth), "agreement by strength"),
            "histograms": plots.inline(histograms(rows), "strengths and noise scores"),
            "share_below_0": known.select((pl.col("mean") < 0).mean()).item(),
            "pairs_without_a_mean": rows.height - known.height,
        }
        return Made(rows, (), shown)

    recipe = Recipe("pair_strengths", "pair strengths", CODE, _settings(shop), parents=(*_parents(shop), "pair_votes"))
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, compute))


@dg.asset(
    group_name="noise",
    kinds={"polars", "parquet"},
    owners=OWNERS,
    deps=[pair_votes],
    code_version=CODE,
    metadata={"dagster/column_schema": column_schema("voters")},
    description="How reliable each voter and each source of labels is, with its interval and calibration.",
)
def voters(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    if not shop.wants("pair_strengths"):
        return dg.MaterializeResult(metadata=UNUSED)

    def compute() -> Made:
        rows = _judge(shop)[1]
        return Made(rows, (), {"voters": dg.MetadataValue.md(preview(rows, rows.height))})

    recipe = Recipe("voters", "voters", CODE, _settings(shop), parents=(*_parents(shop), "pair_votes"))
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, compute))


def _judge(shop: Workshop) -> tuple[pl.DataFrame, pl.DataFrame]:
    from pipeline.noise.voting import judge

    settings = shop.settings
    source = source_of(settings)
    votes = shop.lake.read("pair_votes").filter(pl.col("source") == source)
    return judge(voted_on(shop.lake, settings), votes, source, settings.noise)


@dg.asset(
    group_name="noise",
    kinds={"torch", "parquet"},
    owners=OWNERS,
    deps=[scores, votes_asset],
    code_version=CODE,
    metadata={"dagster/column_schema": column_schema("noise_tests")},
    description="Labels flipped on purpose: which score finds them, and which treatment mends the reward model.",
)
def noise_tests(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    if not shop.wants("pair_strengths"):
        return dg.MaterializeResult(metadata=UNUSED)

    def compute() -> Made:
        shop.room.rest()
        found = self_test(shop.lake, shop.settings, shop.base)
        return Made(found.rows, (), {"right_labels": plots.curves(found.accuracy_by_decile, "decile", "share right")})

    parents = (*_parents(shop), "votes", "recorded_votes")
    recipe = Recipe("noise_tests", "noise test", CODE, _settings(shop), parents=parents)
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, compute))


def self_test(lake: Lake, settings: Settings, model: Model) -> "SelfTest":
    """The self-test on the pairs of the source variant; also behind `orchard noise-test`."""
    from pipeline.noise.selftest import noise_test
    from pipeline.noise.voting import from_elsewhere, margins

    clean = settings.model_copy(update={"noise": settings.noise.model_copy(update={"inject": 0.0})})
    with bar("features") as advance:
        pairs, found, _ = texts_of(lake, clean, model, advance)
    votes, recorded = lake.read("votes"), lake.read("recorded_votes")
    said = from_elsewhere(pairs, votes, recorded, settings.noise.duplicates)[0]
    names = ["pair_id", "voter_id", "margin"]
    others = pl.concat(
        [
            margins(pairs, _heard(_external_scores(lake, clean, pairs)[0], settings)).select(names),
            said.with_columns(margin=pl.coalesce("margin", pl.col("p") - 0.5)).select(names),
        ]
    )
    with bar("noise test") as advance:
        return noise_test(found, pairs, settings.noise, settings.seed, advance, others)


NOISE = [scores, pair_votes, pair_strengths, voters, noise_tests]
