"""The partitions of pairs and training runs: one per variant, the profile's own among them.

The profile is read once, when Dagster loads the definitions: a variant added to it shows after a
reload of them.
"""

from collections.abc import Sequence

import dagster as dg

from pipeline import config
from pipeline.preferences.registry import registry, wanted


def span(keys: Sequence[str]) -> dict[str, str]:
    """Tags of one run for all these neighbouring partitions,
    so that one engine serves the whole run.
    """
    return {
        "dagster/asset_partition_range_start": keys[0],
        "dagster/asset_partition_range_end": keys[-1],
    }


_settings = config.load()
_known = registry(_settings)
_wanted = wanted(_settings)
# Those of the profile first: a run is a range, and Dagster marks every partition of its range as
# materialised.
KEYS = [*_wanted, *(name for name in _known if name not in _wanted)]
VARIANTS = dg.StaticPartitionsDefinition(KEYS)
RANGE = span(_wanted or KEYS)
