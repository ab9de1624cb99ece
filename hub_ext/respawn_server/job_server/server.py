"""The runners of a job server, in threads beside its Jupyter server."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from tenacity import Retrying, retry_if_exception, wait_random_exponential

from respawn_jobs.api.job_server_protocol import EndedRunner, JobServerReport
from respawn_jobs.errors import Conflict, RespawnError, Unauthenticated
from respawn_jobs.executors.kernels_here import KernelNews
from respawn_jobs.executors.local import LocalExecutor
from respawn_jobs.model.kernels import ForeseenRun, WantedKernel
from respawn_jobs.remote.job_server import RemoteJobServer
from respawn_server.job_server.kept_kernels import KeptKernels

_REPORT_SECONDS = 5.0
"""How often it reports itself when nothing changes."""
log = logging.getLogger(__name__)
T = TypeVar("T")


class JobServer:
    """Runners that do what the service orders, in threads beside a Jupyter server.

    Args:
        url: where the service answers, and where runners reach it.
        name: the server's name at the hub.
        token: the server's own token for the hub.
        nonce: what it was started with.
        kept: the kernels of failed runs that live on beside it.
    """

    def __init__(self, url: str, name: str, token: str, nonce: str, kept: KeptKernels) -> None:
        self._url = url
        self._kept = kept
        self._name = name
        self._token, self._nonce = token, nonce
        self._link = RemoteJobServer(url, name)
        self._executor: LocalExecutor | None = None
        self._kernels = KernelNews()
        self._changed = threading.Event()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._taken: list[str] = []
        self._ended: list[EndedRunner] = []

    def start(self) -> None:
        """Begin; returns at once."""
        threading.Thread(target=self._serve, name="respawn-job-server", daemon=True).start()

    def close(self) -> None:
        """Say that this server ends, and end the runners: each requeues what it executes."""
        self._closed.set()
        self._changed.set()
        if self._executor is None:
            return
        try:
            self._link.report(JobServerReport(leaving=True))
        except RespawnError as error:  # it is told by its silence, then
            log.info("respawn: %s", error.message)
        self._executor.close()
        self._link.close()

    def _serve(self) -> None:
        try:
            kernels = self._kernels.news()
            welcome = self._patiently(self._link.register, self._token, self._nonce, kernels)
            self._kernels.took(kernels)
            self._kept.budget = welcome.kept_memory_bytes
            self._executor = LocalExecutor(self._url, max_running=welcome.slots, freed=self._changed.set)
            threading.Thread(target=self._report, name="respawn-job-server-reports", daemon=True).start()
            while not self._closed.is_set():
                self._obey()
        except Exception as error:  # noqa: BLE001  one that is deaf but reports would get runs for ever
            self._give_up(error)

    def _obey(self) -> None:
        """Ask for orders, and carry them out."""
        assert self._executor is not None  # noqa: S101  made before the first orders
        orders = self._patiently(self._link.orders)
        for order in orders.start:
            with self._lock:
                self._taken.append(order.attempt)
            try:
                self._executor.submit(order.attempt, order.token)
            except RespawnError as error:
                with self._lock:
                    self._ended.append(EndedRunner(attempt=order.attempt, reason=error.message[:2000]))
        for attempt in orders.cancel:
            self._executor.cancel(attempt)
        if orders.expect:
            kernels = [WantedKernel(one.name, one.lock) for one in orders.expect]
            self._executor.expect([ForeseenRun("", kernel) for kernel in kernels])
        if orders.start or orders.cancel:
            self._changed.set()

    def _report(self) -> None:
        """Say what the runners do: at each change, and every few seconds."""
        assert self._executor is not None  # noqa: S101  made before this thread
        while not self._closed.is_set():
            self._changed.wait(_REPORT_SECONDS)
            self._changed.clear()
            try:
                self._send(self._executor)
            except Unauthenticated as error:
                self._give_up(error)
                return
            except RespawnError as error:
                log.info("respawn: the report waits: %s", error.message)

    def _send(self, executor: LocalExecutor) -> None:
        dead = [EndedRunner(attempt=attempt, reason=reason[:2000]) for attempt, reason in executor.probe()]
        with self._lock:
            self._ended += dead
            taken, ended = list(self._taken), list(self._ended)
        living = sorted(executor.living())
        kept = self._kept.tend(executor.kept(), executor.release)
        if living or kept:
            _note_activity()
        kernels = self._kernels.news()
        report = JobServerReport(taken=taken, living=living, ended=ended, kernels=kernels, kept=kept)
        self._link.report(report)
        self._kernels.took(kernels)
        with self._lock:
            del self._taken[: len(taken)]
            del self._ended[: len(ended)]

    def _patiently(self, call: Callable[..., T], *arguments: object) -> T:
        """Make a call until the service answers, however long that takes."""
        again = Retrying(
            retry=retry_if_exception(_may_pass),
            wait=wait_random_exponential(multiplier=0.2, max=10),
            sleep=self._rest,
            stop=lambda _: self._closed.is_set(),
            reraise=True,
        )
        return again(call, *arguments)

    def _rest(self, seconds: float) -> None:
        self._closed.wait(seconds)

    def _give_up(self, error: Exception) -> None:
        """End this server: the service knows it no more."""
        if not self._closed.is_set():
            log.error("respawn: %s ends: %s", self._name, error, exc_info=not isinstance(error, RespawnError))
            os.kill(os.getpid(), signal.SIGTERM)


def _may_pass(error: BaseException) -> bool:
    """Return whether another try may go better: a service that is being replaced answers in many ways."""
    return isinstance(error, RespawnError) and not isinstance(error, Unauthenticated | Conflict)


def _note_activity() -> None:
    """Let the hub know that the server is at work: cullers stop those that are not."""
    from jupyter_server.serverapp import ServerApp

    if ServerApp.initialized():
        app = getattr(ServerApp.instance(), "web_app", None)
        if app is not None:
            app.settings["last_activity_times"]["respawn"] = datetime.now(UTC)
