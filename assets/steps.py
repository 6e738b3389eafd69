"""All steps, and their graph."""

from assets import (
    brought,
    judging,
    noise,
    policies,
    preferences,
    sampling,
    selection,
    sources,
    synthesis,
    training,
    validation,
)
from pipeline.steps import Step
from pipeline.steps.graph import Graph

STEPS: tuple[Step, ...] = (
    *sampling.STEPS,
    *policies.STEPS,
    *sources.STEPS,
    *judging.STEPS,
    *synthesis.STEPS,
    *preferences.STEPS,
    *noise.STEPS,
    *training.STEPS,
    *selection.STEPS,
    *brought.STEPS,
    *validation.STEPS,
)
GRAPH = Graph(STEPS)
