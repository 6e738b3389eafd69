"""Judge prompts: one Jinja file each,
in sections that start with a line [system], [user] or [assistant].
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2

from pipeline.engine.base import Prompt, Turn
from pipeline.errors import OrchardError

FOLDER = Path(__file__).with_name("templates")
_MARK = re.compile(r"^\[(system|user|assistant)\]\n", re.MULTILINE)


def render(name: str, **values: Any) -> Prompt:
    """The chat turns of a template.

    A last section [assistant] is the start of the answer (no space at its end).

    The file is cut into sections before the values are put in, so that a response that holds
    "[user]" stays text.

    Args:
        name: a file of pipeline/judge/templates without its ending, or the path of a file that ends
            in .jinja.
        values: what the template's names stand for.

    Raises:
        OrchardError: no such template, a mistake in it, or a name that has no value.
    """
    try:
        turns: list[Turn] = [
            {"role": role, "content": template.render(values).strip()}
            for role, template in _sections(name)
        ]
    except jinja2.TemplateError as error:
        raise OrchardError(f"judge template {name!r}: {error}: mend the file") from error
    prefix = turns.pop()["content"] if turns[-1]["role"] == "assistant" else ""
    return Prompt(tuple(turns), prefix)


def text(name: str) -> str:
    """What a template says: part of what determines a vote."""
    path = Path(name) if name.endswith(".jinja") else FOLDER / f"{name}.jinja"
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.jinja")))
        raise OrchardError(
            f"judge template {name!r}: no file: use one of {known}, or the path of a file"
        ) from error


@lru_cache
def _sections(name: str) -> list[tuple[str, jinja2.Template]]:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    parts = _MARK.split(text(name))
    if len(parts) < 3 or parts[0].strip():
        raise OrchardError(f"judge template {name!r}: start it with a line [system] or [user]")
    return [
        (role, environment.from_string(body))
        for role, body in zip(parts[1::2], parts[2::2], strict=True)
    ]
