"""Processes as /proc shows them: quick to ask, and never remembered from an earlier question."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil

from respawn_kernels.exchange.messages import process_name


@dataclass(frozen=True)
class Seen:
    """A process at the moment it was looked at."""

    pid: int
    name: str
    state: str
    parent: int

    @property
    def runs(self) -> bool:
        return self.state not in "ZX"


def look(pid: int) -> Seen | None:
    """Return a process, or None when there is none."""
    try:
        head, _, tail = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    except OSError:
        return None
    fields = tail.split()
    return Seen(pid, head.partition("(")[2], fields[0], int(fields[1]))


def command_of(process: psutil.Process) -> list[str]:
    """Return the words of a process's command, none for one that has ended meanwhile."""
    try:
        return process.cmdline()
    except psutil.Error:  # a zombie among them
        return []


def runs(pid: int) -> bool:
    """Return whether a process runs: it is there, and no zombie."""
    seen = look(pid)
    return seen is not None and seen.runs


def held_and_writers(spool: Path) -> tuple[list[int], list[int]]:
    """Return the held children and the writers of a spool that run."""
    name = process_name(spool)
    every = [look(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit()]
    family = [seen for seen in every if seen is not None and seen.name == name and seen.runs]
    pids = {seen.pid for seen in family}
    writers = [seen.pid for seen in family if seen.parent in pids]
    return sorted(pids.difference(writers)), writers
