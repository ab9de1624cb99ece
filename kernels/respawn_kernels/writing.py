"""The writer: a child of the held child that puts the state into the spool and ends.

It may hang or crash on what somebody's class does when it is pickled; the held child watches it and still
has the state. They share one page of memory, in which the writer says what it is about.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import struct
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import NoReturn, Protocol
from zlib import crc32

from respawn_kernels.digest import write_whole
from respawn_kernels.held import Place, saving
from respawn_kernels.manifest import Manifest
from respawn_kernels.originals import getppid, monotonic

_PR_SET_PDEATHSIG = 1
_CHECKSUM = struct.Struct("=I")
_HEAD = struct.Struct("=IIdQI")  # what it is about, how often it said so, when, bytes written, length of text
_SLOT = 2048
_TEXT = _CHECKSUM.size + _HEAD.size
_TEXT_BYTES = _SLOT - _TEXT


class Capture(Protocol):
    """Writes the blobs of one state and returns its manifest; bound to namespace, cell and spool."""

    def __call__(self, *, progress: Callable[[str | None], None], leave_out: Mapping[str, str]) -> Manifest:
        """Write.

        Args:
            progress: to be called with each variable's name before it is pickled.
            leave_out: names that must not be touched, with the reason to list them with.
        """


class Phase(IntEnum):
    """What a writer is about."""

    WAITING = 0
    """For another writer to be done with the spool."""
    WRITING = 1
    SAVED = 2
    FAILED = 3


@dataclass(frozen=True)
class Said:
    """What a writer said last."""

    phase: Phase = Phase.WAITING
    count: int = 0
    """How often it has said something."""
    when: float = 0.0
    """By the monotonic clock."""
    written: int = 0
    """Bytes that it wrote."""
    text: str = ""
    """The variable in hand, or why it failed."""


class Page:
    """The shared page, written by one process and read by another at any moment.

    It has two places, written in turn, each with a checksum: one that is just being written, or whose writer
    was killed at it, is told from a whole one, and the other then holds what was said before.
    """

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, 2 * _SLOT)  # shared with forked children
        self._count = 0

    def put(self, phase: Phase, text: str = "", written: int = 0) -> None:
        """Say what the writer is about."""
        data = text.encode(errors="replace")[:_TEXT_BYTES]
        self._count += 1
        said = _HEAD.pack(phase, self._count, monotonic(), written, len(data)) + data
        place = self._count % 2 * _SLOT
        self._map[place : place + _TEXT + len(data)] = _CHECKSUM.pack(crc32(said)) + said

    def read(self) -> Said:
        """Return what the writer said last."""
        while True:
            whole = [said for said in map(self._slot, (0, _SLOT)) if said is not None]
            if whole:
                return max(whole, key=lambda said: said.count)

    def _slot(self, place: int) -> Said | None:
        """Return what a place holds; None when it is just being written."""
        data = self._map[place : place + _SLOT]
        if not any(data[:_TEXT]):
            return Said()
        phase, count, when, written, length = _HEAD.unpack_from(data, _CHECKSUM.size)
        end = _TEXT + length
        if end > _SLOT or _CHECKSUM.unpack_from(data)[0] != crc32(data[_CHECKSUM.size : end]):
            return None
        return Said(Phase(phase), count, when, written, data[_TEXT:end].decode(errors="replace"))


def write(capture: Capture, place: Place, page: Page, leave_out: Mapping[str, str], pause: float) -> NoReturn:
    """Write the state, in a process of its own that ends with this call.

    Args:
        capture: what writes the blobs.
        place: where the checkpoint goes.
        page: where to say how it goes.
        leave_out: names that must not be touched, with reasons.
        pause: how long the kernel was kept waiting, for the manifest.
    """
    try:
        _write(capture, place, page, leave_out, pause)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        page.put(Phase.FAILED, f"the spool cannot be written: {error.strerror or error}{where}")
    except BaseException as error:  # noqa: BLE001  whatever it is, it is told and the process ends
        page.put(Phase.FAILED, f"{type(error).__name__}: {error}")
    finally:
        os._exit(0)


def die_with(parent: int) -> None:
    """Be killed when the parent ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if getppid() != parent:  # Race: it ended before the line above.
        os._exit(1)


def _write(capture: Capture, place: Place, page: Page, leave_out: Mapping[str, str], pause: float) -> None:
    page.put(Phase.WAITING)
    with saving(place.spool):
        blobs = place.spool / "blobs"
        _remove_unfinished(blobs, place.manifest.parent)
        before = set(os.listdir(blobs))  # noqa: PTH208  names alone
        page.put(Phase.WRITING)
        _quieten_libraries()
        try:
            manifest = capture(progress=lambda name: page.put(Phase.WRITING, name or ""), leave_out=leave_out)
            manifest = replace(manifest, seconds=pause, mode="fork")
            write_whole(place.manifest, manifest.to_json().encode(), durable=False)
        except BaseException:
            # The room may be wanted by the cell that runs; no manifest names what was written.
            for name in set(os.listdir(blobs)) - before:  # noqa: PTH208
                with suppress(OSError):
                    (blobs / name).unlink()
            raise
        page.put(Phase.SAVED, written=sum(blob.size for blob in manifest.blobs if blob.digest not in before))


def _remove_unfinished(*directories: Path) -> None:
    """Remove what writers that were killed left half-written; we are the only one that writes now."""
    for directory in directories:
        for path in directory.glob(".incomplete-*"):
            path.unlink(missing_ok=True)


def _quieten_libraries() -> None:
    """Keep libraries from using threads that they had before the fork, and that are not here."""
    arrow = sys.modules.get("pyarrow")
    if arrow is not None:
        with suppress(Exception):
            arrow.set_memory_pool(arrow.system_memory_pool())
    torch = sys.modules.get("torch")
    if torch is not None:
        with suppress(Exception):
            torch.set_num_threads(1)
