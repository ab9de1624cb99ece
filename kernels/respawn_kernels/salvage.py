"""Loading what is left of a stream when some of its variables will not load here.

A stream is one pickle per variable, all with one memo. When a variable fails (its library is missing, its
constructor raises), later ones may still be sound, unless they refer to an object that only the failed one
would have made. The opcodes tell: each pickle's own memo places, and the places it refers to. This is slow,
in pure Python, and only runs after a failure.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import Any

from respawn_kernels.manifest import Frame
from respawn_kernels.pickling import References, reason


class _Unpickler(pickle._Unpickler):
    """The unpickler in pure Python, with a memo that can be given to it."""

    memo: dict[int, Any]

    def __init__(self, file: io.BytesIO, references: References, buffers: list[Any]) -> None:
        super().__init__(file, buffers=buffers)
        self._references = references

    def persistent_load(self, pid: str) -> Any:
        """Answer what a stream asks for."""
        return self._references.answer(pid)

    def first(self) -> dict[int, Any]:
        """Return the memo that a stream begins with."""
        self.load()
        return dict(self.memo)


def salvage(
    stream: memoryview, frames: list[Frame], buffers: list[Any], namespace: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Load every frame that can be loaded.

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
            # The C unpickler loses a memo that is given to it; the pure Python one keeps it.
            unpickler = _Unpickler(io.BytesIO(data), references, buffers[slice(*frame.buffers)])
            unpickler.memo = dict(memo)
            try:
                values[frame.name] = unpickler.load()
                memo = unpickler.memo
            except Exception as error:  # noqa: BLE001  a constructor of anybody's may raise anything
                lost[frame.name] = reason(error)
        if frame.name in lost:
            lost_places |= dict.fromkeys(made, frame.name)
            # Places are given out by counting, so a lost one must still be taken.
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
