"""Runners in servers of the hub: an attempt goes to the job server of its job's account, started for it.

A job server reports what it executes, and asks for orders in requests that wait. So what is known here of
runners is what their servers say; a process that starts later hears it from them again. Whatever asks the hub
does so in threads of its own: a hub takes seconds to start a server, and the dispatcher waits for nobody.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from respawn_hub.job_servers.accounts import Accounts
from respawn_hub.job_servers.hub_servers import HubServers
from respawn_hub.job_servers.started_server import StartedServer
from respawn_jobs.api.job_server_protocol import (
    ExpectedKernel,
    JobServerOrders,
    JobServerReport,
    StartOrder,
)
from respawn_jobs.errors import Unavailable
from respawn_jobs.executors.base import NEAR_SECONDS
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.kernels import ForeseenRun

logger = logging.getLogger(__name__)

SILENT_SECONDS = 20.0
"""How long a job server may report nothing before its runners count as gone."""
FRESH_SECONDS = 12.0
"""How long it may report nothing before it gets nothing new: it reports every five seconds."""
START_SECONDS = 600.0
"""How long a server may take to register: an image may have to be pulled."""
RETRY_SECONDS = 15.0
"""After how long a server that the hub did not start is asked for again."""
_LOOK_SECONDS = 5.0
"""How often the hub is asked whether a server that has not registered yet still starts."""


class HubExecutor:
    """Starts runners in servers of the hub."""

    def __init__(
        self,
        ledger: Ledger,
        servers: HubServers,
        accounts: Accounts,
        *,
        slots: int = 2,
        idle_seconds: float = 300.0,
        ahead_seconds: float = 30.0,
        freed: Callable[[], None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take up the job servers that are there; none is started yet.

        Args:
            ledger: which job servers there are.
            servers: the hub's API for servers.
            accounts: as whom the jobs of a namespace run.
            slots: how many attempts each job server executes at once.
            idle_seconds: how long one that has nothing to do is kept.
            ahead_seconds: how long before attempts are due their server is started.
            freed: called, from any thread, when there is a place, or a runner has ended.
            monotonic: a clock of seconds.
        """
        self.slots = slots
        self._ledger = ledger
        self._hub = servers
        self._accounts = accounts
        self._idle_seconds = idle_seconds
        self._ahead_seconds = ahead_seconds
        self._freed = freed
        self._now = monotonic
        self._lock = threading.RLock()
        self._closed = False
        self._dead: list[tuple[str, str]] = []
        self._messages: dict[str, str | None] = {}
        self._refused: dict[str, tuple[float, str]] = {}
        self._askers = ThreadPoolExecutor(8, thread_name_prefix="respawn-hub-servers")
        self._servers = {
            one.name: StartedServer(one.name, one.account, since=self._now()) for one in ledger.job_servers()
        }

    @property
    def outlives(self) -> bool:
        """Job servers go on, and find the next process."""
        return True

    # What the dispatcher asks.

    def places(self, waiting: Callable[[], Sequence[str]]) -> Mapping[str, int]:
        """Return the free places of each namespace that waits, and have servers started where there are none.

        Args:
            waiting: returns the namespaces that have runs to start.
        """
        found: dict[str, int] = {}
        free: dict[str, int] = {}
        messages: dict[str, str | None] = {}
        for namespace in waiting():
            try:
                account = self._accounts.account(namespace)
            except Unavailable as error:
                messages[namespace] = error.message
                continue
            with self._lock:
                server = self._of(account)
                if account not in free:
                    free[account] = self._free(server) if server is not None else 0
                if server is None:
                    self._ask_for(account)
                messages[namespace] = None if free[account] else self._missing(account)
            # Namespaces of one account share its places.
            found[namespace], free[account] = free[account], 0
        self._keep_messages(messages)
        return found

    def submit(self, attempt: str, token: str, namespace: str) -> None:
        """Order an attempt's runner from the job server of its account.

        Args:
            attempt: the attempt's id.
            token: what the runner proves itself with; never logged.
            namespace: whose job it executes.

        Raises:
            Unavailable: the server has no place any more.
        """
        account = self._accounts.account(namespace)
        with self._lock:
            server = self._of(account)
            if server is None or self._free(server) < 1:
                raise Unavailable(f"the job server of {account} has no place any more")
            server.living.add(attempt)
            server.start.append(StartOrder(attempt=attempt, token=token))
            server.wake()

    @property
    def ahead(self) -> float:
        """How long before attempts are due their server is started."""
        return max(self._ahead_seconds, NEAR_SECONDS)

    def expect(self, runs: Sequence[ForeseenRun] = (), seconds: float = NEAR_SECONDS) -> None:
        """Have the servers started that attempts will need, and their kernels come up shortly before.

        Args:
            runs: One for each attempt that is foreseen, in their order.
            seconds: Within which time they come.
        """
        if not self._ahead_seconds:
            return
        kernels: dict[str, list[ExpectedKernel]] = {}
        for run in runs:
            with suppress(Unavailable):  # a team without an account: its runs say so when they wait
                account = self._accounts.account(run.namespace)
                kernel = ExpectedKernel(name=run.kernel.name, lock=run.kernel.lock)
                kernels.setdefault(account, []).append(kernel)
        with self._lock:
            for account, wanted in kernels.items():
                if self._of(account) is None:
                    self._ask_for(account)
                server = self._of(account)
                if server is None:  # the hub has refused one a moment ago, or another replica starts it
                    continue
                server.awaited_until = self._now() + seconds + RETRY_SECONDS
                if seconds <= NEAR_SECONDS and self._free(server):
                    server.expect = wanted[: self._free(server)]
                    server.wake()

    def cancel(self, attempt: str) -> None:
        """Have an attempt's runner ended at once."""
        with self._lock:
            for server in self._servers.values():
                if attempt in server.living:
                    server.cancel.append(attempt)
                    server.wake()

    def probe(self) -> list[tuple[str, str]]:
        """Return attempts whose runner ended other than by finishing; look after the servers meanwhile."""
        with self._lock:
            for server in list(self._servers.values()):
                self._look_after(server)
            dead, self._dead = self._dead, []
            return dead

    def living(self) -> set[str]:
        """Return the attempts whose runner lives, as their servers say."""
        with self._lock:
            return {attempt for server in self._servers.values() for attempt in server.living}

    def close(self) -> None:
        """Ask the hub for nothing more, and let requests for orders end. The servers go on."""
        self._askers.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            self._closed = True
            for server in self._servers.values():
                server.wake()

    # What the job servers say, through the service's routes.

    def hear(self, name: str, account: str, report: JobServerReport) -> None:
        """Take note of what a job server says of itself.

        Args:
            name: the server's name; its key was checked.
            account: whose it is.
            report: what it does.
        """
        now = self._now()
        with self._lock:
            server = self._servers.setdefault(name, StartedServer(name, account, since=now))
            server.handed -= {*report.taken}
            ordered = {order.attempt for order in server.start}
            server.heard = now
            if server.living or not server.idle_since:
                server.idle_since = now
            server.living = {*report.living, *ordered, *server.handed}
            self._dead += [(one.attempt, one.reason) for one in report.ended]
            if report.leaving:
                self._let_go(server)
        self._freed()

    def send_away(self, name: str, why: str) -> None:
        """Have a server stopped that came and cannot be used.

        Args:
            name: the server's name.
            why: what runs of its account are told.
        """
        with self._lock:
            server = self._servers.get(name)
            if server is not None:
                self._end(server, why)

    def orders(self, name: str, wake: Callable[[], None]) -> JobServerOrders:
        """Return and forget what a job server is to do now.

        Args:
            name: the server's name.
            wake: called, from any thread, when there is something to do later; the last one given holds.

        Raises:
            Unavailable: this service is being stopped; the next one answers.
        """
        with self._lock:
            if self._closed:
                raise Unavailable("this service is being stopped")
            server = self._servers.get(name)
            if server is None:
                return JobServerOrders()
            server.wake = wake
            orders = JobServerOrders(start=server.start, cancel=server.cancel, expect=server.expect)
            server.handed |= {order.attempt for order in server.start}
            server.start, server.cancel, server.expect = [], [], []
            return orders

    # Below, the lock is held.

    def _of(self, account: str) -> StartedServer | None:
        return next(
            (one for one in self._servers.values() if one.account == account and not one.stopping), None
        )

    def _free(self, server: StartedServer) -> int:
        if server.heard is None or self._now() - server.heard > FRESH_SECONDS:
            return 0
        return max(0, self.slots - len(server.living))

    def _missing(self, account: str) -> str:
        """Return what runs of an account wait for."""
        server = self._of(account)
        if server is not None and server.heard is not None:
            return f"a place in the job server of {account}: {len(server.living)} of {self.slots} are taken"
        _, refusal = self._refused.get(account, (0.0, ""))
        return f"a job server of {account}" + (f"; {refusal}" if refusal else ", which is being started")

    def _ask_for(self, account: str) -> None:
        """Have a server started, unless the hub refused one a moment ago."""
        asked, _ = self._refused.get(account, (float("-inf"), ""))
        if asked + RETRY_SECONDS > self._now():
            return
        planned = self._ledger.plan_job_server(account)
        if planned is None:  # another replica has asked for it: it will report itself
            return
        self._servers[planned.name] = StartedServer(planned.name, account, since=self._now())
        self._askers.submit(self._start, account, planned.name, planned.nonce)

    def _look_after(self, server: StartedServer) -> None:
        """Let go what has ended or is not needed any more."""
        now = self._now()
        if server.heard is None:
            if now - server.since > START_SECONDS:
                self._end(server, f"it did not register within {START_SECONDS:.0f} seconds")
            elif now - max(server.since, server.looked) > _LOOK_SECONDS:
                server.looked = now
                self._askers.submit(self._check, server)
        elif now - server.heard > SILENT_SECONDS:
            self._end(server, f"it has not reported itself for {SILENT_SECONDS:.0f} seconds")
        elif not server.living and now > max(server.idle_since + self._idle_seconds, server.awaited_until):
            self._end(server, None)

    def _let_go(self, server: StartedServer) -> None:
        """Let a server go that is being stopped: its runners requeue what they execute, by themselves."""
        del self._servers[server.name]
        logger.info("the job server %s of %s is being stopped", server.name, server.account)
        if not server.stopping:
            self._askers.submit(self._stop, server)

    def _end(self, server: StartedServer, why: str | None) -> None:
        """Let a server go; where it is not idle but lost, its attempts are lost with it."""
        if server.stopping:
            return
        server.stopping = True
        if why is not None:
            self._lose(server, why)
        self._askers.submit(self._stop, server)

    def _lose(self, server: StartedServer, why: str) -> None:
        logger.warning("job server %s of %s: %s", server.name, server.account, why)
        self._dead += [(attempt, f"its job server is gone: {why}") for attempt in sorted(server.living)]
        server.living = set()
        if server.heard is None:
            self._note(server.account, why)

    def _keep_messages(self, messages: Mapping[str, str | None]) -> None:
        """Keep what runs wait for, where that has changed; one without a message waits for nothing."""
        changed = {name: text for name, text in messages.items() if self._messages.get(name) != text}
        if changed:
            self._ledger.note_places(changed)
            self._messages |= changed

    def _note(self, account: str, why: str) -> None:
        """Remember, and log once in a while, why an account has no server."""
        before = self._refused.get(account)
        self._refused[account] = (self._now(), why)
        if before is None or before[1] != why:
            logger.warning("no job server for %s: %s", account, why)

    # In threads that may wait for the hub.

    def _start(self, account: str, name: str, nonce: str) -> None:
        try:
            self._hub.start(account, name, nonce)
        except Exception as error:  # noqa: BLE001  nobody waits here: it is recorded, and tried again
            with self._lock:
                self._note(account, error.message if isinstance(error, Unavailable) else repr(error))
                self._servers.pop(name, None)
            self._ledger.forget_job_server(name)
            with suppress(Unavailable):  # the hub keeps the name of one that did not start among the user's
                self._hub.stop(account, name)
        else:
            with self._lock:
                self._refused.pop(account, None)
            logger.info("the hub starts the job server %s of %s", name, account)

    def _check(self, server: StartedServer) -> None:
        """See whether a server that has not registered still starts."""
        try:
            if self._hub.runs(server.account, server.name):
                return
            why = self._hub.failure(server.account, server.name)
        except Unavailable as error:  # it is looked at again
            logger.info("%s", error.message)
            return
        with self._lock:
            if server.heard is None:
                self._end(server, f"the hub could not start it: {why or 'its log says why'}")

    def _stop(self, server: StartedServer) -> None:
        # First, so that its account may have another one; one that the hub does not stop ends by itself then.
        self._ledger.forget_job_server(server.name)
        try:
            self._hub.stop(server.account, server.name)
        except Unavailable as error:
            logger.warning("%s", error.message)
        finally:
            with self._lock:
                self._servers.pop(server.name, None)
            self._freed()
