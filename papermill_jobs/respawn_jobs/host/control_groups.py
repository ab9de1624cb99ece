"""Control groups of Linux (cgroups(7)): the system holds the processes of one kernel to limits.

A group is made where this process's own group lies: with version 1 below it, with version 2 beside it, for
there a group that has processes may not hand its controllers down. What lies around this process's group is
the service manager's, who would lose sight of what goes there: so it must have been delegated, as systemd
marks it. Whoever may not make a group gets none, and watches instead. The pages that a process had before it
entered stay with the group that it came from.
"""

from __future__ import annotations

import errno
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

from respawn_jobs.host.process_tree import started
from respawn_kernels.exchange.messages import GROUP_PREFIX

ROOT = Path("/sys/fs/cgroup")
_PERIOD = 100_000
"""Microseconds over which a share of the processors is given out; the system's own default."""
_REMOVE_SECONDS, _REMOVE_PAUSE = 2.0, 0.02
"""A group whose last process was just killed is busy for a moment."""
Version = Literal["cgroup_v1", "cgroup_v2"]
Controller = Literal["memory", "cpu", "pids"]


class ControlGroup(ABC):
    """One group, from its making to its removal. Every method may raise OSError."""

    version: Version

    def __init__(self, places: Mapping[Controller, Path], own: Mapping[Controller, Path]) -> None:
        """Hold a group that was made.

        Args:
            places: its directory for each controller.
            own: the directory of this process's group for each of them.
        """
        self._places = dict(places)
        self._own = dict(own)

    def add(self, pid: int) -> None:
        """Move a process in, with all of its threads; those that it starts from now on are in as well."""
        self._move(pid, self._places)

    def release(self, pid: int) -> None:
        """Move a process to this process's own group."""
        self._move(pid, self._own)

    def pids(self) -> list[int]:
        """Return the processes in it."""
        place = next(iter(self._places.values()))
        return [int(line) for line in (place / "cgroup.procs").read_text().split()]

    def remove(self) -> bool:
        """Remove it once it is empty; False when it is not empty in time."""
        give_up = time.monotonic() + _REMOVE_SECONDS
        for place in set(self._places.values()):
            while place.exists():
                try:
                    place.rmdir()
                except OSError:
                    if time.monotonic() > give_up:
                        return False
                    time.sleep(_REMOVE_PAUSE)
        return True

    def _place(self, controller: Controller) -> Path:
        if controller not in self._places:
            raise OSError(errno.ENOTSUP, f"the group has no controller {controller!r}")
        return self._places[controller]

    def _move(self, pid: int, places: Mapping[Controller, Path]) -> None:
        for place in {places[controller] for controller in self._places}:
            (place / "cgroup.procs").write_text(str(pid))

    @abstractmethod
    def limit_memory(self, size: int) -> None:
        """Let its processes have so many bytes in memory together; refused while they have more."""

    @abstractmethod
    def limit_processes(self, count: int) -> None:
        """Let it have so many threads; a fork or a thread beyond fails with EAGAIN."""

    @abstractmethod
    def limit_cpus(self, cpus: float) -> None:
        """Let its processes compute on so many processors' worth of time, where it has a say in that."""

    @abstractmethod
    def memory_kills(self) -> int:
        """Return how many of its processes the system has killed because its memory was used up."""

    @abstractmethod
    def memory_peak(self) -> int:
        """Return the most bytes that were counted for it, cached files too; 0 where nothing tells it."""

    def refused_forks(self) -> int:
        """Return how often a process or thread was refused for its limit of them."""
        return _counted(self._places["pids"] / "pids.events", "max")


class _VersionOne(ControlGroup):
    version: Version = "cgroup_v1"

    def limit_memory(self, size: int) -> None:
        place = self._places["memory"]
        names = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]
        files = [place / name for name in names if (place / name).exists()]
        # The limit of memory may never be above that of memory with swap: which is first depends on the way.
        for file in [*files, *files]:
            with suppress(OSError):
                file.write_text(str(size))
        if int(files[0].read_text()) > size:
            raise OSError(f"{files[0]} cannot be set to {size}")

    def limit_processes(self, count: int) -> None:
        (self._places["pids"] / "pids.max").write_text(str(count))

    def limit_cpus(self, cpus: float) -> None:
        place = self._place("cpu")
        (place / "cpu.cfs_period_us").write_text(str(_PERIOD))
        (place / "cpu.cfs_quota_us").write_text(str(max(1000, round(cpus * _PERIOD))))

    def memory_kills(self) -> int:
        return _counted(self._places["memory"] / "memory.oom_control", "oom_kill")

    def memory_peak(self) -> int:
        return int((self._places["memory"] / "memory.max_usage_in_bytes").read_text())


class _VersionTwo(ControlGroup):
    version: Version = "cgroup_v2"

    def limit_memory(self, size: int) -> None:
        place = self._places["memory"]
        used = 0
        with suppress(OSError):
            used = int((place / "memory.current").read_text())
        if used > size:  # the system would kill a process at once, where version 1 refuses
            raise OSError(errno.EBUSY, f"more than {size:,} of memory is in use: {used:,}")
        (place / "memory.max").write_text(str(size))
        with suppress(OSError):  # a system without swap
            (place / "memory.swap.max").write_text("0")

    def limit_processes(self, count: int) -> None:
        (self._places["pids"] / "pids.max").write_text(str(count))

    def limit_cpus(self, cpus: float) -> None:
        (self._place("cpu") / "cpu.max").write_text(f"{max(1000, round(cpus * _PERIOD))} {_PERIOD}")

    def memory_kills(self) -> int:
        return _counted(self._places["memory"] / "memory.events", "oom_kill")

    def memory_peak(self) -> int:
        try:
            return int((self._places["memory"] / "memory.peak").read_text())
        except FileNotFoundError:  # Linux before 5.19
            return 0


def make_group(
    name: str, controllers: Iterable[Controller], *, root: Path = ROOT, own: str | None = None
) -> ControlGroup | None:
    """Make a group, whole or not at all; None where that is not allowed or not possible.

    Args:
        name: what tells it from the others of this process.
        controllers: what is to be limited by it.
        root: where control groups are mounted.
        own: the text of /proc/self/cgroup.
    """
    wanted = list(controllers)
    try:
        lines = (own if own is not None else Path("/proc/self/cgroup").read_text()).splitlines()
        memberships = [line.split(":", 2) for line in lines if line.count(":") >= 2]
    except OSError:
        return None
    if not wanted:
        return None
    return _first_version(name, wanted, root, memberships) or _second_version(name, wanted, root, memberships)


def _first_version(
    name: str, wanted: list[Controller], root: Path, memberships: list[list[str]]
) -> ControlGroup | None:
    mine = {
        controller: root / names / path.lstrip("/")
        for _, names, path in memberships
        for controller in wanted
        if controller in names.split(",")
    }
    if len(mine) < len(wanted):
        return None
    return _made(_VersionOne, {one: mine[one] / _full_name(name) for one in wanted}, mine)


def _second_version(
    name: str, wanted: list[Controller], root: Path, memberships: list[list[str]]
) -> ControlGroup | None:
    path = next((path for number, names, path in memberships if number == "0" and not names), None)
    if path is None or path.strip("/") == "":
        return None  # nothing lies beside the root
    own = root / path.lstrip("/")
    if not _delegated(own.parent):
        return None
    try:
        handed_down = (own.parent / "cgroup.subtree_control").read_text().split()
        missing = [one for one in wanted if one not in handed_down]
        if missing:
            (own.parent / "cgroup.subtree_control").write_text(" ".join(f"+{one}" for one in missing))
    except OSError:
        return None
    place = own.parent / _full_name(name)
    return _made(_VersionTwo, dict.fromkeys(wanted, place), dict.fromkeys(wanted, own))


def _delegated(place: Path) -> bool:
    """Return whether a service manager leaves what lies in a group to us: systemd's Delegate=yes."""
    for name in ("trusted.delegate", "user.delegate"):
        with suppress(OSError):
            return os.getxattr(place, name) == b"1"
    return False


def _made(
    kind: type[ControlGroup], places: dict[Controller, Path], own: dict[Controller, Path]
) -> ControlGroup | None:
    made: list[Path] = []
    try:
        for place in dict.fromkeys(places.values()):
            _sweep(place.parent)
            place.mkdir()
            made.append(place)
    except OSError:
        for place in made:
            with suppress(OSError):
                place.rmdir()
        return None
    return kind(places, own)


def _full_name(name: str) -> str:
    """Return a name by which others see whose group it is, and whether its maker lives."""
    return f"{GROUP_PREFIX}{os.getpid()}-{started(os.getpid()) or 0}-{name}"


def _sweep(parent: Path) -> None:
    """Remove the groups of runners that were killed; their kernels died with them."""
    for place in parent.glob(f"{GROUP_PREFIX}*"):
        with suppress(OSError, ValueError, IndexError):
            pid, began = map(int, place.name.removeprefix(GROUP_PREFIX).split("-")[:2])
            if started(pid) != began:
                place.rmdir()


def _counted(file: Path, name: str) -> int:
    """Return the number behind a name in a file of names and numbers; 0 where it is not there."""
    for line in file.read_text().splitlines():
        word, _, number = line.partition(" ")
        if word == name:
            return int(number)
    return 0
