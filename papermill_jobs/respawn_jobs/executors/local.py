"""Runners as processes beside the service, which have their imports behind them when an attempt comes.

A runner that has executed an attempt takes the next one: importing takes longer than all that a short
notebook does. One that is idle is kept in any case, so that a kernel starts within milliseconds. Runners die
with this process, however it ends: each asks the system to be killed when the thread that started it goes, so
one thread that lives as long as the executor starts them all.
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
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from respawn_environments.catalog import ROOT, environments_root
from respawn_jobs.errors import Unavailable
from respawn_jobs.executors.base import NEAR_SECONDS
from respawn_jobs.host.private_files import umask_of_jobs
from respawn_jobs.host.process_environment import runner_environment
from respawn_jobs.model.kernels import ForeseenRun, JobPlace, KeptKernel, WantedKernel
from respawn_kernels.counting import how_many
from respawn_kernels.process_ends import how_it_ended

logger = logging.getLogger(__name__)

_TERMINATE_SECONDS = 8.0
"""How long runners may take to stop their kernels and record how far they came."""
_SHORT_LIFE_SECONDS = 5.0
_IDLE_SECONDS = 120.0
"""How long a runner that has nothing to do is kept, beside the one that always is."""
_MAX_ATTEMPTS = 50
"""What one runner executes at most: what its libraries leave behind must not pile up."""


@dataclass(eq=False)
class _Runner:
    """A process, and what it does."""

    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.monotonic)
    attempt: str | None = None
    served: int = 0
    idle_since: float = field(default_factory=time.monotonic)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None


class LocalExecutor:
    """Starts runners on this machine."""

    def __init__(
        self,
        url: str,
        *,
        max_running: int = 4,
        python: str = sys.executable,
        freed: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; the first runner warms up with the first call.

        Args:
            url: Where runners reach the service.
            max_running: How many attempts may run at once.
            python: The interpreter for runners; it must have `respawn_jobs`.
            freed: Called, from any thread, when a place has become free or a runner has died.
        """
        self._url = url
        self.max_running = max_running
        self._python = python
        self._freed = freed
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._running: dict[str, _Runner] = {}
        self._idle: list[_Runner] = []
        self._leaving: list[_Runner] = []
        self._keeping: dict[str, tuple[_Runner, KeptKernel]] = {}
        self._dead: list[tuple[str, str]] = []
        self._keeper: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False

    @property
    def outlives(self) -> bool:
        """Runners end with this process."""
        return False

    def places(self, waiting: Callable[[], Sequence[JobPlace]]) -> Mapping[JobPlace, int] | None:
        """Return None: any attempt may have a place here."""
        return None

    def submit(self, attempt: str, token: str, place: JobPlace | None = None) -> None:
        """Give the attempt to a warm runner.

        Args:
            attempt: the attempt's id.
            token: what the runner proves itself with; never logged.
            place: whose job it executes; all run alike here.
        """
        self._in_keeper(lambda: self._submit(attempt, token))

    @property
    def ahead(self) -> float:
        """Kernels are up within seconds."""
        return NEAR_SECONDS

    def expect(self, runs: Sequence[ForeseenRun] = (), seconds: float = NEAR_SECONDS) -> None:
        """Let idle runners have kernels come up, and have as many runners as attempts are foreseen.

        Args:
            runs: One for each attempt, in their order; runners take turns. Empty: each runner then has a
                kernel of the kind that it used last.
            seconds: Within which time they come.
        """
        with suppress(Unavailable):  # closed: nothing is expected any more
            self._ask(lambda: self._expect([run.kernel for run in runs]))

    def cancel(self, attempt: str) -> None:
        """Kill the attempt's runner; `probe` tells of it."""
        runner = self._running.get(attempt)
        if runner is not None:
            _signal(runner.process, signal.SIGKILL)

    def probe(self) -> list[tuple[str, str]]:
        """Return attempts whose runner ended other than by finishing, each once."""
        dead: list[tuple[str, str]] = self._in_keeper(self._collect) or []
        return dead

    def living(self) -> set[str]:
        """Return the attempts whose runner is at work on them."""
        return {attempt for attempt, runner in list(self._running.items()) if runner.alive}

    def kept(self) -> list[KeptKernel]:
        """Return the kernels of failed attempts that runners keep."""
        return [kernel for runner, kernel in list(self._keeping.values()) if runner.alive]

    def release(self, attempt: str) -> None:
        """Have the kernel of an attempt ended that its runner keeps."""
        kept = self._keeping.get(attempt)
        if kept is not None:
            _dismiss(kept[0])

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

    def _in_keeper(self, call: Callable[[], Any]) -> Any:
        return self._ask(call).result()

    def _ask(self, call: Callable[[], Any]) -> Future[Any]:
        answer: Future[Any] = Future()
        with self._lock:
            if self._closed:
                raise Unavailable("the local executor is closed")
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name="respawn-executor", daemon=True)
                self._keeper.start()
            self._calls.put((call, answer))
        return answer

    # In a thread for each runner.

    def _listen(self, runner: _Runner, reports: int) -> None:
        """Hear what a runner has done, until it ends."""
        with os.fdopen(reports) as lines:
            for line in lines:
                report = json.loads(line)
                with suppress(Unavailable):  # closed: nobody asks any more
                    self._ask(lambda report=report: self._done(runner, report)).result()  # type: ignore[misc]
                self._freed()
        self._freed()

    # Everything below runs in the keeper's thread only.

    def _keep(self) -> None:
        while (item := self._calls.get()) is not None:
            call, answer = item
            try:
                answer.set_result(call())
            except Exception as error:  # noqa: BLE001  handed to the caller; the keeper must live on
                answer.set_exception(error)
        self._end_all()

    def _submit(self, attempt: str, token: str) -> None:
        if len(self.living()) >= self.max_running:
            raise Unavailable(f"{how_many(self.max_running, 'run is', 'runs are')} executing here already")
        self._idle = [runner for runner in self._idle if runner.alive]
        runner = self._idle.pop() if self._idle else self._start()
        runner.attempt = attempt
        self._running[attempt] = runner
        _tell(runner, {"url": self._url, "attempt": attempt, "token": token})
        try:
            self._warm()
        except Unavailable as error:  # this attempt has its runner; the next one tries again
            logger.warning("no runner could be made ready for the next attempt: %s", error.message)

    def _expect(self, kernels: Sequence[WantedKernel]) -> None:
        self._idle = [runner for runner in self._idle if runner.alive]
        free = self.max_running - len(self.living())
        with suppress(Unavailable):  # there are enough already, or this machine bears no more
            while len(self._idle) < min(free, len(kernels)):
                self._idle.insert(0, self._start())
        # The last one is given the next attempt.
        turns = self._idle[::-1][: max(free, 1)]
        for number, runner in enumerate(turns):
            _tell(runner, {"expect": kernels[number :: len(turns)]})

    def _done(self, runner: _Runner, report: dict[str, Any]) -> None:
        """Take note that a runner is through with its attempt."""
        if runner.attempt is None or self._running.pop(runner.attempt, None) is None:
            return
        if (kept := report.get("kept")) is not None:
            self._keeping[runner.attempt] = (runner, KeptKernel(**kept))
            return
        if (error := report["error"]) is not None:
            self._dead.append((runner.attempt, f"the runner gave up: {error}"))
        runner.attempt = None
        runner.served += 1
        runner.idle_since = time.monotonic()
        if runner.served < _MAX_ATTEMPTS:
            self._idle.append(runner)
        else:
            self._leaving.append(runner)
            _dismiss(runner)

    def _collect(self) -> list[tuple[str, str]]:
        for attempt, runner in list(self._running.items()):
            code = runner.process.poll()
            if code is None:
                continue
            del self._running[attempt]
            self._dead.append((attempt, f"the runner {how_it_ended(code)}"))
        self._keeping = {name: kept for name, kept in self._keeping.items() if kept[0].alive}
        self._retire()
        self._warm()
        dead, self._dead = self._dead, []
        return dead

    def _retire(self) -> None:
        """Let runners go that have had nothing to do for long; the last one stays."""
        now = time.monotonic()
        for runner in self._idle[:-1]:  # the last one was at work last: it is the warmest
            if now - runner.idle_since > _IDLE_SECONDS:
                self._idle.remove(runner)
                self._leaving.append(runner)
                _dismiss(runner)
        self._leaving = [runner for runner in self._leaving if runner.alive]

    def _warm(self) -> None:
        """Have an idle runner, unless they die young: then wait before the next try."""
        if any(_died_young(runner) for runner in self._idle):
            return
        self._idle = [runner for runner in self._idle if runner.alive]
        if not self._idle:
            self._idle.append(self._start())

    def _start(self) -> _Runner:
        process, reading = _process(self._python)
        runner = _Runner(process)
        listener = threading.Thread(
            target=self._listen, args=(runner, reading), name=f"respawn-runner-{process.pid}", daemon=True
        )
        try:
            listener.start()
        except RuntimeError as error:  # no more threads
            os.close(reading)
            process.kill()
            process.wait()
            raise Unavailable(f"a runner could not be started: {error}") from error
        return runner

    def _end_all(self) -> None:
        keeping = [runner for runner, _ in self._keeping.values()]
        everyone = [*self._running.values(), *self._idle, *self._leaving, *keeping]
        for runner in everyone:
            _dismiss(runner)
            _signal(runner.process, signal.SIGTERM)
        give_up = time.monotonic() + _TERMINATE_SECONDS
        for runner in everyone:
            try:
                runner.process.wait(max(0.0, give_up - time.monotonic()))
            except subprocess.TimeoutExpired:
                logger.warning("runner %d does not end; killing it", runner.process.pid)
                _signal(runner.process, signal.SIGKILL)
                runner.process.wait()


def _process(python: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start a runner's process, and return it with the end of a pipe that its reports come from."""
    try:
        reading, writing = os.pipe()
    except OSError as error:
        raise Unavailable(f"a runner could not be started: {error}") from error
    try:
        process = subprocess.Popen(
            [python, "-m", "respawn_jobs.runner.worker", str(os.getpid()), str(writing)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[writing],
            umask=umask_of_jobs(),
            # Resolved here: where environments lie by default, the service's own variables say.
            env={**runner_environment(os.environ), ROOT: str(environments_root(os.environ))},
        )
    except OSError as error:
        os.close(reading)
        raise Unavailable(f"a runner could not be started: {error}") from error
    finally:
        os.close(writing)
    return process, reading


def _tell(runner: _Runner, order: dict[str, Any]) -> None:
    assert runner.process.stdin is not None  # noqa: S101  opened as a pipe by _start
    with suppress(BrokenPipeError):  # a runner that just died is found by probe
        runner.process.stdin.write(json.dumps(order).encode() + b"\n")
        runner.process.stdin.flush()


def _died_young(runner: _Runner) -> bool:
    young = time.monotonic() - runner.started < _SHORT_LIFE_SECONDS
    return young and runner.served == 0 and not runner.alive


def _dismiss(runner: _Runner) -> None:
    """Let a runner end after what it is doing."""
    if runner.process.stdin is not None:
        with suppress(OSError):
            runner.process.stdin.close()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal the runner's process group, if it still lives."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
