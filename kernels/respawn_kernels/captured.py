"""Groups in the making, and which variables are nothing but a text or a number."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

from respawn_kernels.chunks import Draft
from respawn_kernels.knowledge import Reusable
from respawn_kernels.pickling import library_values
from respawn_kernels.streams import Stream
from respawn_kernels.texts import is_interned

_ATOMS = (type(None), bool, int, float, complex, str, bytes)
_LARGEST_ATOM = 1 << 16


@dataclass
class NewGroup:
    """A group that was pickled anew."""

    stream: Stream
    draft: Draft
    buffers: list[Draft]
    unchecked: str | None
    """Why nobody knows whether it comes back as it was."""
    checked: bool = False

    @property
    def names(self) -> list[str]:
        """The variables of the group."""
        return [frame.name for frame in self.stream.frames]

    @property
    def objects(self) -> int:
        """Bytes that become objects when they are loaded: memory of arrays does not."""
        size = sum(piece.raw for piece in self.stream.pieces) + len(self.stream.tail)
        return size + sum(memoryview(one).nbytes for one in self.stream.buffers if _is_text(one))


def required(group: NewGroup | Reusable) -> set[str]:
    """Return the variables that a group refers to by name."""
    return group.stream.required if isinstance(group, NewGroup) else group.requires


def _is_text(buffer: pickle.PickleBuffer) -> bool:
    return isinstance(memoryview(buffer).obj, bytes)


def is_seen(value: Any) -> bool:
    """Tell whether a variable is text, or no number, whose identity others can see."""
    if type(value) is float:
        return value != value and id(value) not in library_values()
    if type(value) is bytes:
        return len(value) > 1
    return type(value) is str and len(value) > 1 and not is_interned(value)


def is_atom(value: Any) -> bool:
    """Tell whether a variable is a short text or a number."""
    return type(value) in _ATOMS and (type(value) not in (str, bytes) or len(value) < _LARGEST_ATOM)
