"""What was seen: the leaderboard, a sentence per variant, and what a gain costs."""

from collections.abc import Mapping

import polars as pl

from pipeline import figures
from pipeline.config import Settings
from pipeline.store.reader import Reader
from pipeline.validation.footing import footing
from pipeline.validation.report.blocks import Bullets, Picture, Section, Table, Text

RESULTS = {
    "variant": ("variant", ""),
    "brought_from": ("trained elsewhere", ""),
    "value": ("value", ".3f"),
    "accuracy": ("accuracy", ".3f"),
    "greedy": ("greedy accuracy", ".3f"),
    "gain": ("gain", "+.3f"),
    "interval": ("interval of the gain", ""),
    "p_holm": ("p, corrected", ".3f"),
    "verdict": ("verdict", ""),
    "n_prompts": ("prompts", ","),
    "n_failed": ("failed prompts", ","),
    "prompts_needed": ("prompts needed", ","),
    "n_seeds": ("seeds", ","),
    "answer_length_ratio": ("answers' length over the base's", ".2f"),
    "reward_accuracy": ("reward accuracy", ".2f"),
    "ranking_accuracy": ("ranking accuracy", ".2f"),
    "reward_pairs": ("of pairs", ","),
    "win_rate": ("win rate", ".2f"),
    "length_controlled_win_rate": ("at equal length", ".2f"),
}
COSTS = {
    "variant": ("variant", ""),
    "n_pairs": ("pairs", ","),
    "n_train_prompts": ("training prompts", ","),
    "n_tokens": ("trained tokens", ","),
    "n_steps": ("steps", ","),
    "length_ratio": ("length ratio", ".2f"),
    "response_tokens": ("answer tokens", ".1f"),
    "data_tokens": ("data tokens", ","),
    "gain_per_million_tokens": ("gain per million tokens", "+.2f"),
    "data_seconds": ("seconds of sampling", ",.0f"),
    "train_seconds": ("seconds of training", ",.0f"),
    "gain_per_hour": ("gain per hour", "+.2f"),
}


def leaderboard(lake: Reader, settings: Settings) -> Section:
    """The leaderboard in words, figures and a plot."""
    board = lake.read("leaderboard").sort("value", "variant", descending=[True, False])
    metric = metric_of(board)
    gains = [
        (r["variant"], r["gain"], r["gain_low"], r["gain_high"])
        for r in board.iter_rows(named=True)
    ]
    chosen = settings.validation
    needed = f"the profile's smallest gain ({chosen.smallest_gain:g} of a share)"
    needed = f"{needed} with {chosen.power:.0%} power"
    return Section(
        "What was seen",
        [
            Text(_setting(settings, board)),
            Text(" ".join(footing(board, lake.read("training_runs")))),
            Bullets(board["conclusion"].to_list()),
            _table(f"Leaderboard by {metric}; prompts needed: to show {needed}", board, RESULTS),
            Picture(
                figures.intervals(gains, f"gain in {metric} over the base model"),
                "Gain of each variant over the base model with its interval; "
                "the figures stand in the leaderboard.",
            ),
            _table("What the gains cost", _trained_here(board), COSTS),
            Text(
                "Data tokens are what the variant's data would cost alone: "
                "all sampled tokens of its tables, "
                "those included that another variant asked for too and the cache answered. "
                "What the runs really spent stands under Cost. "
                "Gain per hour counts that sampling at the engine's mean speed, "
                "and the training of one seed."
            ),
        ],
    )


def _trained_here(board: pl.DataFrame) -> pl.DataFrame:
    return board.filter(pl.col("variant") != "base", pl.col("brought_from").is_null())


def metric_of(board: pl.DataFrame) -> str:
    """What a leaderboard ranks by; one of an older version ranks by accuracy."""
    known = board["metric"].drop_nulls().to_list()
    return str(known[0]) if known else "accuracy"


def _setting(settings: Settings, board: pl.DataFrame) -> str:
    chosen = settings.validation
    compared = board.filter(pl.col("variant") != "base")
    by_method = compared.group_by("method").agg(pl.col("variant").sort()).sort("method")
    used = "; ".join(f"{method} ({', '.join(names)})" for method, names in by_method.iter_rows())
    return (
        f"Profile {settings.profile}, run seed {settings.seed}, model {settings.model.name}. "
        f"Ranked by {metric_of(board)}. "
        f"Accuracy is the share of right draws ({chosen.draws} per prompt) "
        "on held-out test prompts; pairs of one prompt count as one. "
        f"Intervals ({chosen.confidence:.0%}) and p: {used or 'of no variant'}. "
        "The p are corrected over all variants (Holm). "
        "A prompt whose request failed is left out, on both sides. "
        "A control is a variant whose labels were shuffled."
    )


def _table(caption: str, board: pl.DataFrame, shown: Mapping[str, tuple[str, str]]) -> Table:
    rows = [
        [
            f"{row['gain_low']:+.3f} to {row['gain_high']:+.3f}" if key == "interval" else row[key]
            for key in shown
        ]
        for row in board.iter_rows(named=True)
    ]
    formats = {title: spec for title, spec in shown.values() if spec}
    return Table(caption, [title for title, _ in shown.values()], rows, formats)
