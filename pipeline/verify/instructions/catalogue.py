"""The kinds by name, instructions made of them, and how they are checked and worded.

Strict and loose are IFEval's: strict takes the response as it is; loose also takes it without its
first line, its last line, both, and each of these without asterisks, and is fulfilled where one of
the eight texts is. An empty response fulfils nothing in either.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

import yaml

from pipeline.errors import OrchardError
from pipeline.ids import seed_for
from pipeline.verify.instructions import counts, edges, formats, json_forms, keywords, languages
from pipeline.verify.instructions.instruction import RELATIONS, Kind

_FAMILIES = (keywords, languages, counts, formats, json_forms, edges)
KINDS: dict[str, Kind] = {kind.name: kind for family in _FAMILIES for kind in family.KINDS}
WORDINGS: dict[str, list[str]] = yaml.safe_load(
    (Path(__file__).parent / "wordings.yaml").read_text(encoding="utf-8")
)


@dataclass(frozen=True)
class Instruction:
    """One instruction: the name of its kind, and its arguments under IFEval's names."""

    name: str
    arguments: Mapping[str, Any]

    @classmethod
    def of(cls, name: object, arguments: Mapping[str, Any] | None) -> "Instruction":
        """The instruction with checked arguments.

        Nulls, and white space at a text's ends, are left out.

        Raises:
            OrchardError: no such kind, an argument that is missing, unknown or of the wrong type.
        """
        if not isinstance(name, str) or name not in KINDS:
            raise OrchardError(f"unknown instruction {name!r}: use one of {', '.join(KINDS)}")
        kind = KINDS[name]
        entries = {key: value for key, value in (arguments or {}).items() if value is not None}
        given = {
            key: value.strip() if isinstance(value, str) else value
            for key, value in entries.items()
        }
        if set(given) != set(kind.arguments):
            takes = ", ".join(kind.arguments) or "none"
            raise OrchardError(
                f"instruction {name!r}: arguments {', '.join(given) or 'none'}, "
                f"but it takes {takes}"
            )
        faults = [
            fault
            for key, type_ in kind.arguments.items()
            if (fault := _fault(key, given[key], type_))
        ]
        faults = faults or [fault for fault in [kind.fault(given)] if fault]
        if faults:
            raise OrchardError(f"instruction {name!r}: {faults[0]}")
        return cls(name, given)

    def check(self, response: str, loose: bool = False) -> bool:
        """True where the response fulfils it; never raises on any response."""
        holds = KINDS[self.name].holds
        texts = relaxed(response) if loose else (response,)
        return any(bool(text.strip()) and holds(text, self.arguments) for text in texts)

    def text(self, style: int = 0) -> str:
        """It in words:
        the same style of two instructions of one kind differs in the arguments only.
        """
        templates = WORDINGS[self.name]
        return templates[style % len(templates)].format(
            **{key: shown(key, v) for key, v in self.arguments.items()}
        )

    def as_json(self) -> dict[str, Any]:
        """Its name and arguments for a table."""
        return {"name": self.name, "arguments": dict(self.arguments)}


def build(name: str, response: str, want: bool, *seed: object) -> Instruction | None:
    """An instruction of that kind that the response fulfils (want) or violates.

    Args:
        seed: ids on which the drawn arguments depend. With the same ids, the fulfilled and the
            violated instruction say the same thing of the same count with another number, where the
            response allows it.

    Returns:
        None where there is none: a response without characters, or without what the instruction is
            about.

    Raises:
        OrchardError: no such kind.
    """
    if name not in KINDS:
        raise OrchardError(f"unknown instruction {name!r}: use one of {', '.join(KINDS)}")
    if not response.strip():
        return None
    arguments = KINDS[name].propose(response, want, Random(seed_for("instruction", name, *seed)))
    return None if arguments is None else Instruction(name, arguments)


def read(metadata: str | None) -> tuple[Instruction, ...]:
    """Instructions of a prompt's metadata:
    JSON with IFEval's columns `instruction_id_list` and `kwargs`.

    Raises:
        OrchardError: no JSON of that form, no instruction, or one that Instruction.of refuses.
    """
    try:
        value = json.loads(metadata or "{}")
    except ValueError as error:
        raise OrchardError(f"instructions: metadata is not JSON: {error}") from error
    names, arguments = (
        value.get(key) if isinstance(value, dict) else None
        for key in ("instruction_id_list", "kwargs")
    )
    if (
        not isinstance(names, list)
        or not isinstance(arguments, list)
        or not names
        or len(names) != len(arguments)
    ):
        raise OrchardError(
            "instructions: instruction_id_list and kwargs must be lists of the same length, "
            "not empty"
        )
    if not all(entry is None or isinstance(entry, dict) for entry in arguments):
        raise OrchardError("instructions: every entry of kwargs must be an object")
    return tuple(Instruction.of(name, entry) for name, entry in zip(names, arguments, strict=True))


def write(instructions: Sequence[Instruction]) -> str:
    """The metadata that `read` reads."""
    names, arguments = [i.name for i in instructions], [dict(i.arguments) for i in instructions]
    return json.dumps({"instruction_id_list": names, "kwargs": arguments}, ensure_ascii=False)


@lru_cache(maxsize=1024)
def relaxed(response: str) -> tuple[str, ...]:
    """The eight texts of the loose mode, those that are alike once."""
    lines = response.split("\n")
    cut = [response, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    return tuple(dict.fromkeys([*cut, *(text.replace("*", "") for text in cut)]))


def _fault(key: str, value: object, type_: str) -> str | None:
    """What is wrong with an argument; None: nothing."""
    text = isinstance(value, str) and bool(value.strip())
    texts = (
        isinstance(value, list | tuple)
        and len(value) > 0
        and all(isinstance(v, str) and v.strip() for v in value)
    )
    right = {
        "text": text,
        "texts": texts,
        "number": isinstance(value, int) and not isinstance(value, bool) and value >= 0,
        "relation": value in RELATIONS,
        "object": isinstance(value, Mapping),
    }[type_]
    wanted = {
        "text": "a text",
        "texts": "a list of texts",
        "number": "an integer of at least 0",
        "relation": " or ".join(map(repr, RELATIONS)),
        "object": "an object",
    }[type_]
    return None if right else f"{key} must be {wanted}, not {str(value)[:60]!r}"


def shown(key: str, value: object) -> str:
    """An argument as the words of an instruction show it."""
    if key == "language":
        return languages.name_of(str(value))
    if isinstance(value, list | tuple):
        return " and ".join(f'"{entry}"' for entry in value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping) else str(value)
