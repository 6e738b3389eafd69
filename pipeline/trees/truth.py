"""How good are a model's step values? Scored against people's labels of right and wrong steps.

Two formats, told apart by their columns. ProcessBench (Apache-2.0): problem, steps, label = index
of the first wrong step FROM 0, -1 where all are right; steps after the first wrong one carry no
label. PRMBench (Apache-2.0): modified_question, original_process (all right), modified_process,
error_steps counted FROM 1 (none: another right solution). A pair is compared at the first error, if
the steps before it are the same (in 104 of the sample's 126 rows). Neither has an answer, so the
model's own values are what can be scored; rows with one (`answer`) take rollouts too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import mannwhitneyu

from pipeline import cells
from pipeline.cells import BadRow, Row
from pipeline.config import ThoughtSettings
from pipeline.engine.base import Engine, Reject, RequestFailed, Turn
from pipeline.engine.session import run_all
from pipeline.errors import OrchardError
from pipeline.ids import content_id
from pipeline.strict import json_value, unpacked
from pipeline.trees.forest import problem
from pipeline.trees.growth import Tree
from pipeline.trees.node import Node
from pipeline.trees.plans import needs_answers, plan_of
from pipeline.trees.value import Reward
from pipeline.verify import canonical

_VERIFIER = "math"  # of the rows with an answer


@dataclass(frozen=True)
class Labelled:
    """A solution in steps.

    `first_wrong` counts from 0; null where every step is right. `pair` joins two of them.
    """

    row: int
    question: str
    steps: tuple[str, ...]
    first_wrong: int | None
    answer: str | None = None
    pair: int | None = None


@dataclass(frozen=True)
class Scored:
    """A solution with a value for each of its steps."""

    solution: Labelled
    values: tuple[float, ...]

    def found(self, threshold: float) -> int | None:
        """The first step valued below the threshold; null where there is none."""
        return next((step for step, value in enumerate(self.values) if value < threshold), None)


def read(path: Path, limit: int | None = None) -> tuple[list[Labelled], list[Reject]]:
    """Solutions of a JSON or JSONL file, gzipped or not;
    of the first `limit` rows; and the rows that are not sound.

    Raises:
        OrchardError: no such file, not JSON, or no sound row; it names the first row's fault.
    """
    try:
        text = unpacked(path).decode("utf-8")
        listed = text.lstrip().startswith("[")
        rows = (
            json_value(text)
            if listed
            else [json_value(line) for line in text.split("\n") if line.strip()]
        )
    except (OSError, ValueError, EOFError) as error:
        raise OrchardError(
            f"{path}: cannot be read as JSON or JSONL: {' '.join(str(error).split())}"
        ) from error
    found: list[Labelled] = []
    rejects: list[Reject] = []
    for number, row in enumerate(rows[:limit]):
        try:
            found += cells.attempt(_solutions, number, row)
        except BadRow as bad:
            rejects.append(Reject("step_truth", "steptruth", f"row {number + 1}", str(bad)))
    if not found:
        what = f"{rejects[0].row_id}: {rejects[0].reason}" if rejects else "no rows"
        raise OrchardError(f"{path}: {what}")
    return found, rejects


def _solutions(number: int, row: Row) -> list[Labelled]:
    cells.check_row(row)
    if "label" in row:
        steps = _steps(row, "steps")
        label = _index(row["label"])
        if label is None or not -1 <= label < len(steps):
            raise BadRow(
                f"label {row['label']!r} is not -1 or one of the {len(steps)} steps, "
                "which count from 0"
            )
        return [
            Labelled(
                number, _text(row, "problem"), steps, None if label == -1 else label, _answer(row)
            )
        ]
    if "error_steps" not in row:
        raise BadRow(
            "neither ProcessBench (problem, steps, label) "
            "nor PRMBench (original_process, error_steps)"
        )
    right, wrong = _steps(row, "original_process"), _steps(row, "modified_process")
    labels = [_index(step) for step in row["error_steps"]]
    errors = [step for step in labels if step is not None and 1 <= step <= len(wrong)]
    if len(errors) < len(labels):
        raise BadRow(
            f"error_steps {row['error_steps']} are not among the {len(wrong)} steps, "
            "which count from 1"
        )
    first = min((step - 1 for step in errors), default=None)
    answer = _answer(row)
    return [
        Labelled(number, _text(row, "original_question"), right, None, answer, pair=number),
        Labelled(number, _text(row, "modified_question"), wrong, first, answer, pair=number),
    ]


def _index(given: Any) -> int | None:
    """A step's number in whatever type it is written; null where it is no whole number."""
    label = cells.label(given, "label") or ""
    return int(label) if label.removeprefix("-").isdecimal() else None


def _needed(row: Row, column: str) -> Any:
    if column not in row:
        raise BadRow(f"column {column!r} is missing")
    return row[column]


def _text(row: Row, column: str) -> str:
    given = _needed(row, column)
    if not isinstance(given, str):
        raise BadRow(f"{column} is no text: {given!r}")
    return given


def _answer(row: Row) -> str | None:
    """The answer as text, which a JSON number becomes; null where there is none.

    Raises:
        OrchardError: the verifier cannot read it.
        BadRow: it is a list, a struct: nothing that is one answer.
    """
    answer = cells.answer(row.get("answer"), "answer")
    if answer is not None:
        canonical(answer, _VERIFIER)
    return answer


def _steps(row: Row, column: str) -> tuple[str, ...]:
    given = _needed(row, column)
    if not isinstance(given, list) or not given or not all(isinstance(step, str) for step in given):
        raise BadRow("the steps are not a list of texts, or it is empty")
    return tuple(given)


def score(
    engine: Engine,
    solutions: Sequence[Labelled],
    settings: ThoughtSettings,
    run_seed: int,
    progress: Callable[[int, int], None] | None = None,
    reward: Reward | None = None,
) -> tuple[list[Scored], list[Reject]]:
    """Values every step of every solution through the code that values thoughts,
    each step on its own.

    A solution that cannot be valued (too long; rollouts and no answer) is rejected, and so are not
    its neighbours.

    Raises:
        OrchardError: values by vote, which compare thoughts with each other.
    """
    if settings.value == "vote":
        raise OrchardError(
            "votes compare steps with each other: take thoughts.value verdict, score or rollouts"
        )

    async def one(solution: Labelled) -> Scored | Reject:
        name = f"row {solution.row + 1}"
        if solution.answer is None and needs_answers(settings):
            return Reject("step_truth", "steptruth", name, "no answer: rollouts cannot be checked")
        tree = _tree(engine, solution, settings, run_seed, reward)
        nodes = _nodes(tree, solution.steps)
        try:
            await tree.value(nodes, new=nodes)
        except RequestFailed as error:
            return Reject("step_truth", "steptruth", name, str(error))
        return Scored(solution, tuple(node.value for node in nodes if node.value is not None))

    done = run_all([one(solution) for solution in solutions], progress)
    return [d for d in done if isinstance(d, Scored)], [d for d in done if isinstance(d, Reject)]


def _tree(
    engine: Engine,
    solution: Labelled,
    settings: ThoughtSettings,
    run_seed: int,
    reward: Reward | None,
) -> Tree:
    prompt: dict[str, object] = {
        "prompt_id": content_id("step truth", solution.question),
        "messages": [Turn(role="user", content=solution.question)],
        "answer": solution.answer,
        "verifier": None if solution.answer is None else _VERIFIER,
        "metadata": None,
    }
    return Tree(
        engine,
        problem(prompt, engine.policy_id, settings),
        settings,
        plan_of(settings, reward),
        run_seed,
    )


def _nodes(tree: Tree, steps: Sequence[str]) -> list[Node]:
    """A chain of nodes; none is terminal, so that the last step is valued as the others are."""
    nodes, parent = [], tree.root
    for step in steps:
        parent = parent.child("step", 0, step.rstrip("\n") + "\n", False, 0)
        nodes.append(parent)
    return nodes


def report(scored: Sequence[Scored], threshold: float = 0.5) -> dict[str, float | int | None]:
    """How well the values tell right steps from wrong ones; null where the rows cannot tell.

    right_accuracy: share of all-right solutions in which no step is valued below `threshold`;
    wrong_accuracy: share of the others whose first step below it is the first wrong one; f1: the
    harmonic mean of the two, ProcessBench's measure as generally known; auc: P(a right step is
    valued above a first wrong one), a half for ties, which needs no threshold; pair_accuracy: share
    of PRMBench pairs whose original step is valued above the modified one at the first error, a
    half for ties, over the pairs whose steps before it are the same.
    """
    right = [s.found(threshold) is None for s in scored if s.solution.first_wrong is None]
    wrong = [
        s.found(threshold) == s.solution.first_wrong
        for s in scored
        if s.solution.first_wrong is not None
    ]
    good = [value for s in scored for value in s.values[: s.solution.first_wrong]]
    bad = [s.values[s.solution.first_wrong] for s in scored if s.solution.first_wrong is not None]
    pairs = _pairs(scored)
    shares = _mean(right), _mean(wrong)
    both = shares[0] is not None and shares[1] is not None
    return {
        "solutions": len(scored),
        "right_accuracy": shares[0],
        "wrong_accuracy": shares[1],
        "f1": _harmonic(shares[0] or 0.0, shares[1] or 0.0) if both else None,
        "auc": float(mannwhitneyu(good, bad).statistic) / (len(good) * len(bad))
        if good and bad
        else None,
        "pairs": len(pairs),
        "pair_accuracy": _mean(pairs),
    }


def _pairs(scored: Sequence[Scored]) -> list[float]:
    right: dict[int | None, Scored] = {
        s.solution.pair: s for s in scored if s.solution.first_wrong is None
    }
    right.pop(None, None)
    compared = []
    for other in scored:
        step, partner = other.solution.first_wrong, right.get(other.solution.pair)
        if step is None or partner is None:
            continue
        ours, theirs = partner.solution.steps, other.solution.steps
        if step < len(ours) and ours[:step] == theirs[:step] and ours[step] != theirs[step]:
            difference = partner.values[step] - other.values[step]
            compared.append(0.5 if difference == 0 else float(difference > 0))
    return compared


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _harmonic(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a + b else 0.0
