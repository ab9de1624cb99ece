"""What a process and those that it started use of the machine, read from /proc: none of them is asked.

Linux alone tells this of other processes. A process that has ended counts on: its parent has its CPU time and
its bytes once it has waited for it. All figures are read parents first, so that nothing is counted twice.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

CAN_MEASURE = sys.platform == "linux"
Measure = Literal["pss", "rss"]
"""The proportional set size shares out what several processes map; the resident set size does not."""
_TICK = os.sysconf("SC_CLK_TCK") if CAN_MEASURE else 100
PAGE = os.sysconf("SC_PAGE_SIZE") if CAN_MEASURE else 4096
"""Bytes."""
_READ = 1 << 16
_RESET_PEAK = b"5"
"""Written to `clear_refs`: the peak of the resident set starts again at what is resident now. See proc(5)."""
_GONE = (OSError, ValueError, IndexError)
"""What reading raises of a process that ends meanwhile, or that is none of ours."""


@dataclass(frozen=True)
class ProcessUsage:
    """What processes have used since each of them began."""

    cpu_seconds: float
    """User and system, also of the children that they have waited for."""
    read_bytes: int
    written_bytes: int
    """What they asked of files and pipes by read(2), write(2) and their like; sockets do not count."""
    stored_bytes: int
    """What they have caused to be written to disks."""
    pids: tuple[int, ...]


@dataclass(frozen=True)
class Memory:
    """What processes have in memory."""

    total: int
    measure: Measure
    private: int = 0
    """What no other process maps; 0 where only the resident set size can be read."""


@dataclass(frozen=True)
class _Stat:
    session: int
    started: int
    cpu_seconds: float


def started(pid: int) -> int | None:
    """Return when a process began, in ticks since the machine did; None when it is gone."""
    found = _stat(pid)
    return found.started if found is not None else None


def family(pid: int, adopter: int) -> list[int]:
    """Return a process with all below it, parents first.

    Args:
        pid: the process; it leads a session of its own.
        adopter: the process that gets the orphans. Those of the session of `pid` belong to the family, as a
            program does that a shell of a cell has left in the background.
    """
    orphans = [child for child in children_of(adopter) if child != pid and _session(child) == pid]
    return list(_below([pid, *orphans]))


def with_descendants(pids: Iterable[int]) -> list[int]:
    """Return processes with all below them, parents first."""
    return list(_below(list(pids)))


def _below(waiting: list[int]) -> Iterator[int]:
    seen: set[int] = set()
    for pid in waiting:  # grows meanwhile
        if pid not in seen:
            seen.add(pid)
            yield pid
            waiting += children_of(pid)


def name_of(pid: int) -> str:
    """Return the name of a process, of up to 15 characters; empty when it is gone."""
    try:
        return _read(f"/proc/{pid}/comm").decode(errors="replace").rstrip("\n")
    except _GONE:
        return ""


def children_of(pid: int) -> list[int]:
    """Return the processes whose parent a process is, zombies too."""
    found: list[int] = []
    with suppress(OSError):
        for task in os.scandir(f"/proc/{pid}/task"):
            with suppress(OSError):  # the thread ended
                found += map(int, _read(f"{task.path}/children").split())
    return found


def usage(pids: Sequence[int]) -> ProcessUsage:
    """Return what processes have used; those that are gone add nothing."""
    cpu, read, written, stored = 0.0, 0, 0, 0
    there = []
    for pid in pids:
        found = _stat(pid)
        if found is None:
            continue
        there.append(pid)
        cpu += found.cpu_seconds
        with suppress(*_GONE):  # a program with rights of its own hides its bytes
            lines = _read(f"/proc/{pid}/io").split()
            read, written = read + int(lines[1]), written + int(lines[3])
            stored += int(lines[11])
    return ProcessUsage(cpu, read, written, stored, tuple(there))


def memory(pid: int) -> Memory | None:
    """Return what one process has in memory; None when it is gone. It takes a millisecond for 100 MiB."""
    try:
        lines = _read(f"/proc/{pid}/smaps_rollup").splitlines()[1:]
        sizes = {name: int(rest.split()[0]) << 10 for name, rest in (line.split(b":") for line in lines)}
        return Memory(sizes[b"Pss"], "pss", sizes[b"Private_Clean"] + sizes[b"Private_Dirty"])
    except (*_GONE, KeyError):
        resident = resident_bytes(pid)
        return Memory(resident, "rss") if resident else None  # a zombie has none


def resident_bytes(pid: int) -> int | None:
    """Return the resident set size of one process; None when it is gone."""
    try:
        return int(_read(f"/proc/{pid}/statm").split()[1]) * PAGE
    except _GONE:
        return None


def minor_faults(pid: int) -> int:
    """Return how often one process got a page, anew or as a copy, without a read from disk; 0 when gone."""
    try:
        return int(_read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[7])
    except _GONE:
        return 0


def peak_bytes(pid: int) -> int | None:
    """Return the largest resident set size of one process since it began, or since `reset_peak`."""
    try:
        status = _read(f"/proc/{pid}/status")
        return int(status.split(b"VmHWM:")[1].split()[0]) << 10
    except _GONE:
        return None


def reset_peak(pid: int) -> bool:
    """Let the peak of one process start again at what it has now; False where that is not allowed."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_bytes(_RESET_PEAK)
    except OSError:
        return False
    return True


def _session(pid: int) -> int | None:
    found = _stat(pid)
    return found.session if found is not None else None


def _stat(pid: int) -> _Stat | None:
    try:
        # The name comes in parentheses and may hold any character, parentheses too.
        fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
        own, waited = sum(map(int, fields[11:13])) / _TICK, sum(map(int, fields[13:15])) / _TICK
        with suppress(OSError):  # a zombie has no clock any more
            own = time.clock_gettime(_cpu_clock(pid))
        return _Stat(int(fields[3]), int(fields[19]), own + waited)
    except _GONE:
        return None


def _read(path: str) -> bytes:
    """Return a file of /proc, in half the time that Python's files take."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = os.read(descriptor, _READ)
        while found and (more := os.read(descriptor, _READ)):
            found += more
        return found
    finally:
        os.close(descriptor)


def _cpu_clock(pid: int) -> int:
    """Return the clock that counts the CPU time of a process to the nanosecond: clock_getcpuclockid(3)."""
    return (~pid << 3) | 2
