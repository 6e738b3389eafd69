"""An erasure that has begun, in a file of the home: what a kill interrupts is finished later.

It holds ids and counts, and no text.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pipeline import durable
from pipeline.errors import OrchardError


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


def path_of(home: Path) -> Path:
    """Where the note of a home lies."""
    return home / "erasure.json"


def write(home: Path, note: Note) -> None:
    """Keep the note, whole or not at all."""
    draft = home / ".erasure.json.tmp"
    draft.write_text(json.dumps(asdict(note), indent=1))
    durable.put(draft, path_of(home))


def read(home: Path) -> Note | None:
    """The erasure that was begun and not finished; null: none.

    Raises:
        OrchardError: the note cannot be read.
    """
    try:
        return Note(**json.loads(path_of(home).read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise OrchardError(
            f"{path_of(home)} cannot be read: move it away and erase the same again"
        ) from error


def remove(home: Path) -> None:
    """The erasure is finished."""
    path_of(home).unlink(missing_ok=True)
    durable.sync(home)
