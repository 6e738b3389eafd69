"""Files that people bring, read strictly: a key that stands twice is an error and not the last of
two values, a small archive does not fill the memory, and whatever is wrong is one `ValueError`.
"""

import gzip
import json
from pathlib import Path
from typing import Any

import yaml

# A packed text of people is 3 to 15 times its file; a hundred times is a trap or a mistake.
RATIO = 100
SMALL = 64 << 20  # bytes that anything may unpack to


def json_value(text: str) -> Any:
    """What a text says in JSON.

    Raises:
        ValueError: not JSON, a key that stands twice in one object, or nested too deep.
    """
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def yaml_value(path: Path) -> Any:
    """What a file says in YAML.

    Raises:
        ValueError: not UTF-8, not YAML, a key that stands twice in one mapping, or nested too deep.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def unpacked(path: Path) -> bytes:
    """The bytes of a file, unpacked where they are gzip's.

    Raises:
        ValueError: it unpacks to over 100 times its size.
        OSError, EOFError: it cannot be read, or is not whole.
    """
    with path.open("rb") as file:
        if file.read(2) != b"\x1f\x8b":
            return path.read_bytes()
    most = largest(path)
    with gzip.open(path) as packed:
        found = packed.read(most + 1)
    if len(found) > most:
        raise too_large()
    return found


def largest(path: Path) -> int:
    """Bytes that a packed file may unpack to."""
    return max(SMALL, RATIO * path.stat().st_size)


def too_large() -> ValueError:
    """What is said of a file that unpacks to more."""
    return ValueError(
        f"it unpacks to over {RATIO} times its size: unpack it first if that is meant"
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"{_twice([key for key, _ in pairs])!r} stands twice in one object")
    return found


def _twice(keys: list[str]) -> str:
    return next(key for at, key in enumerate(keys) if key in keys[:at])


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which also refuses a key that stands twice."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """A mapping as it is written, before `<<` brings in keys that its own may replace."""
        node = super().compose_mapping_node(anchor)
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) < len(keys):
            line = node.start_mark.line + 1
            raise ValueError(f"{_twice(keys)!r} stands twice in the mapping at line {line}")
        return node
