"""Generated code runs here and nowhere else:
hostile until it has run, and hostile afterwards too.
"""

from pipeline.verify.sandbox.pool import Job, Outcome, Sandbox

__all__ = ["Job", "Outcome", "Sandbox"]
