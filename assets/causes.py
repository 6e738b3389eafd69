"""Why a run failed, in one line, from its events."""

import re
from collections.abc import Sequence

import dagster as dg
from dagster._core.errors import DagsterExecutionInterruptedError

from pipeline.ending import INTERRUPTED

_INTERRUPTS = {DagsterExecutionInterruptedError.__name__, KeyboardInterrupt.__name__}
_ENDS = (dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED)


def cause(events: Sequence[dg.DagsterEvent]) -> str:
    """What stopped a run: a blocking check that failed, else a step's error, else the run's own."""
    if any(event.event_type == dg.DagsterEventType.RUN_CANCELED for event in events):
        return INTERRUPTED
    stopping = [
        f"{check.check_name}: {check.description}"
        for check in (
            event.asset_check_evaluation_data
            for event in events
            if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
        )
        if check.blocking
        and not check.passed
        and check.description
        and check.severity == dg.AssetCheckSeverity.ERROR
    ]
    if stopping:
        return stopping[0]
    for event in events:
        if event.is_step_failure:
            return _in_one_line(event.step_failure_data.error, event.step_key)
    for event in events:
        if event.event_type in _ENDS and event.job_failure_data.error is not None:
            return _in_one_line(event.job_failure_data.error, None)
    said = [event.message for event in events if event.event_type in _ENDS and event.message]
    return said[0] if said else "the run failed before its first step: look at it with `make ui`"


def _in_one_line(error: object, step: str | None) -> str:
    while getattr(error, "cause", None) is not None:
        error = error.cause  # type: ignore[attr-defined]
    if getattr(error, "cls_name", None) in _INTERRUPTS:
        return INTERRUPTED
    message = str(getattr(error, "message", ""))
    lines = [line for line in message.strip().splitlines() if line.strip()] or ["unknown error"]
    # Our own errors say all without their class.
    plain = re.sub(r"^pipeline(\.\w+)+: ", "", lines[0])
    return f"{step}: {plain}" if step else plain
