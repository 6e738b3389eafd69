"""Variants that could not be trained, and why."""

from pipeline.config import Settings
from pipeline.store import Lake
from pipeline.validation.report.blocks import Bullets, Section
from pipeline.validation.untrained import untrained


def variants(lake: Lake, settings: Settings) -> Section | None:
    """What became of the rows that they wanted; nothing where every variant was trained."""
    said = untrained(lake, settings)
    return Section("Variants without a policy", [Bullets(said)]) if said else None
