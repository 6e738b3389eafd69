"""How fast the text verifiers are: checks a second, and the longest time on 100 kB of one pattern.

    python benchmarks/verify.py

Usual responses: at least 2,000 checks a second of each verifier (our choice). Hostile ones: 100 kB
of a repeated piece behind each of several beginnings; none may take a verifier over 0.2 s of CPU.
Ends with GOAL MET or GOAL MISSED.
"""

import argparse
import sys
import time
from itertools import product

from pipeline.verify import verify

REFERENCES = {"number": "7", "math": "x+7", "choice": "B", "yesno": "yes", "exact": "paris"}
ENDINGS = {
    "number": "So the total is 3 + {i} = 7.\nThe final answer is {i}.",
    "math": "We get $2x + {i}$ and so $$x = 7$$\nThe answer is $\\boxed{{x + {i}}}$.",
    "choice": "Option A says {i}, which is too many.\nThe correct answer is (B) seven.",
    "yesno": "There are {i} of them, and so it fits.\nThe answer is yes.",
    "exact": "They met {i} times.\nAnswer: Paris",
}
PIECES = (
    " ", "*", "5", "\\", "not ", "$", "-", "answer ", "answer is ", "answer is 5 ", "(", "{", "}",
    "\\boxed{", "\\boxed{1}", "\\frac{", "\\text{", "1,", "A ", "A) ", "B or ", "<answer>", "<",
    "####", "\n#### 1", "\n", "\\(", "\\[", "$5 ", "option A ", "is ", "=", "= 5 ", "no ", "答案",
    "答案是5。", "是", "选A", "<<", "0x", "。", "`", "$x$ ", "\\begin{", "- ", ". ", "n't ", "the ",
    "a-", "5-", "x^", "\\ ", "1 1/2 ", "5 or ", "\u202f", "[", "|", "yes ", "x = 5\n", "a b c d ",
    "\\alpha ", "(A) B, ", "$x_1$ and $y$ ", "less than 5 ", "\\$5", "5 % ", "\u00a0", "I think ",
    "; 5", "minus ", "5, maybe ", "if the answer is 5? ",
)  # fmt: skip
BEGINNINGS = (
    "", "The answer is 5", "The answer is A", "x = 5", "\\boxed{", "$", "The answer is $",
    "The answer is:\n```\n",
)  # fmt: skip
LONGEST_S = 0.2
LEAST_PER_S = 2000


def rate(verifier: str, checks: int) -> float:
    """Checks a second of usual responses, of which no two are the same."""
    work = "Let me think step by step. There are 12 boxes with 3 apples, so 12 * 3 = 36.\n" * 4
    texts = [work + ENDINGS[verifier].format(i=i) for i in range(checks)]
    verify(texts[0], REFERENCES[verifier], verifier)  # loads what it needs
    start = time.process_time()
    for text in texts:
        verify(text, REFERENCES[verifier], verifier)
    return checks / (time.process_time() - start)


def slowest(verifier: str, size: int) -> tuple[float, str]:
    """The longest time that a text of that size takes, and which one it is."""
    worst = (0.0, "")
    for beginning, piece in product(BEGINNINGS, PIECES):
        text = beginning + piece * (size // len(piece))
        start = time.process_time()
        verify(text, REFERENCES[verifier], verifier)
        worst = max(worst, (time.process_time() - start, f"{beginning!r} and {piece!r}"))
    return worst


def main() -> None:
    """Prints a line for each verifier."""
    options = argparse.ArgumentParser(description="Speed of the text verifiers.")
    options.add_argument("--checks", type=int, default=2000)
    options.add_argument("--size", type=int, default=100_000, help="characters of a hostile text")
    given = options.parse_args()
    met = True
    for verifier in REFERENCES:
        fast = rate(verifier, given.checks)
        seconds, text = slowest(verifier, given.size)
        good = fast >= LEAST_PER_S and seconds <= LONGEST_S
        met = met and good
        print(f"{verifier:8s}{fast:10,.0f} checks/s{seconds:8.3f} s on {text}", flush=True)
    print("GOAL MET" if met else "GOAL MISSED")
    sys.exit(not met)


if __name__ == "__main__":
    main()
