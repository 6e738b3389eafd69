"""The partitions of pairs and training runs: one per variant, the profile's own among them.

The profile is read once, when Dagster loads the definitions: a variant added to it shows after a reload of them.
"""

import dagster as dg

from pipeline import config
from pipeline.preferences.build import registry

VARIANTS = dg.StaticPartitionsDefinition(list(registry(config.load())))
KEYS = VARIANTS.get_partition_keys()
# One run for all variants: a range over the partitions, so that one engine serves the whole run.
RANGE = {"dagster/asset_partition_range_start": KEYS[0], "dagster/asset_partition_range_end": KEYS[-1]}
