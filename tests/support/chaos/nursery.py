"""Runners by fork: a process without threads that has its imports behind it, and the executor beside it.

The nursery ends when its replica does, once its runners have; so a replica that is killed leaves runners
behind that go on, while one whose whole process group is killed, as by a machine that goes away, leaves none.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from support.executors import NoPlaces

_END_SECONDS = 3.0


class NurseryExecutor(NoPlaces):
    """An `Executor`. Make it before the process has threads: it forks."""

    def __init__(self, play: Callable[[str, str], int]) -> None:
        """Start the nursery.

        Args:
            play: plays the attempt with this id and token, in a process of its own; returns its exit status.
        """
        orders, self._orders = os.pipe()
        self._reports, reports = os.pipe()
        if (pid := os.fork()) == 0:
            os.close(self._orders)
            os.close(self._reports)
            _leave(_tend, orders, reports, play)
        self._pid = pid
        os.close(orders)
        os.close(reports)
        os.set_blocking(self._reports, False)
        self._lock = threading.Lock()
        self._living: set[str] = set()
        self._ended: list[tuple[str, str]] = []
        self._rest = b""
        self._closed = False

    def submit(self, attempt: str, token: str, place: Any) -> None:
        """Order a runner."""
        with self._lock:
            self._living.add(attempt)
            self._say(attempt=attempt, token=token)

    def cancel(self, attempt: str) -> None:
        """Kill a runner."""
        with self._lock:
            self._say(kill=attempt)

    def probe(self) -> list[tuple[str, str]]:
        """Return the attempts whose runner died, each once."""
        with self._lock:
            self._listen()
            ended, self._ended = self._ended, []
        return ended

    def living(self) -> set[str]:
        """Return the attempts whose runner lives."""
        with self._lock:
            self._listen()
            return set(self._living)

    def close(self) -> None:
        """End all runners: asked first, then killed."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._say(end=True)
            os.close(self._orders)
        os.waitpid(self._pid, 0)

    def _say(self, **order: Any) -> None:
        with suppress(OSError):  # a nursery that died has no runners: their leases tell
            os.write(self._orders, json.dumps(order).encode() + b"\n")

    def _listen(self) -> None:
        while True:
            try:
                data = os.read(self._reports, 1 << 16)
            except BlockingIOError:
                return
            if not data:
                return
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                attempt, code = json.loads(line)
                self._living.discard(attempt)
                if code != 0:
                    self._ended.append((attempt, f"the runner ended with {code}"))


def _leave(work: Callable[..., int], *arguments: Any) -> None:
    """Do a forked child's work, and end it without what its parent would do at its end."""
    code = 1
    try:
        code = work(*arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _tend(orders: int, reports: int, play: Callable[[str, str], int]) -> int:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()  # children share this memory as long as nobody writes to it
    gc.disable()
    children: dict[int, str] = {}
    rest, ending_since = b"", None
    while True:
        if select.select([orders], [], [], 0.05 if children else None)[0]:
            data = os.read(orders, 1 << 16)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                ending_since = _obey(json.loads(line), children, play) or ending_since
        _reap(children, reports)
    while children:  # the replica is gone
        if ending_since is not None and time.monotonic() > ending_since + _END_SECONDS:
            for pid in children:
                os.kill(pid, signal.SIGKILL)
        signal.sigtimedwait([], 0.05)
        _reap(children, reports)
    return 0


def _obey(order: dict[str, Any], children: dict[int, str], play: Callable[[str, str], int]) -> float | None:
    """Start a runner or end some; return the time when all were asked to end."""
    if "token" in order:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            _leave(play, order["attempt"], order["token"])
        children[pid] = order["attempt"]
        return None
    for pid, attempt in children.items():
        if "end" in order:
            os.kill(pid, signal.SIGTERM)
        elif order["kill"] == attempt:
            os.kill(pid, signal.SIGKILL)
    return time.monotonic() if "end" in order else None


def _reap(children: dict[int, str], reports: int) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        report = json.dumps([children.pop(pid), os.waitstatus_to_exitcode(status)])
        with suppress(BrokenPipeError):  # nobody listens any more
            os.write(reports, report.encode() + b"\n")
