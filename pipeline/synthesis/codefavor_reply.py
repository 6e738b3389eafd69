"""A critic's replies by structure.
'Good enough' and 'malformed' are two things, and are counted apart.

A section stands between [BEGIN NAME] and [END NAME] on lines of their own. CodeFavor's code also
marks sections by begin and end; that the two outcomes cannot be told apart in its output is why
this parser returns three types. Ours: a reply that ends by itself after it began its better program
needs no further mark, since a whole program is what parses; it may lack the feedback.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.engine.base import Completion
from pipeline.synthesis.codefavor_code import same, stripped
from pipeline.verify.code import program

COMMIT = ("INSTRUCTION", "CRITERIA", "NAIVE_CODE", "IMPROVED_CODE", "FEEDBACK")
EVOL = ("CRITERIA", "ATTEMPT_2", "FEEDBACK")  # after REFLECTION
PROGRAMS = {"IMPROVED_CODE", "ATTEMPT_2"}  # after one of these a reply may end
COPIED = 6  # words of a worked example in a row; our choice
_MARK = re.compile(r"^[ \t]*\[(BEGIN|END) ([A-Z0-9_]+)\][ \t]*$", re.MULTILINE)
_ANSWER = re.compile(r"\[(YES|NO)\]", re.IGNORECASE)
_WORD = re.compile(r"\w+")
_FIRST = re.compile(r"\W*(YES|NO)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Improved:
    """The critic's better version.
    instruction is None where the task's own prompt stays (Critic-Evol); feedback is None where the
    reply ended before it.
    """

    criteria: str
    naive: str
    improved: str
    feedback: str | None
    instruction: str | None = None
    reflection: str | None = None


@dataclass(frozen=True)
class GoodEnough:
    """The critic has nothing to improve."""

    why: str


@dataclass(frozen=True)
class Malformed:
    """The reply does not have the structure that was asked for."""

    reason: str


def says_better(reply: Completion) -> bool | Malformed:
    """Commit-Instruct's second turn: [YES] or [NO], once or repeated alike.

    A bare first word will do.

    Whole words only: 'NOTE' is not a no.
    """
    said = {match[1].upper() for match in _ANSWER.finditer(reply.response)}
    if not said and (first := _FIRST.match(reply.response)):
        said = {first[1].upper()}
    if len(said) != 1:
        return Malformed("neither [YES] nor [NO]" if not said else "both [YES] and [NO]")
    return said == {"YES"}


def read_commit(reply: Completion) -> Improved | Malformed:
    """Commit-Instruct's third turn:
    five sections, both codes parse and differ, feedback names a code by its tag.
    """
    found = _sections(reply, COMMIT)
    if isinstance(found, Malformed):
        return found
    instruction, criteria, naive, improved = (found[name] for name in COMMIT[:-1])
    naive_code, improved_code = _code(naive), _code(improved)
    if naive_code is None or improved_code is None:
        return Malformed(
            f"section {'NAIVE_CODE' if naive_code is None else 'IMPROVED_CODE'} is not Python"
        )
    return _checked(
        Improved(criteria, naive_code, improved_code, found.get("FEEDBACK"), instruction),
        ("NAIVE_CODE", "IMPROVED_CODE"),
    )


def read_evol(
    reply: Completion, draft: str, metadata: str | None = None
) -> Improved | GoodEnough | Malformed:
    """Critic-Evol's only turn:
    a reflection, and then nothing more (good enough) or the three sections.

    Both codes come back without comments and docstrings. With the verifier's metadata of the prompt
    the second attempt is the program that the prompt's tests call.
    """
    marks = {match[2] for match in _MARK.finditer(reply.response)}
    wanted = ("REFLECTION", *EVOL) if marks & set(EVOL) else ("REFLECTION",)
    found = _sections(reply, wanted)
    if isinstance(found, Malformed):
        return found
    if len(wanted) == 1:
        return GoodEnough(found["REFLECTION"])
    naive, improved = stripped(draft), stripped(_code(found["ATTEMPT_2"], metadata) or "")
    if not naive or not improved:
        return Malformed(f"section {'ATTEMPT_1' if not naive else 'ATTEMPT_2'} is not Python")
    pair = Improved(
        found["CRITERIA"], naive, improved, found.get("FEEDBACK"), reflection=found["REFLECTION"]
    )
    return _checked(pair, ("ATTEMPT_1", "ATTEMPT_2"))


def _sections(reply: Completion, wanted: tuple[str, ...]) -> dict[str, str] | Malformed:
    """Each wanted section once, closed, in order and not empty; others are an error too.

    A reply that ends by itself in or after a program closes there what is open, and has no more.
    """
    marks = list(_MARK.finditer(reply.response))
    expected = [(kind, name) for name in wanted for kind in ("BEGIN", "END")]
    for (kind, name), mark in zip(expected, marks, strict=False):
        if (mark[1], mark[2]) != (kind, name):
            return Malformed(f"expected [{kind} {name}], found [{mark[1]} {mark[2]}]")
    ended = reply.finish_reason == "stop" and bool(PROGRAMS & {mark[2] for mark in marks})
    if len(marks) < len(expected) and not ended:
        kind, name = expected[len(marks)]
        cut = " (cut off by the token limit)" if reply.finish_reason == "length" else ""
        return Malformed(f"no [{kind} {name}]{cut}")
    if len(marks) > len(expected):
        return Malformed(
            f"[{marks[len(expected)][1]} {marks[len(expected)][2]}] after the last section"
        )
    ends = [mark.start() for mark in marks[1::2]] + [len(reply.response)] * (len(marks) % 2)
    parts = {
        name: reply.response[start.end() : end].strip("\n").rstrip()
        for name, start, end in zip(wanted, marks[::2], ends, strict=False)
    }
    empty = [name for name, part in parts.items() if not part.strip()]
    return Malformed(f"section {empty[0]} is empty") if empty else parts


def _code(section: str, metadata: str | None = None) -> str | None:
    """The program of a section, fenced or not;
    without metadata also a script that defines nothing.
    """
    found = program(section, metadata) or (section.strip() if metadata is None else "")
    return found if stripped(found) else None


def _checked(pair: Improved, tags: tuple[str, str]) -> Improved | Malformed:
    if same(pair.naive, pair.improved):
        return Malformed("both codes say the same")
    if pair.feedback is not None and not any(tag in pair.feedback for tag in tags):
        return Malformed(f"the feedback names neither {tags[0]} nor {tags[1]}")
    return pair


def copies(pair: Improved, shown: Sequence[str]) -> str | None:
    """The section whose words are those of a worked example that the critic was shown.

    A run of `COPIED` words is the same; None where nothing is. The program is not looked at: the
    tests tell whether it solves this task.
    """
    known = {run for text in shown for run in _runs(text)}
    said = {"CRITERIA": pair.criteria, "FEEDBACK": pair.feedback or ""}
    return next((name for name, text in said.items() if known & set(_runs(text))), None)


def _runs(text: str) -> list[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    return [tuple(words[i : i + COPIED]) for i in range(len(words) - COPIED + 1)]
