"""How the trainings went."""

import json

from pipeline.config import Settings
from pipeline.store import Lake
from pipeline.validation import figures
from pipeline.validation.report.blocks import Picture, Section, Table


def curves(lake: Lake, _: Settings) -> Section | None:
    """Loss of every run by optimiser step."""
    runs = lake.read("training_runs").sort("variant", "seed")
    if runs.is_empty():
        return None
    lines = {f"{row['variant']} s{row['seed']}": json.loads(row["curve"]) for row in runs.iter_rows(named=True)}
    losses = {name: [(point[0], point[1]) for point in points] for name, points in lines.items()}
    columns = ["variant", "seed", "loss", "n_steps", "loss_first", "loss_last", "accuracy_last", "seconds"]
    titles = ["variant", "seed", "loss", "steps", "loss, first tenth", "loss, last tenth", "pairs right, last tenth"]
    ends = Table("Trainings", [*titles, "seconds"], runs.select(columns).rows(), {"seconds": ",.0f"})
    return Section(
        "Training",
        [
            ends,
            Picture(
                figures.curves(losses, "optimiser step", "loss"),
                "Training loss of each run by optimiser step; the table of trainings holds where each starts and ends.",
            ),
        ],
    )
