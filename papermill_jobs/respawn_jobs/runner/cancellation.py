"""Why an attempt must stop before its notebook ends, and the heartbeat that learns of it."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from respawn_jobs.api.runner_protocol import PREEMPTED, TERMINATED, RunnerPort
from respawn_jobs.clock import lease_clock
from respawn_jobs.errors import Fenced
from respawn_kernels.counting import how_many

_MAX_SECONDS_BETWEEN_BEATS = 2.0


@dataclass(frozen=True)
class Stop:
    """A reason to stop, and what the attempt then ends as."""

    state: Literal["cancelled", "timed_out", "lost"]
    name: str
    value: str
    fenced: bool = False
    """The attempt is no longer ours: nothing may be committed, and nobody waits for the kernel."""


class Stopper:
    """Carries the first reason to stop from any thread to the event loop that executes cells."""

    @property
    def fenced(self) -> bool:
        """Whether the attempt is no longer ours, so that nothing more may be sent."""
        return self.reason is not None and self.reason.fenced

    def __init__(self) -> None:
        self.reason: Stop | None = None
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event: asyncio.Event | None = None

    def attach(self) -> None:
        """Belong to the running event loop."""
        with self._lock:
            self._loop = asyncio.get_running_loop()
            self._event = asyncio.Event()
            if self.reason is not None:
                self._event.set()

    def request(self, reason: Stop) -> None:
        """Ask to stop; a later reason does not replace the first, unless it says that we are fenced."""
        with self._lock:
            if self.reason is None or reason.fenced:
                self.reason = reason
            loop, event = self._loop, self._event
        if loop is not None and event is not None and not loop.is_closed():
            loop.call_soon_threadsafe(event.set)

    async def wait(self) -> None:
        """Return once there is a reason to stop."""
        assert self._event is not None  # noqa: S101  attach() comes first
        await self._event.wait()


class Heartbeat(threading.Thread):
    """Keeps the lease of an attempt, and tells the stopper when it is cancelled, fenced or out of touch."""

    def __init__(
        self,
        port: RunnerPort,
        lease_seconds: float,
        stopper: Stopper,
        *,
        on_store: Callable[[], None] = lambda: None,
        monotonic: Callable[[], float] = lease_clock,
    ) -> None:
        """Prepare the thread; `start` begins to send.

        Args:
            port: where the lease is renewed.
            lease_seconds: how long a lease holds after it was renewed.
            stopper: asked to stop the run, with the reason.
            on_store: called, in this thread, when the service wants the state before the cell that runs.
            monotonic: returns seconds of a clock that also counts while the machine sleeps.
        """
        super().__init__(name="respawn-heartbeat", daemon=True)
        self._port = port
        self._lease = lease_seconds
        self._stopper = stopper
        self._on_store = on_store
        self._monotonic = monotonic
        self._ended = threading.Event()

    def run(self) -> None:
        """Beat until closed, or until there is nothing left to keep."""
        answered = self._monotonic()
        while not self._ended.wait(min(self._lease / 3, _MAX_SECONDS_BETWEEN_BEATS)):
            sent = self._monotonic()
            try:
                answer = self._port.heartbeat()
            except Fenced as error:
                if not self._ended.is_set():
                    self._stopper.request(Stop("lost", "RunnerLost", str(error), fenced=True))
                return
            except Exception as error:  # noqa: BLE001  any way of not being heard: counted until the lease is over
                if self._monotonic() - answered > self._lease:
                    # The service has given the attempt up by now; going on would only be refused.
                    self._stopper.request(Stop("lost", "RunnerLost", f"out of touch: {error}", fenced=True))
                    return
                continue
            answered = sent
            if answer.command == "cancel":
                self._stopper.request(Stop("cancelled", "Cancelled", "the run was cancelled"))
            if answer.store:
                self._on_store()

    def close(self) -> None:
        """Stop beating."""
        self._ended.set()
        self.join(timeout=self._lease)


@contextmanager
def time_limit(stopper: Stopper, seconds: float | None) -> Iterator[None]:
    """Stop the attempt when it takes longer than its run may."""
    if seconds is None:
        yield
        return
    reason = Stop("timed_out", "RunTimeout", f"the run did not end within {how_many(seconds, 'second')}")
    timer = threading.Timer(seconds, stopper.request, [reason])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def stopping_signals(stopper: Stopper, *, requeue_on_sigterm: bool) -> Iterator[None]:
    """Turn SIGTERM and Ctrl-C into reasons to stop, so that both are recorded before the process ends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    reasons = {
        signal.SIGTERM: Stop(
            "lost", PREEMPTED if requeue_on_sigterm else TERMINATED, "the runner was asked to end"
        ),
        signal.SIGINT: Stop("cancelled", "Interrupted", "interrupted from the keyboard"),
    }
    before = {number: signal.getsignal(number) for number in reasons}
    for number, reason in reasons.items():
        if before[number] != signal.SIG_IGN:
            loop.add_signal_handler(number, stopper.request, reason)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
