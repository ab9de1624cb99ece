"""Loading what is left of a stream when some of its variables will not load here.

A stream is one pickle per variable, all with one memo. When a variable fails (its library is missing, its
constructor raises), later ones may still load, unless they refer to an object that only the failed one would
have made. The opcodes show it: each pickle's own memo places, and the places it refers to (`pickletools`).
This is slow, in pure Python, and only runs after a failure.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import Any

from respawn_kernels.checkpoint.manifest import VariableFrame
from respawn_kernels.pickling.namespace_pickler import reason
from respawn_kernels.pickling.references import References


class _Unpickler(pickle._Unpickler):
    """The unpickler in pure Python, with a memo that can be set."""

    memo: dict[int, Any]

    def __init__(self, file: io.BytesIO, references: References, buffers: list[Any]) -> None:
        super().__init__(file, buffers=buffers)
        self._references = references

    def persistent_load(self, pid: str) -> Any:
        """Return what a reference in the stream stands for."""
        return self._references.answer(pid)

    def first(self) -> dict[int, Any]:
        """Return the memo that a stream begins with."""
        self.load()
        return dict(self.memo)


def salvage(
    stream: memoryview, frames: list[VariableFrame], buffers: list[Any], namespace: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Load every frame that can be loaded.

    Args:
        stream: all bytes of a group's stream.
        frames: the variables in it, in their order.
        buffers: the buffers of the whole group; each frame says which are its own.
        namespace: the live namespace.

    Returns:
        The values by name, and the reason for each name that was lost.
    """
    values: dict[str, Any] = {}
    lost: dict[str, str] = {}
    lost_places: dict[int, str] = {}
    references = References(namespace)
    start = frames[0].start if frames else 0
    memo = _Unpickler(io.BytesIO(bytes(stream[:start])), references, []).first()
    for frame in frames:
        data = bytes(stream[frame.start : frame.end])
        made, used = _memo_places(data, len(memo))
        if blocker := next((lost_places[place] for place in used if place in lost_places), None):
            lost[frame.name] = f"shares an object with {blocker}, which could not be loaded"
        else:
            # The unpickler in C loses a memo that is set; the one in pure Python keeps it.
            unpickler = _Unpickler(io.BytesIO(data), references, buffers[slice(*frame.buffers)])
            unpickler.memo = dict(memo)
            try:
                values[frame.name] = unpickler.load()
                memo = unpickler.memo
            except Exception as error:  # noqa: BLE001  a constructor of anybody's may raise anything
                lost[frame.name] = reason(error)
        if frame.name in lost:
            lost_places |= dict.fromkeys(made, frame.name)
            # MEMOIZE gives out places by counting (PEP 3154), so those of a lost variable must be filled too.
            memo |= dict.fromkeys(made)
    return values, lost


def _memo_places(data: bytes, taken: int) -> tuple[range, set[int]]:
    """Return the memo places that a pickle fills when `taken` are taken, and those it refers to."""
    made, used = 0, set()
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name == "MEMOIZE":
            made += 1
        elif opcode.name in ("BINGET", "LONG_BINGET", "GET"):
            used.add(int(argument or 0))
    return range(taken, taken + made), used
