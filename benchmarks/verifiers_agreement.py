"""How far the verifiers agree with labels: false accepts and false refusals, counted apart.

    python benchmarks/verifiers_agreement.py FOLDER [--math-verify ARCHIVE] [--show]

FOLDER holds public sets as published: gsm8k (solutions with is_correct), math500 (solutions, and
rows of PRM800K), processbench (its gsm8k part; the references are GSM8K's), svamp (AQuA's
rationales). What is not there is left out. ARCHIVE is math-verify's source archive
(pip download --no-deps --no-binary :all: math-verify), of which the literal rows of tests/ are
read. --show prints every verdict that differs from its label.
"""

import argparse
import ast
import gzip
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import OrchardError
from pipeline.verify import canonical, verify


@dataclass(frozen=True)
class Labelled:
    """A response, the reference, and whether it is right."""

    response: str
    reference: str
    right: bool


def gsm8k(folder: Path) -> Iterator[Labelled]:
    """Four models' solutions, labelled by the set's authors."""
    for row in _jsonl(folder / "gsm8k" / "model_solutions_sample.jsonl.gz"):
        reference = row["ground_truth"].rpartition("A: ")[2]
        for said in row.values():
            if isinstance(said, dict):
                yield Labelled(said["solution"], reference, said["is_correct"])


def math500(folder: Path) -> Iterator[Labelled]:
    """The set's own solutions, which are right, and each one against the next answer.

    The next answer is another text; where it is the same value all the same, it stays out.
    """
    rows = list(_jsonl(folder / "math500" / "test500.jsonl.gz"))
    for row, following in zip(rows, rows[1:] + rows[:1], strict=True):
        yield Labelled(row["solution"], row["answer"], True)
        if row["answer"] != following["answer"]:
            yield Labelled(row["solution"], following["answer"], False)


def prm800k(folder: Path) -> Iterator[Labelled]:
    """Rows of PRM800K: the generated solution, and what its labellers ended with."""
    for row in _jsonl(folder / "math500" / "samples_prm800k.jsonl"):
        question, reference = row["question"], row["question"].get("ground_truth_answer")
        if reference is None:
            continue
        if steps := question.get("pre_generated_steps"):
            right = question["pre_generated_answer"] == reference
            yield Labelled("\n".join(steps), reference, right)
        for step in row["label"]["steps"] or []:
            for said in step["completions"] or []:
                if "# Answer" in said["text"]:
                    yield Labelled(said["text"], reference, said["rating"] == 1)


def processbench(folder: Path) -> Iterator[Labelled]:
    """Solutions of ProcessBench's gsm8k part, with GSM8K's references."""
    references = {}
    for part in ("train", "test"):
        for row in _jsonl(folder / "gsm8k" / f"{part}.jsonl.gz"):
            references[" ".join(row["question"].split())] = row["answer"]
    with gzip.open(folder / "processbench" / "gsm8k_sample.json.gz", "rt") as file:
        for row in json.load(file):
            reference = references.get(" ".join(row["problem"].split()))
            if reference is not None:
                yield Labelled("\n".join(row["steps"]), reference, row["final_answer_correct"])


def aqua(folder: Path) -> Iterator[Labelled]:
    """AQuA's rationales, against the right letter and against the next one."""
    for row in _jsonl(folder / "svamp" / "AQuA_test.json.gz"):
        right = row["correct"]
        yield Labelled(row["rationale"], right, True)
        yield Labelled(row["rationale"], "BCDEA"["ABCDE".index(right)], False)


def of_archive(archive: Path) -> Iterator[Labelled]:
    """Rows (gold, prediction, verdict) of the tests in math-verify's archive that are literals."""
    with tarfile.open(archive) as packed:
        for member in sorted(packed.getmembers(), key=lambda member: member.name):
            if "/tests/" in member.name and member.name.endswith(".py"):
                file = packed.extractfile(member)
                assert file is not None
                yield from _of_tests(ast.parse(file.read()))


def _of_tests(tree: ast.Module) -> Iterator[Labelled]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Tuple | ast.List) and 3 <= len(node.elts) <= 5:
            try:
                gold, said, *_, right = ast.literal_eval(ast.Tuple(node.elts[:3], ast.Load()))
            except (ValueError, TypeError):
                continue
            if isinstance(gold, str) and isinstance(said, str) and isinstance(right, bool | int):
                yield Labelled(said, gold, bool(right))


SETS: dict[str, tuple[Callable[[Path], Iterator[Labelled]], tuple[str, ...]]] = {
    "GSM8K's labelled solutions": (gsm8k, ("number", "math")),
    "MATH-500's solutions": (math500, ("math",)),
    "PRM800K's sample": (prm800k, ("number", "math")),
    "ProcessBench's sample (gsm8k)": (processbench, ("number", "math")),
    "AQuA's rationales": (aqua, ("choice",)),
    "math-verify's own tests": (of_archive, ("math",)),
}


def main() -> None:
    """Prints a row for each set and verifier."""
    options = argparse.ArgumentParser(description="Agreement of the verifiers with labels.")
    options.add_argument("folder", type=Path)
    options.add_argument("--math-verify", type=Path, help="math-verify's source archive")
    options.add_argument("--show", action="store_true", help="every verdict that differs")
    given = options.parse_args()
    print("| set | verifier | right | wrong | false accepts | false refusals | unread references |")
    print("|---|---|---|---|---|---|---|")
    for name, (read, verifiers) in SETS.items():
        folder = given.math_verify if read is of_archive else given.folder
        for verifier in verifiers:
            try:
                labelled = list(read(folder)) if folder else []
            except FileNotFoundError:
                labelled = []
            if labelled:
                _print_row(name, verifier, labelled, given.show)


def _print_row(name: str, verifier: str, labelled: list[Labelled], show: bool) -> None:
    counts = {True: 0, False: 0}
    accepts, refusals, unread = [], [], []
    for one in labelled:
        try:
            found = verify(one.response, canonical(one.reference, verifier), verifier)
        except OrchardError:
            unread.append((one, None))
            continue
        counts[one.right] += 1
        if found.correct != one.right:
            (accepts if found.correct else refusals).append((one, found.answer))
    print(
        f"| {name} | `{verifier}` | {counts[True]:,} | {counts[False]:,} | {len(accepts)} "
        f"| {len(refusals)} | {len(unread)} |",
        flush=True,
    )
    for kind, found in (("accepted", accepts), ("refused", refusals), ("unread", unread)):
        for one, answer in found if show else []:
            print(
                f"    {kind}: {one.response[-160:]!r} read {answer!r}, reference {one.reference!r}"
            )


def _jsonl(path: Path) -> Iterator[dict[str, Any]]:
    opened = gzip.open(path, "rt") if path.suffix == ".gz" else path.open()
    with opened as file:
        for line in file:
            if line.strip():
                yield json.loads(line)


if __name__ == "__main__":
    main()
