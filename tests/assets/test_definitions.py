"""What Dagster loads, and what a failed or killed run says."""

import dagster as dg
import polars as pl

from assets.definitions import defs, nightly
from assets.shown import table
from assets.steps import STEPS
from assets.variants import KEYS
from pipeline import config
from pipeline.engine.base import Reject
from pipeline.preferences.registry import registry
from pipeline.steps.rejects import reject_rows


def test_every_asset_is_grouped_owned_described_and_versioned() -> None:
    specs = [spec for asset in defs.assets or [] for spec in asset.specs]  # type: ignore[union-attr]
    assert len(specs) == len(STEPS) == len({step.name for step in STEPS}) == 40
    for spec in specs:
        assert (
            spec.group_name != "default" and spec.owners and spec.description and spec.code_version
        ), spec.key
        assert spec.kinds, spec.key


def test_the_job_covers_all_variants_in_one_run_and_the_schedule_is_off() -> None:
    job = defs.resolve_job_def("everything")
    wanted = config.load().validation.variants
    assert tuple(KEYS[: len(wanted)]) == wanted and set(KEYS) == set(registry(config.load()))
    assert job.tags["dagster/asset_partition_range_start"] == wanted[0]
    assert job.tags["dagster/asset_partition_range_end"] == wanted[-1]
    assert nightly.cron_schedule == "0 2 * * *"
    assert nightly.default_status == dg.DefaultScheduleStatus.STOPPED


def test_previews_cut_long_cells_and_keep_the_table_whole() -> None:
    shown = table(pl.DataFrame({"a": ["x|y\nz", "w" * 100]}), 5, width=10)
    assert shown.splitlines() == ["| a |", "| --- |", "| x\\|y z |", "| wwwwwwwww… |"]
    assert table(pl.DataFrame({"a": [1, 2, 3]}), 2).splitlines()[2:] == ["| 1 |", "| 2 |"]
    assert table(pl.DataFrame({"a": []}), 5) == "(no rows)"


def test_rejects_keep_their_reason_and_row() -> None:
    rows = reject_rows(
        [Reject("responses", "sample", "p1", "empty generation", {"prompt_id": "p1"})]
    )
    assert rows.select("table", "row_id", "reason", "row", "prompt_id", "passing").rows() == [
        ("responses", "p1", "empty generation", '{"prompt_id": "p1"}', "p1", False)
    ]
