"""What flipped labels do to each loss."""

from pipeline import figures
from pipeline.config import Settings
from pipeline.store.reader import Reader
from pipeline.validation.report.blocks import Picture, Section, Table, Text
from pipeline.validation.sweep import lines

COLUMNS = (
    "loss",
    "flipped",
    "seeds",
    "accuracy",
    "from",
    "to",
    "margin",
    "train accuracy",
    "pairs",
    "held out",
)
FORMATS = {"flipped": ".0%", "margin": "+.2f", "seeds": "d"} | dict.fromkeys(
    ("accuracy", "from", "to", "train accuracy"), ".2f"
)


def curves(lake: Reader, _: Settings) -> Section | None:
    """One curve per loss:
    reward accuracy on clean pairs by the share of training labels flipped.
    """
    rows = lake.read("noise_sweep")
    if rows.is_empty():
        return None
    source = ", ".join(sorted(rows["source"].unique()))
    return Section(
        "Noise sweep",
        [
            Text(
                f"Pairs of {source} whose labels were flipped on purpose, learned by each loss, "
                "measured by reward accuracy on clean held-out pairs of other prompts: "
                "0.5 is what no training gives. "
                "The losses rdpo and conservative were told how many labels are wrong. "
                "Intervals are bootstrap over prompts, of the lowest seed's low end "
                "and the highest seed's high end where there are several."
            ),
            Table(
                "Flipped labels by loss", COLUMNS, lake.query_file("noise_sweep").rows(), FORMATS
            ),
            Picture(
                figures.curves(
                    lines(rows),
                    "share of training labels flipped",
                    "reward accuracy on clean pairs",
                ),
                "Reward accuracy on clean pairs by share of flipped labels, a line per loss; "
                "the figures are above.",
            ),
        ],
    )
