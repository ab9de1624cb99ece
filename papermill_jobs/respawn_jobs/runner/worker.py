"""A runner process that imports first and learns later what to run.

    python -m respawn_jobs.runner.worker PARENT REPORTS

It reads JSON lines on stdin, `{"url", "attempt", "token"}`, and executes these attempts one after the other.
After each it writes a line to the descriptor REPORTS, `{"attempt", "error"}`: `error` is null once the
attempt's end is recorded, else what kept it from that. Then a kernel of the kind that was used last comes up
for the next one; `{"expect": true}` asks for one again after a long rest. It ends when stdin does, and when
its parent does. The token comes over stdin because arguments and environments of processes can be read by
others.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import select
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from respawn_jobs import logs
from respawn_kernels.host.own_process import die_with

if TYPE_CHECKING:
    from respawn_jobs.runner.kernel.ready_kernel import ReadyKernel

_LOGGER = "respawn_jobs.runner.worker"
_SHORT_SECONDS = 0.02
"""How long the next order may take before a kernel is made ready: one that comes at once needs none."""
_LOOK_SECONDS = 0.5
_READY_SECONDS = 120.0
"""How long a kernel is kept ready for an attempt that does not come."""
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
    from respawn_jobs.runner.kernel.limited_processes import spare

    warm_kernels.enable(spare)
    signal.signal(signal.SIGTERM, _leave)  # while an attempt is executed it has its own
    waiting = _Waiting()
    try:
        with os.fdopen(reports, "w", buffering=1) as report_file:
            while (order := waiting.order()) is not None:
                error, waiting.kernel = _execute(order, waiting.take())
                print(json.dumps({"attempt": order["attempt"], "error": error}), file=report_file)
                warm_kernels.prepare()
    finally:
        waiting.close()
        warm_kernels.close()
    return 0


def _leave(*_signal: object) -> None:
    sys.exit(0)


class _Waiting:
    """A runner between two attempts, with the kernel that it has ready for the next one."""

    def __init__(self) -> None:
        self.kernel: tuple[str, str | None] | None = None
        """The kernel that the last attempt used, and the hash of the build that it was pinned to."""
        self._ready: ReadyKernel | None = None
        self._orders = os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0)

    def order(self) -> dict[str, str] | None:
        """Wait for an order; None when there are no more. A kernel is made ready meanwhile."""
        idle = time.monotonic()
        pause: float | None = _SHORT_SECONDS
        while True:
            if select.select([self._orders], [], [], pause)[0]:
                line = self._orders.readline()
                order: dict[str, str] | None = json.loads(line) if line else None
                if order is None or "attempt" in order:
                    return order
                idle, pause = time.monotonic(), 0.0  # one is expected
            elif time.monotonic() - idle > _READY_SECONDS:
                self.close()
                pause = None
            elif self._ready is None and self.kernel is not None:
                pause = _LOOK_SECONDS
                self._make_ready(*self.kernel)
            else:
                pause = _READY_SECONDS

    def take(self) -> ReadyKernel | None:
        """Return the kernel that is ready, which is the caller's then; None when there is none."""
        ready, self._ready = self._ready, None
        return ready

    def close(self) -> None:
        """End the kernel that nobody took."""
        ready = self.take()
        if ready is not None:
            ready.close()

    def _make_ready(self, name: str, lock: str | None) -> None:
        from respawn_environments.warm.warm_kernels import warm_kernels
        from respawn_jobs.runner.kernel.kernel_process import KernelFailed
        from respawn_jobs.runner.kernel.ready_kernel import NotYet, ReadyKernel

        try:
            self._ready = ReadyKernel(name, lock)
        except NotYet:
            warm_kernels.prepare()  # the last kernel had other variables perhaps, a resume's hash seed say
        except KernelFailed as error:
            logging.getLogger(_LOGGER).info("no kernel is ready for the next attempt: %s", error)
            self.kernel = None


def _execute(
    order: dict[str, str], ready: ReadyKernel | None
) -> tuple[str | None, tuple[str, str | None] | None]:
    """Execute one attempt.

    Args:
        order: the attempt, with its token, and where the service is.
        ready: a kernel that has come up; it is used or ended.

    Returns:
        What kept the attempt from being executed and recorded, None for nothing; and the kernel's name with
        the hash of the build that is pinned.
    """
    from respawn_jobs.api.runner_protocol import Assignment, RunnerVersion
    from respawn_jobs.errors import RespawnError
    from respawn_jobs.remote.client import RemoteRunner
    from respawn_jobs.runner.attempt import execute_attempt

    kernels: list[tuple[str, str | None]] = []

    class Port(RemoteRunner):
        """A port that tells the log, in all threads, what is worked on."""

        def claim(self, runner: RunnerVersion | None = None) -> Assignment:
            """Take the attempt."""
            assignment = super().claim(runner)
            logs.always(run=assignment.run, job=assignment.job)
            kernels.append((assignment.kernel, assignment.lock))
            return assignment

    logs.always(attempt=order["attempt"], run="", job="")
    port = Port(order["url"], order["attempt"], order["token"])
    try:
        execute_attempt(port, early=ready, requeue_on_sigterm=True)
    except RespawnError as error:
        logging.getLogger(_LOGGER).warning("attempt %s: %s", order["attempt"], error)
        return error.message, None
    finally:
        port.close()
    return None, kernels[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
