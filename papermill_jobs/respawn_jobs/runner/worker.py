"""A runner process that imports first and learns later what to run.

    python -m respawn_jobs.runner.worker PARENT REPORTS

It reads JSON lines on stdin, `{"url", "attempt", "token"}`, and executes these attempts one after the other.
After each it writes a line to the descriptor REPORTS, `{"attempt", "error"}`: `error` is null once the
attempt's end is recorded, else what kept it from that. Then a kernel of the kind that was used last comes up
for the next one. `{"expect": [[name, lock], ...]}` says which kernels are wanted within seconds, one for each
attempt that is foreseen; an empty list, that an attempt is. It ends when stdin does, and when its parent
does. Where it keeps the kernel of an attempt that failed, the line has `kept`, too, and it ends with that
kernel, or at the next line. The token comes over stdin because arguments and environments of processes can be
read by others.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import select
import signal
import sys
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from respawn_jobs import logs
from respawn_kernels.host.own_process import die_with

if TYPE_CHECKING:
    from respawn_jobs.model.kernels import KeptKernel, WantedKernel
    from respawn_jobs.runner.kept_kernel import KernelKeeper
    from respawn_jobs.runner.kernel.ready_kernels import ReadyKernels

_LOGGER = "respawn_jobs.runner.worker"
_SHORT_SECONDS = 0.02
"""How long the next order may take before a kernel is made ready: one that comes at once needs none."""
_AT_FIRST_USE = ("httpcore", "IPython.display", "ipykernel.kernelspec", "psutil")
"""What our libraries import with their first request or kernel."""


def _imports() -> None:
    """Import what an attempt needs, which takes longer than all that it does itself."""
    from respawn_jobs.host.fast_imports import leave_out_grammars

    leave_out_grammars()
    import papermill.translators  # noqa: F401

    import respawn_jobs.notebook.parameterization
    import respawn_jobs.remote.client
    import respawn_jobs.runner.artifact_sync
    import respawn_jobs.runner.session  # noqa: F401
    import respawn_kernels.bootstrap  # noqa: F401

    for name in _AT_FIRST_USE:
        with suppress(ImportError):  # another version of a library may do without it
            importlib.import_module(name)


def main(arguments: list[str]) -> int:
    """Carry out orders until there are no more; return the exit status."""
    die_with(int(arguments[0]))
    reports = int(arguments[1])
    os.set_inheritable(reports, False)
    logs.configure(os.environ.get("RESPAWN_LOG_FORMAT", "text"), level=logging.WARNING)
    _imports()
    from respawn_environments.warm.warm_kernels import warm_kernels
    from respawn_jobs.runner.kept_kernel import KernelKeeper
    from respawn_jobs.runner.kernel.limited_processes import spare
    from respawn_jobs.runner.kernel.ready_kernels import ReadyKernels, bounds_of_this_process

    warm_kernels.enable(spare)
    signal.signal(signal.SIGTERM, _leave)  # while an attempt is executed it has its own
    ready = ReadyKernels(bounds_of_this_process())
    orders = _Orders(ready)
    try:
        with os.fdopen(reports, "w", buffering=1) as report_file:
            keeper = KernelKeeper.of(os.environ, orders.descriptor, lambda kept: _say(report_file, kept=kept))
            while (order := orders.next()) is not None:
                error, used = _execute(order, ready, keeper)
                if keeper is not None and keeper.kept:
                    break
                ready.used(used)
                _say(report_file, order["attempt"], error)
                warm_kernels.prepare()
    finally:
        ready.end()
        warm_kernels.close()
    return 0


def _say(
    reports: IO[str], attempt: str = "", error: str | None = None, kept: KeptKernel | None = None
) -> None:
    """Report that this runner is through with an attempt, or keeps its kernel."""
    report: dict[str, Any] = {"attempt": attempt, "error": error}
    if kept is not None:
        report = {"attempt": kept.attempt, "error": None, "kept": kept._asdict()}
    print(json.dumps(report), file=reports)


def _leave(*_signal: object) -> None:
    sys.exit(0)


class _Orders:
    """The orders of a runner. Between two of them it sees to the kernels that wait for the next ones."""

    def __init__(self, ready: ReadyKernels) -> None:
        self._ready = ready
        self._lines = os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0)

    @property
    def descriptor(self) -> int:
        """What can be read from once there is another line, or there are no more."""
        return self._lines.fileno()

    def next(self) -> dict[str, str] | None:
        """Wait for an order; None when there are no more."""
        from respawn_jobs.model.kernels import WantedKernel

        pause: float | None = _SHORT_SECONDS
        while True:
            if select.select([self._lines], [], [], pause)[0]:
                line = self._lines.readline()
                order = json.loads(line) if line else None
                if order is None or "attempt" in order:
                    return order
                self._ready.foresee([WantedKernel(name, lock) for name, lock in order["expect"]])
                pause = 0.0
            else:
                pause = self._ready.tend()


def _execute(
    order: dict[str, str], ready: ReadyKernels, keeper: KernelKeeper | None
) -> tuple[str | None, WantedKernel | None]:
    """Execute one attempt.

    Args:
        order: the attempt, with its token, and where the service is.
        ready: the kernels that have come up, of which it may use one.
        keeper: keeps the kernel of an attempt that failed.

    Returns:
        What kept the attempt from being executed and recorded, None for nothing; and the kernel that it used.
    """
    from respawn_jobs.api.runner_protocol import Assignment, RunnerVersion
    from respawn_jobs.errors import RespawnError
    from respawn_jobs.model.kernels import WantedKernel
    from respawn_jobs.remote.client import RemoteRunner
    from respawn_jobs.runner.attempt import execute_attempt

    kernels: list[WantedKernel] = []

    class Port(RemoteRunner):
        """A port that tells the log, in all threads, what is worked on."""

        def claim(self, runner: RunnerVersion | None = None) -> Assignment:
            """Take the attempt."""
            assignment = super().claim(runner)
            logs.always(run=assignment.run, job=assignment.job)
            kernels.append(WantedKernel(assignment.kernel, assignment.lock))
            return assignment

    logs.always(attempt=order["attempt"], run="", job="")
    port = Port(order["url"], order["attempt"], order["token"])
    try:
        execute_attempt(port, early=ready, requeue_on_sigterm=True, keeper=keeper)
    except RespawnError as error:
        logging.getLogger(_LOGGER).warning("attempt %s: %s", order["attempt"], error)
        return error.message, None
    finally:
        port.close()
    return None, kernels[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
