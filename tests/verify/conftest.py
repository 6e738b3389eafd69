"""Generated cases are judged by their verdicts: how long one takes is measured elsewhere."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
