"""What a night costs: next to nothing with one per cent of new prompts,
and no engine at all with none.
"""

from collections.abc import Callable
from pathlib import Path

import polars as pl

from pipeline.store import Lake
from tests.conftest import Home

PROFILE = Path(__file__).with_name("nightly.yaml")


def test_a_night_costs_what_is_new(new_home: Callable[[], Home]) -> None:
    home = new_home()
    profile = home.path / "nightly.yaml"
    profile.write_text(PROFILE.read_text())
    full = night(home, profile)
    profile.write_text(PROFILE.read_text().replace("size: 100", "size: 101"))
    grown = night(home, profile)
    assert 0 < grown["sampled_tokens"] <= 0.03 * full["sampled_tokens"]
    nothing = night(home, profile)
    assert nothing["steps"] == 0  # no model was asked, so none was loaded


def night(home: Home, profile: Path) -> dict[str, int]:
    """Sampled tokens of one run, and the steps of it that asked a model."""
    before = (
        usage(home)["run_id"].unique()
        if (home.path / "lake").exists()
        else pl.Series([], dtype=pl.String)
    )
    done = home.orchard("run", "--profile", str(profile))
    assert done.returncode == 0, done.stderr[-3000:]
    new = usage(home).filter(~pl.col("run_id").is_in(before.to_list()))
    asked = new.filter(pl.col("requests") + pl.col("cache_hits") > 0)  # others took long
    return {"sampled_tokens": int(new["sampled_tokens"].sum()), "steps": asked.height}


def usage(home: Home) -> pl.DataFrame:
    with Lake(home.path) as lake:
        return lake.read("usage")
