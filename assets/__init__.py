"""Dagster definitions:
each asset reads tables, calls one library function, and writes its table.
"""

import warnings

from dagster import BetaWarning

# Single-run backfills are marked beta; the notice would open every command.
warnings.filterwarnings("ignore", category=BetaWarning)
