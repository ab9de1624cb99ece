"""Groups before they are in a manifest, what is left out, and which variables are plain text or numbers."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from respawn_kernels.capture.incremental_baseline import Reusable
from respawn_kernels.checkpoint.chunks import DraftExtent
from respawn_kernels.introspection.descriptions import type_name
from respawn_kernels.pickling.references import library_values
from respawn_kernels.reducers.object_strings import is_interned
from respawn_kernels.streams.group_stream import Stream

_ATOMS = (type(None), bool, int, float, complex, str, bytes)
_LARGEST_ATOM = 1 << 16
"""Characters or bytes: a longer text is a variable of its own, so that it is not rewritten with others."""


@dataclass
class NewGroup:
    """A group that was pickled anew."""

    stream: Stream
    draft: DraftExtent
    """Where its stream is in blobs."""
    buffers: list[DraftExtent]
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


class Refusals:
    """The variables that are not stored: type, reason, and the cell that made it where it is known."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self.entries: dict[str, tuple[str, str, int | None]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def refuse(self, name: str, why: str) -> None:
        """List a variable as not stored, with the reason."""
        self.entries[name] = (type_name(self._values[name]), why, None)

    def why(self, name: str) -> str:
        """Return why a variable was left out; raises KeyError when it was not."""
        return self.entries[name][1]


def required(group: NewGroup | Reusable) -> set[str]:
    """Return the variables that a group refers to by name."""
    return group.stream.required if isinstance(group, NewGroup) else group.requires


def _is_text(buffer: pickle.PickleBuffer) -> bool:
    return isinstance(memoryview(buffer).obj, bytes)


def is_seen(value: Any) -> bool:
    """Return whether a variable is text, bytes or a NaN of which it can be seen that it is one object."""
    if type(value) is float:
        return value != value and id(value) not in library_values()
    if type(value) is bytes:
        return len(value) > 1
    return type(value) is str and len(value) > 1 and not is_interned(value)


def is_atom(value: Any) -> bool:
    """Return whether a variable is a short text or a number."""
    return type(value) in _ATOMS and (type(value) not in (str, bytes) or len(value) < _LARGEST_ATOM)
