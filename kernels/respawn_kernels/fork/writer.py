"""The writer: a child of the held child that puts the state into the spool and ends.

It may hang or crash on what somebody's class does when it is pickled; the held child watches it and still
has the state. They share one page of memory, in which the writer reports its progress.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import NoReturn, Protocol
from zlib import crc32

from respawn_kernels.checkpoint.manifest import Manifest
from respawn_kernels.digest import write_whole
from respawn_kernels.exchange.messages import HeldChildFiles, saving
from respawn_kernels.originals import monotonic

_CHECKSUM = struct.Struct("=I")
_HEAD = struct.Struct("=IIdQI")  # phase, number of the report, when, bytes written, length of the text
_SLOT = 2048
_TEXT = _CHECKSUM.size + _HEAD.size
_TEXT_BYTES = _SLOT - _TEXT
_LOOKS = 100
"""How often a page is read until no place is just being written; each takes microseconds."""


class Capture(Protocol):
    """Writes the blobs of one state and returns its manifest; bound to namespace, cell and spool."""

    def __call__(self, *, progress: Callable[[str | None], None], leave_out: Mapping[str, str]) -> Manifest:
        """Write.

        Args:
            progress: to be called with each variable's name before it is pickled.
            leave_out: names that must not be touched, with the reason to list them with.
        """


class Phase(IntEnum):
    """What a writer is doing."""

    WAITING = 0
    """Waiting for another writer to be done with the spool."""
    WRITING = 1
    SAVED = 2
    FAILED = 3


@dataclass(frozen=True)
class WriterReport:
    """A writer's latest report."""

    phase: Phase = Phase.WAITING
    count: int = 0
    """How many reports there were, this one included."""
    when: float = 0.0
    """Seconds of the monotonic clock, which parent and child have in common."""
    written: int = 0
    """Bytes that it wrote."""
    text: str = ""
    """The variable in hand, or why it failed."""


class Page:
    """The shared page, written by one process and read by another at any moment, without a lock.

    It has two places, written in turn, each with a checksum. A place that is just being written, or whose
    writer was killed meanwhile, fails its checksum; the other one then holds the report before.
    """

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, 2 * _SLOT)  # shared with forked children
        self._count = 0

    def put(self, phase: Phase, text: str = "", written: int = 0) -> None:
        """Report what the writer is doing.

        Args:
            phase: what it is doing.
            text: the variable in hand, or why it failed; cut to about 2,000 bytes.
            written: bytes that it wrote, once it has saved.
        """
        data = text.encode(errors="replace")[:_TEXT_BYTES]
        self._count += 1
        report = _HEAD.pack(phase, self._count, monotonic(), written, len(data)) + data
        place = self._count % 2 * _SLOT
        self._map[place : place + _TEXT + len(data)] = _CHECKSUM.pack(crc32(report)) + report

    def read(self) -> WriterReport:
        """Return the writer's latest report."""
        while True:
            for _ in range(_LOOKS):
                found = [self._slot(0), self._slot(_SLOT)]
                if None not in found:
                    break
            # Race: while one place is written, the other may have been since it was read. The place of a
            # writer that was killed stays half of a report.
            whole = [report for report in found if report is not None]
            if whole:
                return max(whole, key=lambda report: report.count)

    def _slot(self, place: int) -> WriterReport | None:
        """Return what a place holds; None when it is just being written."""
        data = self._map[place : place + _SLOT]
        if not any(data[:_TEXT]):
            return WriterReport()
        phase, count, when, written, length = _HEAD.unpack_from(data, _CHECKSUM.size)
        end = _TEXT + length
        if end > _SLOT or _CHECKSUM.unpack_from(data)[0] != crc32(data[_CHECKSUM.size : end]):
            return None
        return WriterReport(Phase(phase), count, when, written, data[_TEXT:end].decode(errors="replace"))


def write(
    capture: Capture, place: HeldChildFiles, page: Page, leave_out: Mapping[str, str], pause: float
) -> NoReturn:
    """Write the state, in a process of its own that ends with this call.

    Args:
        capture: writes the blobs and returns the manifest.
        place: the files of this boundary, with the spool that the checkpoint goes to.
        page: where to report progress, the end or a failure.
        leave_out: names that must not be touched, with the reasons to list them with.
        pause: seconds that the kernel was kept waiting, for the manifest.
    """
    try:
        _write(capture, place, page, leave_out, pause)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        page.put(Phase.FAILED, f"the spool cannot be written: {error.strerror or error}{where}")
    except BaseException as error:  # noqa: BLE001  whatever it is, it is reported and the process ends
        page.put(Phase.FAILED, f"{type(error).__name__}: {error}")
    finally:
        os._exit(0)


def _write(
    capture: Capture, place: HeldChildFiles, page: Page, leave_out: Mapping[str, str], pause: float
) -> None:
    page.put(Phase.WAITING)
    with saving(place.spool):
        blobs = place.spool / "blobs"
        _remove_unfinished(blobs, place.manifest.parent)
        before = set(os.listdir(blobs))  # noqa: PTH208  names alone
        page.put(Phase.WRITING)
        _quieten_libraries()
        # Blobs first, the manifest last and by a rename: a manifest that can be seen names whole blobs.
        try:
            manifest = capture(progress=lambda name: page.put(Phase.WRITING, name or ""), leave_out=leave_out)
            manifest = replace(manifest, seconds=pause, mode="fork")
            write_whole(place.manifest, manifest.to_json().encode(), durable=False)
        except BaseException:
            # The cell that runs may need the room on the disk; no manifest names what was written.
            for name in set(os.listdir(blobs)) - before:  # noqa: PTH208
                with suppress(OSError):
                    (blobs / name).unlink()
            raise
        page.put(Phase.SAVED, written=sum(blob.size for blob in manifest.blobs if blob.digest not in before))


def _remove_unfinished(*directories: Path) -> None:
    """Remove what killed writers left half-written; with the spool's lock nobody else writes now."""
    for directory in directories:
        for path in directory.glob(".incomplete-*"):
            path.unlink(missing_ok=True)


def _quieten_libraries() -> None:
    """Keep libraries from waiting for threads that they had before the fork: a forked child has none."""
    arrow = sys.modules.get("pyarrow")
    if arrow is not None:
        with suppress(Exception):
            arrow.set_memory_pool(arrow.system_memory_pool())
    torch = sys.modules.get("torch")
    if torch is not None:
        with suppress(Exception):
            torch.set_num_threads(1)
