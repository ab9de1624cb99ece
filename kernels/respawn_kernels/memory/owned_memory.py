"""Whether arrays that come back own their memory, so that NumPy can resize them in place (`a.resize(n)`).

Large arrays are mapped from the blobs, which costs nothing until they are read; they do not own such memory.
They are copied only for notebooks whose code has the word `resize`: a copy costs as much as reading them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_all = False


@contextmanager
def owning(wanted: bool) -> Iterator[None]:
    """Load arrays with memory of their own in this context, if wanted; in all threads."""
    global _all
    before, _all = _all, _all or wanted
    try:
        yield
    finally:
        _all = before


def is_copied(data: object) -> bool:
    """Return whether an array gets memory of its own, and not the buffer that it is loaded from."""
    if isinstance(data, bytes | bytearray):
        return True
    return isinstance(data, memoryview) and (_all or isinstance(data.obj, bytearray))
