"""Runners in servers of the hub: an attempt goes to the job server of its job's account and profile.

A job server reports what it executes, and asks for orders in requests that wait. So what is known here of
runners is what their servers say; a process that starts later hears it from them again. Whatever asks the hub
does so in threads of its own: a hub takes seconds to start a server, and the dispatcher waits for nobody.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from respawn_hub.job_servers.errands import HubErrands
from respawn_hub.job_servers.hub_servers import HubServers
from respawn_hub.job_servers.places import HubPlaces
from respawn_hub.job_servers.server_state import ServerState
from respawn_jobs.api.job_server_protocol import ExpectedKernel, JobServerOrders, JobServerReport
from respawn_jobs.errors import Unavailable
from respawn_jobs.executors.base import NEAR_SECONDS
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.context.job_places import Beside, ServerKind
from respawn_jobs.model.kernels import ForeseenRun, JobPlace

logger = logging.getLogger(__name__)

SILENT_SECONDS = 20.0
"""How long a job server may report nothing before its runners count as gone."""
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
        where: HubPlaces,
        *,
        slots: int = 2,
        idle_seconds: float = 300.0,
        ahead_seconds: float = 30.0,
        kept_memory_bytes: int = 0,
        freed: Callable[[], None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take up the job servers that are there; none is started yet.

        Args:
            ledger: which job servers there are.
            servers: the hub's API for servers.
            where: which server the jobs of a namespace get.
            slots: how many attempts a job server executes at once, unless its profile says otherwise.
            idle_seconds: how long one that has nothing to do is kept, likewise.
            ahead_seconds: how long before attempts are due their server is started.
            kept_memory_bytes: what the kernels of failed runs that live on in one may have together.
            freed: called, from any thread, when there is a place, or a runner has ended.
            monotonic: a clock of seconds.
        """
        self._slots = slots
        self.kept_memory_bytes = kept_memory_bytes
        self._ledger = ledger
        self._hub = servers
        self._where = where
        self._idle_seconds = idle_seconds
        self._ahead_seconds = ahead_seconds
        self._freed = freed
        self._now = monotonic
        self._lock = threading.RLock()
        self._closed = False
        self._dead: list[tuple[str, str]] = []
        self._messages: dict[JobPlace, str | None] = {}
        self._refused: dict[ServerKind, tuple[float, str]] = {}
        self._errands = HubErrands(ledger, servers)
        self._servers = {
            one.name: self._new(one.name, ServerKind(one.account, one.profile), registered=one.registered)
            for one in ledger.job_servers()
        }

    @property
    def outlives(self) -> bool:
        """Job servers go on, and find the next process."""
        return True

    # What the dispatcher asks.

    def places(self, waiting: Callable[[], Sequence[JobPlace]]) -> Mapping[JobPlace, int]:
        """Return the free places of each namespace and profile; where none is, have a server started.

        Args:
            waiting: returns the namespaces and profiles that have runs to start.
        """
        found: dict[JobPlace, int] = {}
        free: dict[ServerKind, int] = {}
        messages: dict[JobPlace, str | None] = {}
        for place in waiting():
            try:
                kind = self._where.kind(place)
            except Unavailable as error:
                messages[place] = error.message
                continue
            if isinstance(kind, Beside):
                continue
            with self._lock:
                server = self._of(kind)
                free.setdefault(kind, server.free(self._now()) if server is not None else 0)
                if server is None:
                    self._ask_for(kind)
                else:  # its runs come when the dispatcher gets to them
                    server.awaited_until = max(server.awaited_until, self._now() + RETRY_SECONDS)
                messages[place] = None if free[kind] else self._missing(kind)
            # Namespaces of one account share its places.
            found[place], free[kind] = free[kind], 0
        self._keep_messages(messages)
        return found

    def submit(self, attempt: str, token: str, place: JobPlace) -> None:
        """Order an attempt's runner from the job server of its account and profile.

        Args:
            attempt: the attempt's id.
            token: what the runner proves itself with; never logged.
            place: whose job it executes, and its profile.

        Raises:
            Unavailable: the server has no place any more.
        """
        kind = self._where.kind(place)
        with self._lock:
            server = self._of(kind) if isinstance(kind, ServerKind) else None
            if self._closed or server is None or server.free(self._now()) < 1:
                raise Unavailable(f"the job server of {place.namespace} has no place any more")
            server.order(attempt, token)

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
        kernels: dict[ServerKind, list[ExpectedKernel]] = {}
        for run in runs:
            with suppress(Unavailable):  # no account, no such profile: the runs say so when they wait
                kind = self._where.kind(run.place)
                if isinstance(kind, Beside):
                    continue
                kernel = ExpectedKernel(name=run.kernel.name, lock=run.kernel.lock)
                kernels.setdefault(kind, []).append(kernel)
        with self._lock:
            for kind, wanted in kernels.items():
                if self._of(kind) is None:
                    self._ask_for(kind)
                server = self._of(kind)
                if server is None:  # the hub has refused one a moment ago, or another replica starts it
                    continue
                server.awaited_until = self._now() + seconds + RETRY_SECONDS
                free = server.free(self._now())
                if seconds <= NEAR_SECONDS and free:
                    server.expect = wanted[:free]
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
            self._errands.ask_again(self._now())
            dead, self._dead = self._dead, []
            return dead

    def living(self) -> set[str]:
        """Return the attempts whose runner lives, as their servers say."""
        with self._lock:
            return {attempt for server in self._servers.values() for attempt in server.living}

    def close(self) -> None:
        """Ask the hub for nothing more, and let requests for orders end. The servers go on."""
        self._errands.close()
        with self._lock:
            self._closed = True
            unheard = [order.attempt for server in self._servers.values() for order in server.start]
            for server in self._servers.values():
                server.wake()
        for attempt in unheard:
            with suppress(Unavailable):  # it is lost when nothing claims it, then
                self._ledger.requeue(attempt, "the service stopped before the job server heard of it")

    # What the job servers say, through the service's routes.

    def slots_of(self, name: str) -> int:
        """Return how many attempts a job server may execute at once."""
        server = self._servers.get(name)
        return server.slots if server is not None else self._slots

    def hear(self, name: str, report: JobServerReport) -> bool:
        """Take note of what a job server says of itself; one that this process let go is none any more.

        Tells whether other kernels of failed runs live on there now.

        Args:
            name: the server's name; its key was checked.
            report: what it does.
        """
        if report.kernels is not None:
            self._ledger.note_kernels(name, report.kernels)
        now = self._now()
        with self._lock:
            server = self._servers.get(name)
            if server is None:
                return False
            places = server.free(now)
            server.handed -= {*report.taken}
            ordered = {order.attempt for order in server.start}
            server.heard = now
            if server.living or not server.idle_since:
                server.idle_since = now
            server.living = {*report.living, *ordered, *server.handed}
            self._dead += [(one.attempt, one.reason) for one in report.ended]
            changed, server.kept = server.kept != report.kept, report.kept
            if report.leaving:
                self._let_go(server)
        if server.free(now) > places or report.ended:
            self._freed()
        return changed

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
            return server.take_orders()

    # Below, the lock is held.

    def _new(self, name: str, kind: ServerKind, *, registered: bool = False) -> ServerState:
        slots = self._where.slots(kind.profile, self._slots)
        return ServerState(name, kind, since=self._now(), slots=slots, registered=registered)

    def _of(self, kind: ServerKind) -> ServerState | None:
        return next((one for one in self._servers.values() if one.kind == kind and not one.stopping), None)

    def _missing(self, kind: ServerKind) -> str:
        """Return what runs wait for that get a server of this kind."""
        server = self._of(kind)
        if server is not None and server.heard is not None:
            taken = f"{len(server.living)} of {server.slots} are taken"
            return f"a place in the job server of {kind.words}: {taken}"
        _, refusal = self._refused.get(kind, (0.0, ""))
        return f"a job server of {kind.words}" + (f"; {refusal}" if refusal else ", which is being started")

    def _ask_for(self, kind: ServerKind) -> None:
        """Have a server started, unless the hub refused one a moment ago."""
        asked, _ = self._refused.get(kind, (float("-inf"), ""))
        if asked + RETRY_SECONDS > self._now():
            return
        planned = self._ledger.plan_job_server(kind.account, kind.profile)
        if planned is None:  # one is being let go: the hub stops it first
            return
        self._servers[planned.name] = self._new(planned.name, kind)
        self._errands.submit(self._start, kind, planned.name, planned.nonce)

    def _look_after(self, server: ServerState) -> None:
        """Let go what has ended or is not needed any more."""
        now, idle = self._now(), self._where.idle_seconds(server.kind.profile, self._idle_seconds)
        if server.starts:
            if now - server.since > START_SECONDS:
                self._end(server, f"it did not register within {START_SECONDS:.0f} seconds")
            elif now - max(server.since, server.looked) > _LOOK_SECONDS:
                server.looked = now
                self._errands.submit(self._check, server)
        elif now - (server.heard or server.since) > SILENT_SECONDS:
            self._end(server, f"it has not reported itself for {SILENT_SECONDS:.0f} seconds")
        elif server.idle and now > max(server.idle_since + idle, server.awaited_until):
            self._end(server, None)

    def _let_go(self, server: ServerState) -> None:
        """Let a server go that is being stopped: its runners requeue what they execute, by themselves."""
        del self._servers[server.name]
        logger.info("the job server %s of %s is being stopped", server.name, server.kind.account)
        if not server.stopping:
            self._errands.submit(self._stop, server)

    def _end(self, server: ServerState, why: str | None) -> None:
        """Let a server go; where it is not idle but lost, its attempts are lost with it."""
        if server.stopping:
            return
        server.stopping = True
        if why is not None:
            self._lose(server, why)
        self._errands.submit(self._stop, server)

    def _lose(self, server: ServerState, why: str) -> None:
        logger.warning("job server %s of %s: %s", server.name, server.kind.account, why)
        self._dead += [(attempt, f"its job server is gone: {why}") for attempt in sorted(server.living)]
        server.living = set()
        if server.starts:
            self._note(server.kind, why)

    def _keep_messages(self, messages: Mapping[JobPlace, str | None]) -> None:
        """Keep what runs wait for, where that has changed; one without a message waits for nothing."""
        changed = {place: text for place, text in messages.items() if self._messages.get(place) != text}
        if changed:
            self._ledger.note_places(changed)
            self._messages |= changed

    def _note(self, kind: ServerKind, why: str) -> None:
        """Remember, and log once in a while, why there is no server of a kind."""
        before = self._refused.get(kind)
        self._refused[kind] = (self._now(), why)
        if before is None or before[1] != why:
            logger.warning("no job server for %s: %s", kind.words, why)

    # In threads that may wait for the hub.

    def _start(self, kind: ServerKind, name: str, nonce: str) -> None:
        try:
            self._hub.start(kind, name, nonce, self._where.options(kind.profile))
        except Exception as error:  # noqa: BLE001  nobody waits here: it is recorded, and tried again
            with self._lock:
                server = self._servers.pop(name, None)
                # Of one that was sent away while it started, the hub knows less than was noted then.
                if server is None or not server.stopping:
                    self._note(kind, error.message if isinstance(error, Unavailable) else repr(error))
            # The hub keeps the name of one that did not start among the user's.
            self._errands.give_up(name, kind.account)
        else:
            with self._lock:
                server = self._servers.get(name)
                if server is not None and not server.stopping:  # it may have been sent away already
                    self._refused.pop(kind, None)
            logger.info("the hub starts the job server %s of %s", name, kind.words)

    def _check(self, server: ServerState) -> None:
        """See whether a server that has not registered still starts."""
        try:
            if self._hub.runs(server.kind.account, server.name):
                return
            why = self._hub.failure(server.kind.account, server.name)
        except Unavailable as error:  # it is looked at again
            logger.info("%s", error.message)
            return
        with self._lock:
            if server.starts:
                self._end(server, f"the hub could not start it: {why or 'its log says why'}")

    def _stop(self, server: ServerState) -> None:
        try:
            self._errands.give_up(server.name, server.kind.account)
        finally:
            with self._lock:
                self._servers.pop(server.name, None)
            self._freed()
