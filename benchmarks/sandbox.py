"""How many short programs a second a warm pool judges, with two sandboxes on two cores.

Run: python benchmarks/sandbox.py [programs]
Beside it, in the same run: the same programs in a fresh `python -I -S` each, without any isolation.
"""

import subprocess
import sys
import time

from pipeline.config import SandboxSettings
from pipeline.verify.sandbox import Job, Sandbox

GOAL = 50  # programs a second
PROGRAM = "import math\n\ndef f(n):\n    return [math.isqrt(k) for k in range(n)]\n"
TESTS = "assert f(5) == [0, 1, 1, 1, 2]\nassert f(0) == []\nassert len(f(1000)) == 1000\n"


def main() -> None:
    """Prints the rates, and whether the goal is met."""
    programs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    box = Sandbox(SandboxSettings(workers=2))
    jobs = [Job(PROGRAM + f"# program {number}\n", TESTS, ("f",)) for number in range(programs)]
    box.run_many(jobs[:20])
    start = time.perf_counter()
    outcomes = box.run_many(jobs)
    warm = programs / (time.perf_counter() - start)
    box.close()
    start = time.perf_counter()
    for _ in range(20):
        subprocess.run([sys.executable, "-I", "-S", "-c", PROGRAM + TESTS], check=True)
    fresh = 20 / (time.perf_counter() - start)
    right = sum(outcome.passed for outcome in outcomes)
    print(
        f"warm pool of two sandboxes: {warm:.0f} programs a second "
        f"({right} of {programs} judged right)"
    )
    print(
        f"a fresh interpreter each, one after another, not isolated: {fresh:.0f} programs a second"
    )
    met = warm >= GOAL and right == programs
    print(
        f"GOAL {'MET' if met else 'MISSED'}: {warm:.0f} programs a second; "
        f"the goal is {GOAL} on two cores"
    )


if __name__ == "__main__":
    main()
