"""Files that people bring, read strictly: a key that stands twice is an error and not the last of
two values, a small archive does not fill the memory, and whatever is wrong is one `ValueError`.
"""

import gzip
import json
import os
import zlib
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import Any

import yaml

# A packed text of people is 3 to 15 times its file; a hundred times is a trap or a mistake.
RATIO = 100
SMALL = 64 << 20  # bytes that anything may unpack to
_GZIP = b"\x1f\x8b"  # how a file of it begins
_ZSTD = b"\x28\xb5\x2f\xfd"


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
    """The bytes of a file, unpacked where they are gzip's or zstd's: see `open_unpacked`."""
    with open_unpacked(path) as file:
        return file.read()


def open_unpacked(path: Path) -> BufferedReader:
    """The bytes of a file as a stream, unpacked where they are gzip's or zstd's.

    Its first bytes tell, and not its name.

    Raises:
        ValueError: at reading: it unpacks to over 100 times its size, or is damaged.
        OSError, EOFError: it cannot be read, or is not whole.
    """
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith(_GZIP):
        return BufferedReader(_Unpacked(gzip.open(path), largest(path)))
    if start.startswith(_ZSTD):
        return BufferedReader(_Unpacked(_zstd(path), largest(path)))
    return path.open("rb")


def _zstd(path: Path) -> Any:
    import pyarrow

    return pyarrow.CompressedInputStream(pyarrow.OSFile(os.fsencode(path)), "zstd")


class _Unpacked(RawIOBase):
    """What a packed stream holds, up to a number of bytes."""

    def __init__(self, packed: Any, most: int) -> None:
        self._packed = packed
        self._left = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        try:
            found = self._packed.read(len(buffer))
        except zlib.error as error:
            raise ValueError(str(error)) from error
        self._left -= len(found)
        if self._left < 0:
            raise too_large()
        buffer[: len(found)] = found
        return len(found)

    def close(self) -> None:
        self._packed.close()
        super().close()


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
