"""What the critic is asked, in our own words: the structure is CodeFavor's, the text is not."""

from pipeline.engine.base import Turn
from pipeline.ids import unit_for

WEAKNESSES = "correctness, efficiency, security or conciseness"


def explain(message: str, old: str, new: str) -> str:
    """Commit-Instruct, turn 1."""
    return (
        f"A commit has this message:\n\n{message}\n\n"
        f"The code before it:\n```python\n{old}\n```\n\n"
        f"The code after it:\n```python\n{new}\n```\n\n"
        "Explain in a few sentences what the commit changes and why."
    )


IS_BETTER = (
    f"Does the new code clearly improve a property that matters, such as {WEAKNESSES}? "
    "Answer [YES] if it clearly does, and [NO] if it does not or you are not sure."
)
_COMMIT_PARTS = {
    "INSTRUCTION": (
        "a programming task that can be understood without this commit, in one paragraph"
    ),
    "CRITERIA": "in one sentence, the property by which solutions are to be compared",
    "NAIVE_CODE": "Python that solves the task the old way, complete in itself",
    "IMPROVED_CODE": "Python that solves the task the new way, complete in itself",
    "FEEDBACK": (
        "which of the two is better by the criterion and why; "
        "call them [NAIVE_CODE] and [IMPROVED_CODE]"
    ),
}
REWRITE = (
    "Now write the change as a task with two solutions. Use exactly these five sections:\n\n"
    + "\n".join(f"[BEGIN {name}]\n({what})\n[END {name}]" for name, what in _COMMIT_PARTS.items())
)

_RULES = f"""\
You teach programming. A student's first attempt at a task follows. \
Look for one significant weakness in
{WEAKNESSES}; type hints, comments and style are not significant. \
Write what you think of it between [BEGIN REFLECTION]
and [END REFLECTION]. If the attempt is good enough, stop there. \
If not, go on with three more sections:

[BEGIN CRITERIA]
(the property to improve, in one sentence)
[END CRITERIA]
[BEGIN ATTEMPT_2]
(the improved code, complete)
[END ATTEMPT_2]
[BEGIN FEEDBACK]
(why one attempt is better; call them [ATTEMPT_1] and [ATTEMPT_2])
[END FEEDBACK]"""
_EXAMPLES = (
    (
        "Tell whether a whole number above 1 is prime.",
        "def is_prime(n):\n    return all(n % d for d in range(2, n))",
        """[BEGIN REFLECTION]
The attempt is right, but it tries every smaller number, \
although divisors come in pairs around the square root.
[END REFLECTION]
[BEGIN CRITERIA]
The work should grow with the square root of the number.
[END CRITERIA]
[BEGIN ATTEMPT_2]
import math

def is_prime(n):
    return all(n % d for d in range(2, math.isqrt(n) + 1))
[END ATTEMPT_2]
[BEGIN FEEDBACK]
[ATTEMPT_2] stops at the square root and tries far fewer divisors than [ATTEMPT_1], \
with the same results.
[END FEEDBACK]""",
    ),
    (
        "Return the words of a text in lower case.",
        "def words(text):\n    return text.lower().split()",
        """[BEGIN REFLECTION]
The attempt does what was asked in one pass and has no significant weakness.
[END REFLECTION]""",
    ),
)


_PASSES = (
    "The attempt passes its tests, so its results are right. Make it clearly faster or safer; "
    "if it cannot be made so, stop after the reflection."
)


def revise(
    prompt_id: str, instruction: str, draft: str, examples: int, *, passes: bool = False
) -> tuple[Turn, ...]:
    """Critic-Evol's chat:
    rules, worked examples in an order that depends on the prompt, and the attempt.

    Of an attempt that passes its tests, only speed or safety is asked for (ours): another program
    that passes too says nothing.
    """
    shown = sorted(_EXAMPLES, key=lambda example: unit_for("example", prompt_id, example[0]))[
        :examples
    ]
    turns = [Turn(role="system", content=_RULES)]
    for task, attempt, answer in shown:
        turns += [
            Turn(role="user", content=_attempt(task, attempt)),
            Turn(role="assistant", content=answer),
        ]
    asked = _attempt(instruction, draft) + (f"\n\n{_PASSES}" if passes else "")
    return (*turns, Turn(role="user", content=asked))


def _attempt(instruction: str, code: str) -> str:
    return f"The task:\n\n{instruction}\n\n[ATTEMPT_1]\n```python\n{code}\n```"


_LETTER = "Which code fits the criterion better, A or B? Answer with one letter."
_WORDS = (
    "Compare the two codes by the criterion, and end with one of these sentences: "
    "The better code is [CODE_A]. The better code is [CODE_B]."
)


def verdict(feedback: str, letter: str) -> str:
    """What a judge says that explains itself: why, and then which (paper: a fixed sentence)."""
    return f"{feedback}\n\nThe better code is [CODE_{letter}]."


def judge(
    instruction: str, criteria: str, first: str, second: str, *, explains: bool = False
) -> list[dict[str, str]]:
    """The pairwise judge's prompt (paper, section on training):
    instruction, both codes, criterion.

    It asks for a letter (the paper's classification) or for reasons and a sentence (generation).
    """
    content = (
        f"[INSTRUCTION]\n{instruction}\n\n[CODE_A]\n{first}\n\n[CODE_B]\n{second}\n\n"
        f"[CRITERIA]\n{criteria}\n\n"
        f"{_WORDS if explains else _LETTER}"
    )
    return [{"role": "user", "content": content}]
