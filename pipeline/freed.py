"""Memory that nothing needs any more, handed back to the system."""

import ctypes
import gc


def trim() -> None:
    """Takes models apart (their layers hold each other),
    and has the C library return what it keeps of them.

    It keeps one heap a thread: a model is read by several, so that what they free stays where
    nobody else looks.
    """
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc
        libc.malloc_trim(0)
