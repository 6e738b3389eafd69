"""What a step is: a declaration of what it reads and makes, from which all else follows.

A step names the table that it writes, the tables, queries, settings, engines and models that it
reads, and the function that makes its rows. Order, parents, fingerprint and code version follow
from that, and its function can read nothing else. No step of ours is in here, and no Dagster.
"""

from pipeline.steps.context import RunContext
from pipeline.steps.declared import PerPrompt, Reads, Rows, Step, StepResult
from pipeline.steps.inputs import Inputs
from pipeline.steps.run import StepReport, run_step

__all__ = [
    "Inputs",
    "PerPrompt",
    "Reads",
    "Rows",
    "RunContext",
    "Step",
    "StepReport",
    "StepResult",
    "run_step",
]
