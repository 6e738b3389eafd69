"""What a prompt asks for, told by its words: a cheap label by which people mix data.

The first kind of which a sign stands in the last user turn is taken; the signs and their order are
our choice, and English only. A judge or a file's own column says more, where there is one.
"""

import re
from collections.abc import Sequence

from pipeline.conversation import asked_last
from pipeline.engine.base import Turn

OTHER = "other"
_SIGNS = {
    "code": (
        r"```|\b(?:python|javascript|java|typescript|c\+\+|rust|golang|sql|html|css|bash|regex)\b|"
        r"\b(?:function|code|program|script|algorithm|compile[rd]?|debug|stack trace|api)\b"
    ),
    "translation": r"\btranslat(?:e|ion|ed)\b",
    "summary": r"\b(?:summari[sz]e|summary|tl;?dr|shorten|condense|key points|main idea)\b",
    "maths": (
        r"\\(?:frac|sqrt|sum|int)\b|\d\s*[-+*/×÷^=]\s*\d|"
        r"\b(?:calculate|equation|integral|derivative|probability|solve for|how (?:many|much)|"
        r"percent(?:age)?|prove|theorem|geometry|algebra)\b"
    ),
    "rewriting": (
        r"\b(?:rewrite|rephrase|paraphrase|proofread|edit|correct|improve|fix)\b.*"
        r"\b(?:text|sentence|paragraph|grammar|essay|email|following|this)\b"
    ),
    "extraction": r"\b(?:classify|categori[sz]e|extract|identify|label|sentiment|detect|tag)\b",
    "writing": (
        r"\b(?:write|compose|draft|create|generate|come up with)\b.*\b(?:story|poem|essay|song|"
        r"email|letter|article|blog|post|speech|script|dialogue|haiku|joke|tweet|slogan|review|"
        r"description|paragraph|headline|lyrics)s?\b"
    ),
    "ideas": r"\b(?:brainstorm|suggest(?:ions?)?|recommend(?:ations?)?|ideas?|list (?:of|some))\b",
    "question": (
        r"\?|^\s*(?:what|who|when|where|why|how|which|is|are|do|does|can|explain|describe|"
        r"tell me)\b"
    ),
}
_KINDS = [(name, re.compile(sign, re.IGNORECASE | re.DOTALL)) for name, sign in _SIGNS.items()]
_LONGEST = 2000  # characters that are looked at: what is asked stands at the start, or at the end
TASKS = (*_SIGNS, OTHER)


def task_of(messages: Sequence[Turn]) -> str:
    """The kind of task of a prompt, one of TASKS."""
    asked = asked_last(messages)
    if len(asked) > _LONGEST:
        asked = f"{asked[: _LONGEST // 2]}\n{asked[-_LONGEST // 2 :]}"
    return next((name for name, sign in _KINDS if sign.search(asked)), OTHER)
