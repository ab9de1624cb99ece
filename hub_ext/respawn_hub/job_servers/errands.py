"""What is asked of the hub in threads that may wait for it; what it must stop is asked until it has."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from respawn_hub.job_servers.hub_servers import HubServers
from respawn_jobs.errors import Unavailable
from respawn_jobs.ledger import Ledger

logger = logging.getLogger(__name__)

_AGAIN_SECONDS = 15.0


class HubErrands:
    """Threads that ask the hub, and the servers that it has yet to stop."""

    def __init__(self, ledger: Ledger, hub: HubServers) -> None:
        """Take up what the hub was not asked to stop by a process before this one, or did not.

        Args:
            ledger: which servers these are.
            hub: the hub's API for servers.
        """
        self._ledger, self._hub = ledger, hub
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="respawn-hub-servers")
        self._unwanted = ledger.unwanted_job_servers()
        self._lock = threading.Lock()
        self._asked_at = float("-inf")

    def submit(self, errand: Callable[..., None], *arguments: object) -> None:
        """Do something in one of the threads; nothing any more once this is closed."""
        with suppress(RuntimeError):
            self._threads.submit(errand, *arguments)

    def give_up(self, name: str, account: str) -> None:
        """Know a server no more, so that there may be another of its kind, and have the hub stop it.

        Args:
            name: the server's name.
            account: the hub's user whose server it is.
        """
        self._ledger.give_up_job_server(name)
        try:
            self._hub.stop(account, name)
        except Unavailable as error:
            logger.warning("%s; it is asked again", error.message)
            with self._lock:
                self._unwanted[name] = account
        else:
            self._ledger.job_server_stopped(name)

    def ask_again(self, now: float) -> None:
        """Have the hub stop, once in a while, what it has not stopped so far.

        Args:
            now: seconds of any clock.
        """
        if now - self._asked_at < _AGAIN_SECONDS:
            return
        with self._lock:
            again, self._unwanted = self._unwanted, {}
        if again:
            self._asked_at = now
        for name, account in again.items():
            self.submit(self.give_up, name, account)

    def close(self) -> None:
        """Ask for nothing more; what is under way goes on."""
        self._threads.shutdown(wait=False, cancel_futures=True)
