"""Starts the process that hears runners, watches it, and starts another when it ends.

The listening socket is the service's own and is handed down: runners find it at the same address whichever
process answers, and what they ask between two processes waits in the socket's queue.
"""

from __future__ import annotations

import http.client
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from respawn_hub.runners.reports import receive
from respawn_hub.runners.runner_app import HEALTH
from respawn_hub.startup.listening import tcp_listener
from respawn_jobs.errors import RespawnError, Unavailable
from respawn_jobs.ledger.context.ports import Observer, Unobserved
from respawn_kernels.process_ends import how_it_ended

logger = logging.getLogger(__name__)
_HOST = "127.0.0.1"
_LOOK_SECONDS = 5.0
_ANSWER_SECONDS = 10.0
"""How long a sign of life may take; starting the process takes a few seconds on a busy machine."""
_SILENT_SECONDS = 60.0
"""After this time without a sign of life the process is killed, and another one started."""
_FIRST_SECONDS = 120.0
"""How long a process may take until it gives its first sign of life: the machine may be very busy."""
_STOP_SECONDS = 5.0
_MAX_PAUSE = 5.0
_LONG_LIFE_SECONDS = 60.0


class RunnerServer:
    """The runners' API, in a process of its own."""

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        port: int = 0,
        python: str = sys.executable,
        silent_seconds: float = _SILENT_SECONDS,
        answer_seconds: float = _ANSWER_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the address; nothing is started yet.

        Args:
            environment: for the process, with the settings of the service (`RESPAWN_*`).
            port: on the loopback; 0 for a free one.
            python: the interpreter; it must have `respawn_hub`.
            silent_seconds: for how long the process may give no sign of life before it is replaced.
            answer_seconds: how long one sign of life may take.
            monotonic: a clock of seconds.

        Raises:
            OSError: the port cannot be listened on.
        """
        self._listener = tcp_listener((_HOST, port))
        self._port: int = self._listener.getsockname()[1]
        self.url = f"http://{_HOST}:{self._port}"
        """Where runners on this machine reach the service."""
        self._environment = dict(environment)
        self._python = python
        self._silent_seconds = silent_seconds
        self._answer_seconds = answer_seconds
        self._monotonic = monotonic
        self._heard, self._answered = monotonic(), False
        self._observer: Observer = Unobserved()
        self._wake: Callable[[], None] = lambda: None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._ended: str | None = None
        # The system kills the process when the thread that started it ends, so one thread starts them all.
        self._keeper = threading.Thread(target=self._keep, name="respawn-runner-server", daemon=True)

    def start(self, observer: Observer, wake: Callable[[], None]) -> None:
        """Start the process, and answer runners from soon on.

        Args:
            observer: gets the calls that the process's `Observer` gets.
            wake: lets the loops of the service look.
        """
        self._observer, self._wake = observer, wake
        self._keeper.start()

    def tick(self) -> float:
        """Ask for a sign of life; a loop of the supervisor. Returns the seconds to rest.

        Raises:
            Unavailable: there is none; the process is replaced when that lasts.
            RespawnError: the process ended since the last look, and another one was started.
        """
        try:
            self._ask()
        except (OSError, http.client.HTTPException) as error:
            silent = self._monotonic() - self._heard
            if silent > (self._silent_seconds if self._answered else _FIRST_SECONDS):
                self._kill()
            raise Unavailable(
                f"the process that hears runners has not answered for {silent:.0f} s: {error}"
            ) from error
        self._heard, self._answered = self._monotonic(), True
        ended, self._ended = self._ended, None
        if ended is not None:
            raise RespawnError(f"the process that hears runners {ended}; another one hears them now")
        return _LOOK_SECONDS

    def close(self) -> None:
        """End the process, and give the address back. Doing it twice does no harm."""
        self._stopping.set()
        with self._lock:
            process = self._process
        if process is not None and process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                logger.warning("the process that hears runners does not end; killing it")
                self._kill()
        if self._keeper.is_alive():
            self._keeper.join()
        self._listener.close()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection(_HOST, self._port, timeout=self._answer_seconds)
        try:
            connection.request("GET", HEALTH)
            if connection.getresponse().status != 200:
                raise http.client.HTTPException("it does not say that it is well")
        finally:
            connection.close()

    def _kill(self) -> None:
        with self._lock:
            process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGKILL)

    # In the keeper's thread.

    def _keep(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            began = self._monotonic()
            ended = self._serve()
            if self._stopping.is_set():
                return
            self._ended = ended
            failures = 0 if self._monotonic() - began > _LONG_LIFE_SECONDS else failures + 1
            logger.error("the process that hears runners %s; starting another", ended)
            self._stopping.wait(min(_MAX_PAUSE, 0.05 * 2**failures))

    def _serve(self) -> str:
        """Run one process to its end; return in words how it ended."""
        try:
            process, reports = self._start()
        except OSError as error:
            return f"could not be started ({error})"
        with os.fdopen(reports) as lines, process:
            with self._lock:
                self._process = process
            self._heard, self._answered = self._monotonic(), False
            if self._stopping.is_set() and process.stdin is not None:  # Race: closed while it was started.
                process.stdin.close()
            for line in lines:
                try:
                    receive(line, self._observer, self._wake)
                except Exception:  # whatever one line holds, the process must be watched on
                    logger.exception("what the process that hears runners said is not understood")
        return how_it_ended(process.returncode)

    def _start(self) -> tuple[subprocess.Popen[bytes], int]:
        reading, writing = os.pipe()
        listener = self._listener.fileno()
        try:
            process = subprocess.Popen(
                [self._python, "-m", "respawn_hub.runners.process"]
                + [str(number) for number in (os.getpid(), listener, writing)],
                stdin=subprocess.PIPE,
                # Ctrl-C in a terminal is for the service, which lets runners record how far they came.
                start_new_session=True,
                pass_fds=[listener, writing],
                env=self._environment,
            )
        except OSError:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        return process, reading
