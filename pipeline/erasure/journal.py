"""An erasure that has begun, in a file of the home: what a kill interrupts is finished later.

It holds ids and counts, and no text.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pipeline import durable
from pipeline.errors import OrchardError
from pipeline.live import erasure_note


@dataclass
class Note:
    """What is being erased.

    erasure_id, kind, asked, erased_on: as in the table `erasures`. source: the name of a source.
    gone: kinds and ids; refused: ids that may not enter again. rows: by table, of all versions.
    current: tables whose current version loses rows. trained: policies that learned from it.
    with_policies: they go too.
    """

    erasure_id: str
    kind: str
    asked: str
    erased_on: str
    source: str | None
    gone: list[list[str]]
    refused: list[str]
    rows: dict[str, int] = field(default_factory=dict)
    current: list[str] = field(default_factory=list)
    trained: list[dict[str, str]] = field(default_factory=list)
    with_policies: bool = False
    completions: int = 0


def write(home: Path, note: Note) -> None:
    """Keep the note, whole or not at all."""
    draft = home / ".erasure.json.tmp"
    draft.write_text(json.dumps(asdict(note), indent=1))
    durable.put(draft, erasure_note(home))


def read(home: Path) -> Note | None:
    """The erasure that was begun and not finished; null: none.

    Raises:
        OrchardError: the note cannot be read.
    """
    try:
        return Note(**json.loads(erasure_note(home).read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise OrchardError(
            f"{erasure_note(home)} cannot be read: move it away and erase the same again"
        ) from error


def remove(home: Path) -> None:
    """The erasure is finished."""
    erasure_note(home).unlink(missing_ok=True)
    durable.sync(home)
