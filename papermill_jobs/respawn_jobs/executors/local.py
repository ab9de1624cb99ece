"""Runners as processes beside the service, with a spare that has its imports behind it.

A new attempt goes to the spare, so that its kernel starts within milliseconds, and the next spare warms up
meanwhile. Runners die with this process, however it ends: each asks the system to be killed when the thread
that started it goes, so one thread that lives as long as the executor starts them all.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from respawn_jobs.errors import Unavailable
from respawn_jobs.kernel import runner_environment

logger = logging.getLogger(__name__)

_TERMINATE_SECONDS = 8.0
"""How long runners may take to stop their kernels and record how far they came."""
_SHORT_LIFE_SECONDS = 5.0


class LocalExecutor:
    """Starts runners on this machine."""

    def __init__(self, url: str, *, max_running: int = 4, python: str = sys.executable) -> None:
        """Prepare; the first runner warms up with the first call.

        Args:
            url: Where runners reach the service.
            max_running: How many attempts may run at once.
            python: The interpreter for runners; it must have `respawn_jobs`.
        """
        self._url = url
        self._max_running = max_running
        self._python = python
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._spare: subprocess.Popen[bytes] | None = None
        self._spare_since = 0.0
        self._keeper: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, attempt: str, token: str) -> None:
        """Give the attempt to the warm runner."""
        self._in_keeper(lambda: self._submit(attempt, token))

    def cancel(self, attempt: str) -> None:
        """Ask the attempt's runner to end; it records that before it goes."""
        process = self._running.get(attempt)
        if process is not None:
            _signal(process, signal.SIGTERM)

    def probe(self) -> list[tuple[str, str]]:
        """Return attempts whose runner ended other than by finishing, each once."""
        dead: list[tuple[str, str]] = self._in_keeper(self._collect) or []
        return dead

    def living(self) -> set[str]:
        """Return the attempts whose runner still lives."""
        return {attempt for attempt, process in list(self._running.items()) if process.poll() is None}

    def close(self) -> None:
        """End all runners: asked first, then killed after a few seconds."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            keeper = self._keeper
        if keeper is not None:
            self._calls.put(None)
            keeper.join()

    # Everything below runs in the keeper's thread only.

    def _in_keeper(self, call: Callable[[], Any]) -> Any:
        answer: Future[Any] = Future()
        with self._lock:
            if self._closed:
                raise Unavailable("the local executor is closed")
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name="respawn-executor", daemon=True)
                self._keeper.start()
            self._calls.put((call, answer))
        return answer.result()

    def _keep(self) -> None:
        while (item := self._calls.get()) is not None:
            call, answer = item
            try:
                answer.set_result(call())
            except Exception as error:  # noqa: BLE001  handed to the caller; the keeper must live on
                answer.set_exception(error)
        self._end_all()

    def _warm(self) -> None:
        """Have a spare, unless spares die young: then wait before the next try."""
        if self._spare is not None and self._spare.poll() is None:
            return
        if self._spare is not None and time.monotonic() - self._spare_since < _SHORT_LIFE_SECONDS:
            return
        self._spare = self._start()
        self._spare_since = time.monotonic()

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                [self._python, "-m", "respawn_jobs.warm", str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                env=runner_environment(os.environ),
            )
        except OSError as error:
            raise Unavailable(f"a runner could not be started: {error}") from error

    def _submit(self, attempt: str, token: str) -> None:
        if len(self.living()) >= self._max_running:
            raise Unavailable(f"{self._max_running} runs are executing here already")
        spare, self._spare = self._spare, None
        if spare is None or spare.poll() is not None:
            spare = self._start()
        self._running[attempt] = spare
        order = json.dumps({"url": self._url, "attempt": attempt, "token": token})
        assert spare.stdin is not None  # noqa: S101  opened as a pipe above
        with suppress(BrokenPipeError), spare.stdin as pipe:  # a runner that just died is found by probe
            pipe.write(order.encode() + b"\n")
        self._warm()

    def _collect(self) -> list[tuple[str, str]]:
        self._warm()
        dead = []
        for attempt, process in list(self._running.items()):
            code = process.poll()
            if code is None:
                continue
            del self._running[attempt]
            if code < 0:
                dead.append((attempt, f"the runner was ended by {signal.Signals(-code).name}"))
            elif code > 0:
                dead.append((attempt, f"the runner exited with status {code}"))
        return dead

    def _end_all(self) -> None:
        everyone = [process for process in (*self._running.values(), self._spare) if process is not None]
        for process in everyone:
            _signal(process, signal.SIGTERM)
        give_up = time.monotonic() + _TERMINATE_SECONDS
        for process in everyone:
            try:
                process.wait(max(0.0, give_up - time.monotonic()))
            except subprocess.TimeoutExpired:
                logger.warning("runner %d does not end; killing it", process.pid)
                _signal(process, signal.SIGKILL)
                process.wait()
            if process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal the runner's process group, if it still lives."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
