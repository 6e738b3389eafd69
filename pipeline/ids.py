"""Content hashes as ids, and seeds derived from them:
randomness is an input, never a global state.
"""

import hashlib
import json
from typing import Any


def _digest(parts: tuple[Any, ...], size: int) -> hashlib.blake2b:
    canonical = json.dumps(
        parts, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str
    )
    return hashlib.blake2b(canonical.encode(), digest_size=size)


def content_id(*parts: Any) -> str:
    """A 20-digit hexadecimal id (80 bits) of JSON-like parts.

    Equal content has an equal id on every machine.
    """
    return _digest(parts, 10).hexdigest()


def seed_for(*parts: Any) -> int:
    """A seed in [0, 2**31) that depends on the parts only: order and re-runs do not matter."""
    return int.from_bytes(_digest(parts, 8).digest(), "big") % 2**31


def unit_for(*parts: Any) -> float:
    """A number in [0, 1), uniform over different parts: used to split and to sample by hash."""
    return int.from_bytes(_digest(parts, 8).digest(), "big") / 2**64
