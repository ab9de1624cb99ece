"""Any object as one file: a pickle, with large buffers behind it instead of in it.

    pickle (protocol 5) | buffers, each at a multiple of 64 | JSON: [[offset, length], …] | its length | mark

Memory of arrays, tables and tensors goes to the file as it is, without a copy (PEP 574), and comes back as
memory of its own. A file without large buffers is an ordinary pickle: `pickle.load` reads it and ignores what
follows.

A class that the notebook defines is stored by value *and* by name: where the notebook has a class of that
name when it is loaded, the object is one of those, so that `isinstance` holds after a resume. Else it is the
stored copy.
"""

from __future__ import annotations

import mmap
import pickle
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

import cloudpickle

from respawn_kernels.originals import dumps, loads
from respawn_kernels.rebuild import stable_name

_MARK = b"RSPWNBUF"
_TAIL = struct.Struct("<Q8s")
_ALIGNED = 64
_LARGE = 1 << 20
"""Smaller buffers stay in the stream."""
_MAX_AT_ONCE = 1 << 30


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, type) and obj.__module__ == "__main__" and _named(obj.__qualname__) is obj:
            return notebook_class, (obj.__qualname__, cloudpickle.dumps(obj, protocol=5))
        return super().reducer_override(obj)


def write_pickle(path: Path, value: Any) -> None:
    """Write any object that can be pickled. Raises what pickling it raises, or OSError."""
    buffers: list[pickle.PickleBuffer] = []

    def in_stream(buffer: pickle.PickleBuffer) -> bool:
        if _contiguous_size(buffer) < _LARGE:
            return True
        buffers.append(buffer)
        return False

    with path.open("wb") as file:
        _Pickler(file, protocol=5, buffer_callback=in_stream).dump(value)
        places = [_append(file, buffer) for buffer in buffers]
        index = dumps(places).encode()
        file.write(index + _TAIL.pack(len(index), _MARK))


def read_pickle(path: Path) -> Any:
    """Read what `write_pickle` wrote.

    Raises:
        pickle.UnpicklingError: the file was cut short.
        OSError: it cannot be read.
        Exception: whatever the constructors of its objects raise.
    """
    with path.open("rb") as file:
        file.seek(-_TAIL.size, 2)
        length, mark = _TAIL.unpack(file.read())
        if mark != _MARK:
            raise pickle.UnpicklingError(f"{path.name} was cut short")
        file.seek(-_TAIL.size - length, 2)
        places = loads(file.read(length))
        buffers = [_memory(file, offset, size) for offset, size in places]
        file.seek(0)
        return pickle.Unpickler(file, buffers=buffers).load()  # noqa: S301  it is the run's own


def _contiguous_size(buffer: pickle.PickleBuffer) -> int:
    try:
        return buffer.raw().nbytes
    except BufferError:  # not contiguous: it goes into the stream, which copies it
        return 0


def _append(file: BinaryIO, buffer: pickle.PickleBuffer) -> tuple[int, int]:
    file.write(b"\0" * (-file.tell() % _ALIGNED))
    place = file.tell()
    with buffer.raw() as raw:
        for start in range(0, raw.nbytes, _MAX_AT_ONCE):
            file.write(raw[start : start + _MAX_AT_ONCE])
        return place, raw.nbytes


def _memory(file: BinaryIO, offset: int, size: int) -> memoryview:
    """Return bytes of a file in fresh, writable memory."""
    view = memoryview(mmap.mmap(-1, size))
    file.seek(offset)
    filled = 0
    while filled < size and (count := file.readinto(view[filled : filled + _MAX_AT_ONCE])):  # type: ignore[attr-defined]
        filled += count
    if filled < size:
        raise pickle.UnpicklingError("the file was cut short")
    return view


def _named(qualname: str) -> Any:
    """Return what the notebook has under a dotted name, or None."""
    found: Any = sys.modules.get("__main__")
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


@stable_name
def notebook_class(qualname: str, stored: bytes) -> Any:
    """Return the notebook's class of that name, else the one that was stored."""
    found = _named(qualname)
    if isinstance(found, type) and found.__module__ == "__main__":
        return found
    return pickle.loads(stored)  # noqa: S301  it is the run's own
