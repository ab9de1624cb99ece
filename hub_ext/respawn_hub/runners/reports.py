"""What the runners' process tells the service's: what is to be counted, and that loops should look now.

A line of JSON each, through a pipe. Nobody who answers a runner ever waits for the service to read: a thread
writes, and what finds no room is dropped.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections.abc import Callable
from typing import IO, Any, TypedDict

from respawn_jobs.ledger.context.ports import Observer

logger = logging.getLogger(__name__)
_MAX_WAITING = 10_000
_WAKE = "wake"


class Report(TypedDict):
    """One line."""

    call: str
    """A method of `Observer`, or `wake`."""
    arguments: dict[str, Any]


class Reports:
    """The end in the runners' process: an `Observer` that passes its calls on.

    Args:
        to: the pipe; closed by nobody, for it goes with the process.
    """

    def __init__(self, to: IO[str]) -> None:
        self._to = to
        self._waiting: queue.Queue[Report] = queue.Queue(_MAX_WAITING)
        threading.Thread(target=self._write, name="respawn-reports", daemon=True).start()

    def wake(self) -> None:
        """Let the loops of the service look now."""
        self._report(_WAKE)

    def started(self, queue: str, seconds: float) -> None:
        """Pass it on."""
        self._report("started", queue=queue, seconds=seconds)

    def checkpointed(self, seconds: float, size: int) -> None:
        """Pass it on."""
        self._report("checkpointed", seconds=seconds, size=size)

    def kernel_started(self, *, warm: bool) -> None:
        """Pass it on."""
        self._report("kernel_started", warm=warm)

    def attempt_ended(self, state: str, cause: str | None) -> None:
        """Pass it on."""
        self._report("attempt_ended", state=state, cause=cause)

    def run_ended(self, state: str) -> None:
        """Pass it on."""
        self._report("run_ended", state=state)

    def notice_tried(self, kind: str, *, sent: bool) -> None:
        """Pass it on."""
        self._report("notice_tried", kind=kind, sent=sent)

    def _report(self, call: str, **arguments: Any) -> None:
        try:
            self._waiting.put_nowait(Report(call=call, arguments=arguments))
        except queue.Full:
            logger.warning("the service does not read: %s is not counted", call)

    def _write(self) -> None:
        while True:
            report = self._waiting.get()
            try:
                print(json.dumps(report), file=self._to, flush=True)
            except OSError:  # the service is gone, and takes this process with it
                return


def receive(line: str, observer: Observer, wake: Callable[[], None]) -> None:
    """Do in the service what a line of the runners' process says.

    Args:
        line: a `Report` as JSON.
        observer: gets the report's numbers; in the service, its metrics.
        wake: called without arguments where loops should look now.
    """
    report: Report = json.loads(line)
    calls: dict[str, Callable[..., None]] = {
        _WAKE: wake,
        "started": observer.started,
        "checkpointed": observer.checkpointed,
        "kernel_started": observer.kernel_started,
        "attempt_ended": observer.attempt_ended,
        "run_ended": observer.run_ended,
        "notice_tried": observer.notice_tried,
    }
    calls[report["call"]](**report["arguments"])
