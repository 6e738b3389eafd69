"""Arguments of a chat template, such as `enable_thinking: false`, as part of the model's folder.

The arguments are written at the head of the template of a second folder, whose other files are
links to the first one's. Everything that reads a model's folder (sampling, training, judges, the
export of a trained policy) so renders alike, and the model's id changes with the arguments.
"""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import durable
from pipeline.errors import OrchardError

FILE = "chat_template.jinja"  # transformers reads it before the tokenizer's configuration


def with_arguments(path: Path, arguments: Mapping[str, Any], target: Path, name: str) -> Path:
    """The folder `target`: a model's with these arguments at the head of its chat template.

    It is made once: its name has to change with the model and the arguments.

    Raises:
        OrchardError: the model has no chat template, or one that never names an argument.
    """
    if target.is_dir():
        return target
    text = _template(path, name)
    for argument in arguments:
        if not re.search(rf"\b{argument}\b", text):
            raise OrchardError(
                f"model.template: the chat template of {name!r} reads no {argument!r}: "
                "leave it out, or look its name up in the template"
            )
    draft = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        draft.mkdir(parents=True)
        for file in path.iterdir():
            if file.is_file() and file.name != FILE and not file.name.startswith("."):
                (draft / file.name).symlink_to(file.resolve())
        (draft / FILE).write_text(_head(arguments) + text, encoding="utf-8")
        durable.put(draft, target)
    except OSError as error:
        if not target.is_dir():  # else another process was first: its folder is as good as ours
            raise OrchardError(f"model {name!r}: {target} cannot be written: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _template(path: Path, name: str) -> str:
    from transformers import AutoTokenizer

    found = AutoTokenizer.from_pretrained(path, trust_remote_code=False).chat_template
    text = found.get("default") if isinstance(found, dict) else found
    if text is None:
        raise OrchardError(f"model.template: {name!r} has no chat template: use a chat model")
    return str(text)


def _head(arguments: Mapping[str, Any]) -> str:
    """A line of Jinja an argument; templates are compiled so that none of it is printed.

    Python writes numbers, texts, lists and mappings as Jinja reads them.
    """
    return "".join(
        f"{{%- set {name} = {ascii(value)} %}}\n" for name, value in sorted(arguments.items())
    )
