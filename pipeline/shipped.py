"""Where the files lie that Orchard ships beside its modules: queries, locks, Dagster's settings.

In a checkout they lie at its top. A wheel holds them in `pipeline/files` (see pyproject.toml).
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
ROOT = _PACKAGE.parent  # what `pipeline` and `assets` are imported from
IN_WHEEL = (_PACKAGE / "files").is_dir()
SHIPPED = _PACKAGE / "files" if IN_WHEEL else ROOT  # holds sql/, requirements/, dagster.yaml, ...
