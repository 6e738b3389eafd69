"""Beyond the paper: both versions run, and what came of it decides, aspect by aspect.

Direction of a pair: by correctness where exactly one version passes its tests; where both pass, by
CPU time, and where that is alike or cannot be measured, by security findings. Both fail, or both
pass alike: execution says nothing.
Without tests nothing is decided: fewer findings alone do not make a program better. All thresholds
are our choice.
"""

import json
import math
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.config import CodeSettings
from pipeline.errors import OrchardError
from pipeline.verify import code
from pipeline.verify.sandbox import Outcome, Sandbox

Row = dict[str, Any]
_SIDES = ("naive", "improved")


def measure(
    pairs: Sequence[Row],
    metadata: Mapping[str, str],
    settings: CodeSettings,
    sandbox: Sandbox | None = None,
) -> list[Row]:
    """The pairs with their measurements filled in.

    Args:
        metadata: the verifier's JSON of pairs that have tests, by code_pair_id: one task may be
            tested in two ways.

    Raises:
        OrchardError: a pair has tests and there is no sandbox, or ruff cannot be run.
    """
    tested = [pair for pair in pairs if pair["code_pair_id"] in metadata]
    box = sandbox or (code.sandbox() if tested else None)
    found = findings(
        {f"{pair['code_pair_id']}.{side}": pair[side] for pair in pairs for side in _SIDES}
    )
    rows = []
    for pair in pairs:
        measured: Row = {
            f"{side}_findings": found[f"{pair['code_pair_id']}.{side}"] for side in _SIDES
        }
        tests = metadata.get(pair["code_pair_id"])
        measured |= _run(pair, tests, settings, box) if tests and box else {}
        rows.append({**pair, **measured, **_margins(measured, settings)})
    return rows


def findings(sources: Mapping[str, str]) -> dict[str, int]:
    """Findings of ruff's security rules (flake8-bandit's, without S101 on assert) in each source.

    It runs none of them.

    Raises:
        OrchardError: ruff cannot be run.
    """
    with tempfile.TemporaryDirectory() as folder:
        names = {f"c{number}.py": key for number, key in enumerate(sources)}
        for name, key in names.items():
            (Path(folder) / name).write_text(sources[key], encoding="utf-8", errors="replace")
        command = [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--isolated",
            "--no-cache",
            "--exit-zero",
            "--quiet",
        ]
        command += [
            "--ignore-noqa",
            "--select",
            "S",
            "--ignore",
            "S101",
            "--output-format",
            "json",
            ".",
        ]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise OrchardError(
            f"ruff cannot be run: {done.stderr.strip()[-200:]}: reinstall with `make setup`"
        )
    counts = Counter(Path(found["filename"]).name for found in json.loads(done.stdout or "[]"))
    return {key: counts[name] for name, key in names.items()}


def _run(pair: Row, tests: str, settings: CodeSettings, box: Sandbox) -> Row:
    outcomes = {side: box.run(code.job(pair[side], tests)) for side in _SIDES}
    row: Row = {}
    for side, outcome in outcomes.items():
        row[f"{side}_passed"] = outcome.passed
        row[f"{side}_held"] = _share(outcome)
    if all(outcome.passed for outcome in outcomes.values()):
        row |= _timed(pair, tests, settings.timing_repeat, settings, box) or _timed(
            pair, tests, 1, settings, box
        )
    return row


def _timed(pair: Row, tests: str, repeat: int, settings: CodeSettings, box: Sandbox) -> Row:
    """The least CPU seconds of both versions; nothing where a run does not pass.

    A version that reaches the limit of CPU time, or does not survive its second call, was not
    measured.
    """
    seconds: dict[str, list[float]] = {f"{side}_seconds": [] for side in _SIDES}
    for _ in range(settings.timing_runs):  # in turn, so that a busy moment hits both
        for side in _SIDES:
            outcome = box.run(code.job(pair[side], tests, repeat))
            if not outcome.passed or outcome.cpu_seconds is None:
                return {}
            seconds[f"{side}_seconds"].append(outcome.cpu_seconds)
    return {key: min(values) for key, values in seconds.items()}


def _share(outcome: Outcome) -> float:
    """Assertions that held; one that ended before its last assertion never counts as whole."""
    return (
        1.0
        if outcome.passed
        else outcome.held / (outcome.asserts + (outcome.held == outcome.asserts))
    )


def _margins(row: Row, settings: CodeSettings) -> Row:
    """Margins are positive where the improved version is better."""
    security = float(row["naive_findings"] - row["improved_findings"])
    passed = [row.get(f"{side}_passed") for side in _SIDES]
    correctness = None if passed[0] is None else row["improved_held"] - row["naive_held"]
    speed = _speed(row.get("naive_seconds"), row.get("improved_seconds"), settings)
    decisive: list[tuple[str, float]] = []
    if passed[0] is not None and passed[0] != passed[1]:
        decisive = [("correctness", 1.0 if passed[1] else -1.0)]
    elif all(passed):
        decisive = [("speed", speed or 0.0), ("security", security)]
    aspect, margin = next(((name, value) for name, value in decisive if value), (None, 0.0))
    return {
        "correctness_margin": correctness,
        "speed_margin": speed,
        "security_margin": security,
        "improved_is_better": None if aspect is None else margin > 0,
        "decided_by": aspect,
    }


def _speed(naive: float | None, improved: float | None, settings: CodeSettings) -> float | None:
    if not naive or not improved:
        return None
    ratio = naive / improved
    clear = (
        max(ratio, 1 / ratio) >= settings.speed_ratio
        and abs(naive - improved) >= settings.speed_seconds
    )
    return math.log2(ratio) if clear else 0.0
