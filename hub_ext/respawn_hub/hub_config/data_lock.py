"""One service for each data directory, and how the next one takes over from one whose hub is gone.

The lock is an flock on `service.lock`, which the system releases when the process ends, however it ends. The
file says who holds it: an empty one that its last holder stopped in order.

A hub that was killed leaves its service behind, with a token that no hub accepts. The service that the next
hub starts asks it to end (SIGTERM: its runs are requeued), and kills it when it does not. A service whose hub
lives is never asked to: two hubs with one directory would otherwise end each other's service for ever. Nor
is a replica that no hub started.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from respawn_jobs.errors import Conflict

logger = logging.getLogger(__name__)
FILE = "service.lock"
_LOOK_SECONDS = 0.1
_TIME_LIMIT = 5.0
"""Seconds in which a holder that nobody may end can end by itself: it may be stopping."""
_ASK_SECONDS = 1.0
"""Seconds between two requests to end: the second one says that nothing is to be waited for."""
_ENDING_SECONDS = 15.0
"""Seconds after which a holder that was asked is killed. Runners take up to 8 to store what they have."""
_MAX_BYTES = 4096


@dataclass(frozen=True)
class Holder:
    """A service that holds a data directory."""

    pid: int
    host: str
    port: int
    replica: str
    hub: int | None = None
    """The process of the hub that started it; None for a replica that no hub started."""

    @classmethod
    def this_process(cls, port: int, replica: str, hub: int | None) -> Holder:
        """Return this process as the holder.

        Args:
            port: TCP port that the service listens on.
            replica: id of this replica.
            hub: process id of the hub that started the service; None for a replica that no hub started.
        """
        return cls(os.getpid(), socket.gethostname(), port, replica, hub)


class DataLock:
    """The lock of one data directory, for as long as this process lives."""

    def __init__(self, data: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._path = data / FILE
        self._monotonic = monotonic
        self._file: int | None = None
        self._before = b""

    def take(self, me: Holder) -> Holder | None:
        """Hold the directory, after whoever holds it and must not.

        Returns:
            The holder before, when it was killed or its machine went away; None when it stopped in order.

        Raises:
            Conflict: another service holds the directory, and goes on holding it.
        """
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with ExitStack() as closing:
            closing.callback(os.close, file)
            _Taking(file, self._path.parent, me, self._monotonic).run()
            self._before = os.pread(file, _MAX_BYTES, 0)
            before = _read(file)
            _write(file, json.dumps(asdict(me)).encode())
            closing.pop_all()
        self._file = file
        return before

    def begun_nothing(self) -> None:
        """Restore the file's content from before: this process ends before it has used the directory."""
        if self._file is not None:
            _write(self._file, self._before)

    def stopped_in_order(self) -> None:
        """Note that everything was requeued; the lock itself is held until the process ends."""
        if self._file is not None:
            _write(self._file, b"")

    def release(self) -> None:
        """Let go before the process ends; nothing may use the directory any more."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class _Taking:
    """The way to a lock that somebody may hold."""

    def __init__(self, file: int, data: Path, me: Holder, monotonic: Callable[[], float]) -> None:
        self._file = file
        self._data = data
        self._me = me
        self._monotonic = monotonic
        self._began = monotonic()
        self._asked = 0.0

    def run(self) -> None:
        """Return once the lock is held. Raises `Conflict`."""
        while not _lock(self._file, self._data):
            waited = self._monotonic() - self._began
            holder = _read(self._file)
            if holder is not None and self._left_behind(holder):
                self._end(holder, waited)
            elif waited > (_TIME_LIMIT if holder else _ENDING_SECONDS):
                raise self._in_use(holder)
            time.sleep(_LOOK_SECONDS)

    def _left_behind(self, holder: Holder) -> bool:
        """Return whether the hub that started a holder is gone, or has started this service in its place."""
        if self._me.hub is None or holder.hub is None or holder.host != self._me.host:
            return False
        return (holder.hub == self._me.hub or not _lives(holder.hub)) and _is_service(holder.pid)

    def _end(self, holder: Holder, waited: float) -> None:
        if waited > _ENDING_SECONDS:
            logger.warning("the service left behind (process %d) does not end; killing it", holder.pid)
            number = signal.SIGKILL
        elif waited >= self._asked:
            if not self._asked:
                logger.warning(
                    "%s is held by a service (process %d) whose hub is gone: it is asked to end",
                    self._data,
                    holder.pid,
                )
            number = signal.SIGTERM
        else:
            return
        self._asked = waited + _ASK_SECONDS
        with suppress(ProcessLookupError):
            os.kill(holder.pid, number)

    def _in_use(self, holder: Holder | None) -> Conflict:
        if holder is None:
            who, remedy = "another process", "Stop it"
        else:
            who = f"the service on {holder.host}, process {holder.pid}, port {holder.port}"
            started = holder.hub is not None
            who += f", which the hub of process {holder.hub} started" if started else ""
            remedy = "Stop that hub" if started else "Stop that service"
        return Conflict(
            f"the data directory {self._data} is in use by {who}. {remedy}, or give this service a "
            "directory of its own: `respawn_hub.configure(c, data=…)`, or RESPAWN_DATA for a replica",
            directory=str(self._data),
        )


def holder_of(data: Path) -> Holder | None:
    """Return the service that holds a directory now; None when none does."""
    try:
        file = os.open(data / FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(file)
    except OSError:  # a file system without locks
        return None
    finally:
        os.close(file)
    return None


def without_hub(holder: Holder) -> bool:
    """Return whether a holder was started by a hub of this machine that is gone."""
    return holder.hub is not None and holder.host == socket.gethostname() and not _lives(holder.hub)


def _lock(file: int, data: Path) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise
        logger.warning("%s is on a file system without locks: see that one service only uses it", data)
    return True


def _read(file: int) -> Holder | None:
    """Return what the file says; None when it is empty, or just being written."""
    try:
        return Holder(**json.loads(os.pread(file, _MAX_BYTES, 0)))
    except (ValueError, TypeError):
        return None


def _write(file: int, text: bytes) -> None:
    os.ftruncate(file, 0)
    os.pwrite(file, text, 0)


def _lives(pid: int) -> bool:
    """Return whether a process runs; one that has ended and that nobody asked about does not."""
    if not psutil.pid_exists(pid):
        return False
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _is_service(pid: int) -> bool:
    """Return whether a process is a service of Respawn: the number of one that ended may be a stranger's."""
    try:
        return any("respawn_hub" in word for word in psutil.Process(pid).cmdline())
    except psutil.Error:
        return False
