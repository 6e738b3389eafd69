"""Messages over a pipe: four bytes of length, then JSON.

Reads never take a byte more than their message.
"""

from __future__ import annotations

import json
import os
from typing import Any


class BadFrame(Exception):
    """What came is no message, or a longer one than allowed."""


def read_bytes(fd: int, size: int) -> bytes | None:
    """Exactly `size` bytes; None where the other side closed before."""
    parts = []
    while size:
        part = os.read(fd, min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def read_frame(fd: int, limit: int) -> Any:
    """The next message; None where the other side closed.

    Raises:
        BadFrame: longer than `limit` bytes, or not JSON.
    """
    head = read_bytes(fd, 4)
    if head is None:
        return None
    size = int.from_bytes(head, "big")
    if size > limit:
        raise BadFrame(f"a message of {size} bytes, over the limit of {limit}")
    body = read_bytes(fd, size)
    if body is None:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError, MemoryError) as error:
        raise BadFrame(f"not a message: {type(error).__name__}") from error


def write_frame(fd: int, message: Any) -> None:
    """Writes one message whole."""
    body = json.dumps(message).encode()
    data = memoryview(len(body).to_bytes(4, "big") + body)
    while data:
        data = data[os.write(fd, data) :]
