"""Which share of right programs the verifier `code` loses in varied layouts; the goal is none.

    PYTHONPATH=. python benchmarks/code_layouts.py FOLDER

FOLDER has humaneval/HumanEval.jsonl.gz and mbpp399/new_mbpp.json.gz. Each reference is written in
every layout of tests/verify/layouts.py, and found again: it is kept where the program found has
the reference's statements, else where it passes the tests in the sandbox. Ends with GOAL MET or
GOAL MISSED.
"""

import argparse
import ast
import gzip
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from pipeline.config import SandboxSettings
from pipeline.errors import OrchardError
from pipeline.verify import code
from tests.verify.layouts import responses


def main() -> None:
    """Prints how many programs each layout lost."""
    options = argparse.ArgumentParser(description="Right programs lost by layout.")
    options.add_argument("folder", type=Path)
    options.add_argument("--isolation", choices=["bubblewrap", "limits"], default="bubblewrap")
    given = options.parse_args()
    code.use(SandboxSettings(isolation=given.isolation))
    tried: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    programs = 0
    for row in _rows(given.folder):
        try:
            program, metadata = code.task_of(row)
        except OrchardError as error:
            print(f"left out: {row.get('task_id')}: {error}")
            continue
        programs += 1
        for layout, response in responses(program, json.loads(metadata)["names"][0]):
            tried[layout] += 1
            lost[layout] += not _is_kept(response, program, metadata)
    for layout, count in tried.items():
        print(f"{layout:32s}{lost[layout]:5d} of {count} lost")
    total = sum(lost.values())
    print(f"{programs} programs, {len(tried)} layouts: {total} of {sum(tried.values())} lost")
    print("GOAL MISSED" if total else "GOAL MET")
    sys.exit(total > 0)


def _rows(folder: Path) -> list[dict[str, Any]]:
    with gzip.open(folder / "humaneval" / "HumanEval.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    with gzip.open(folder / "mbpp399" / "new_mbpp.json.gz", "rt") as file:
        return rows + list(json.load(file))


def _is_kept(response: str, program: str, metadata: str) -> bool:
    found = code.program(response, metadata)
    if found is None:
        return False
    if _statements(program) <= _statements(found):
        return True
    return code.verdict(response, metadata)[1]


def _statements(source: str) -> set[str]:
    return {ast.dump(node) for node in ast.parse(source).body}


if __name__ == "__main__":
    main()
