"""The graph of declarations is the graph of what steps really read, in a run of all families."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from assets.steps import GRAPH
from pipeline.config import Settings
from pipeline.config.section import Section
from pipeline.steps import RunContext, Step, recipe, run_step
from pipeline.steps import code as codes
from pipeline.steps.declared import Reads, table_of
from pipeline.steps.inputs import needs_of
from pipeline.steps.narrowed import UNCOUNTED
from pipeline.steps.roles import ROLES
from tests.steps.traced import Trace, Traced
from tests.steps.world import Room, opened, profile

# Asks the graph what others cost, and so runs their declarations: what these say is in its texts.
DECLARATIONS_RUN = {"leaderboard", "comparisons"}
TRAINED = ("base", "tpo", "rationale", "mapl_joint")  # the others read what these do


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[RunContext, dict[str, Trace]]]:
    """A finished run, and what each of its steps read."""
    home = tmp_path_factory.mktemp("world")
    traces: dict[str, Trace] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORCHARD_HOME", str(home))
        with opened(home, profile(home)) as run:
            needed = GRAPH.needed(run.settings)
            for step in GRAPH.in_order(run.settings):
                if step.name in needed and step.table:
                    traces[step.name] = trace = Trace()
                    made = _traced(step, trace)
                    for part in _parts(step, run.settings):
                        run_step(made, run, part)
            yield run, traces


def _traced(step: Step, trace: Trace) -> Step:
    """The step, with all its functions that read tables noting what they read."""
    per = step.per and replace(step.per, units=Traced(step.per.units, trace))
    counts = step.counts and Traced(step.counts, trace)
    return replace(step, make=Traced(step.make, trace), per=per, counts=counts)


def _parts(step: Step, settings: Settings) -> list[str | None]:
    if step.parts is None:
        return [None]
    parts = list(step.parts(settings))
    return [p for p in parts if step.name not in ("training_runs", "evaluations") or p in TRAINED]


def test_every_step_is_needed_in_a_run_of_all_families(world: Any) -> None:
    run, traces = world
    assert set(traces) == {step.name for step in GRAPH.steps.values() if step.table}


def test_the_graph_is_what_the_steps_read(world: Any) -> None:
    """An arrow for each table that was read, to the steps that make it;
    and gates, which checks read.
    """
    run, traces = world
    wrong = {}
    for name, trace in traces.items():
        step = GRAPH.steps[name]
        reads = step.reads_for(run.settings)
        read = [need for need in needs_of(reads) if table_of(need) in trace.tables]
        makers = [m for need in (*read, *reads.gates) for m, _ in GRAPH.makers(need, run.settings)]
        arrows = {maker.name for maker in makers} - {name}
        drawn = set(GRAPH.before(step, run.settings))
        if not arrows <= drawn or (drawn - arrows) - _only_other_profiles(
            step, run.settings, drawn
        ):
            wrong[name] = {"not drawn": arrows - drawn, "not read": drawn - arrows}
    assert not wrong, wrong


def _only_other_profiles(step: Step, settings: Settings, drawn: set[str]) -> set[str]:
    """Arrows that stand for variants that this profile does not compare."""
    own = [*needs_of(step.reads_for(settings)), *step.reads_for(settings).gates]
    makers = {maker.name for need in own for maker, _ in GRAPH.makers(need, settings)}
    return drawn - makers


def test_what_a_step_read_of_the_code_counts_in_its_version(world: Any) -> None:
    run, traces = world
    lacking, beyond = {}, {}
    for name, trace in traces.items():
        step = GRAPH.steps[name]
        reads = step.reads_for(run.settings)
        roots = [step.make, *reads.code, *([step.per.units] if step.per else [])]
        counted = codes.modules_behind(*roots, *([step.counts] if step.counts else []))
        ran = {m for m in trace.modules if codes.left_out(m) is None}
        told = (
            ()
            if name not in DECLARATIONS_RUN
            else ("pipeline.preferences", "pipeline.prompts", "pipeline.verify", "pipeline.judge")
        )
        lacking[name] = {m for m in ran - counted if not m.startswith(("pipeline.tables", *told))}
        beyond[name] = len({m for m in counted - ran if m.startswith("pipeline")})
    print("\nmodules that count though this run did not need them, by step:", beyond)
    found = {name: modules for name, modules in lacking.items() if modules}
    assert not found, found


def test_what_a_step_read_of_the_settings_moves_its_fingerprint(world: Any) -> None:
    run, traces = world
    still, beyond = {}, {}
    for name, trace in traces.items():
        step = GRAPH.steps[name]
        reads = step.reads_for(run.settings)
        moved = {path for path in leaves(run.settings) if moves(reads, run, path)}
        read = {path for path in leaves(run.settings) if _was_read(path, trace.settings)}
        still[name] = {path for path in read - moved if not _uncounted(path)}
        beyond[name] = len(moved - read)
    print("\nsettings that move a fingerprint and were not read, by step:", beyond)
    found = {name: paths for name, paths in still.items() if paths}
    assert not found, found


def _was_read(path: str, read: set[str]) -> bool:
    return path in read


def _uncounted(path: str) -> bool:
    return path == "profile" or any(path == one or path.startswith(f"{one}.") for one in UNCOUNTED)


def leaves(section: Section, path: str = "") -> list[str]:
    """Dotted names of all settings that are no sections."""
    found = []
    for name, value in section.__dict__.items():
        own = f"{path}.{name}".lstrip(".")
        found += leaves(value, own) if isinstance(value, Section) else [own]
    return found


def moves(reads: Reads, run: RunContext, path: str) -> bool:
    """Whether the recipe of what reads so changes with a setting."""
    other = RunContext(changed(run.settings, path), run.lake, Room(), run.home)  # type: ignore[arg-type]
    return _said(reads, run) != _said(reads, other)


def _said(reads: Reads, run: RunContext) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunContext, "models", lambda self, role: [])
        patch.setattr(RunContext, "resolve", lambda self, settings: _Named(settings.name))
        return str(recipe._settings_of(reads, run))


class _Named:
    def __init__(self, name: str) -> None:
        self.policy_id = name


def changed(settings: Section, path: str) -> Any:
    """The settings with another value at one place, unchecked."""
    head, _, rest = path.partition(".")
    copy = settings.model_copy()
    value = getattr(settings, head)
    copy.__dict__[head] = changed(value, rest) if rest else _other(value)
    return copy


def _other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return f"{value}x"
    if isinstance(value, dict):
        return {**value, "more": "more"}
    return (*value, "more") if isinstance(value, tuple) else "more"


def test_roles_name_settings_that_there_are(world: Any) -> None:
    run, _ = world
    known = set(leaves(run.settings)) | {path.rsplit(".", 1)[0] for path in leaves(run.settings)}
    assert all(name in known for role in ROLES.values() for name in role.settings)
    assert Reads().plus(Reads(tables=("prompts",)), Reads(tables=("prompts",))).tables == (
        "prompts",
    )
