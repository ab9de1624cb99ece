"""A replica of the present code at work: threads that promote, run, claim, execute and commit."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.ledger import Ledger
from support.notebooks import notebook, text
from support.runners import PlayedRunner
from support.waiting import wait_for

_ADA = Actor.owner("ada")


class BusyReplica:
    """Counts the runs that it has seen through, and keeps what failed."""

    def __init__(self, ledger: Ledger) -> None:
        self.failures: list[str] = []
        self.ledger = ledger
        self._runs = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def goes_on(self, runs: int = 6) -> None:
        """Wait until it has seen so many further runs through, and assert that nothing failed."""
        wanted = self._runs + runs
        wait_for(lambda: self._runs >= wanted or self.failures, 60, f"{runs} runs")
        assert not self.failures, self.failures[0]

    def _work(self, name: str) -> None:
        try:
            for number in count():
                if self._stop.is_set():
                    return
                self._one(name, number)
        except Exception:  # whatever it is, it is what the test is about
            self.failures.append(traceback.format_exc())

    def _one(self, name: str, number: int) -> None:
        ada = self.ledger.as_actor(_ADA)
        ada.promote(Promotion(name=name, notebook=text(notebook(f"a = {number}", "b = a"))))
        run = ada.run(RunRequest(job=name))
        self.ledger.report_replica(name, host="old", slots=1, busy=1, draining=False, health={})
        runner = PlayedRunner(self.ledger, run.id)
        runner.begin()
        runner.execute(0)
        runner.port.heartbeat()
        runner.execute(1)
        runner.succeed()
        assert ada.show(run.id).run.state == "succeeded"
        with self._lock:
            self._runs += 1


@contextmanager
def busy_replica(ledger: Ledger, threads: int = 3) -> Iterator[BusyReplica]:
    """Let a ledger work in threads, until the end of the block."""
    replica = BusyReplica(ledger)
    workers = [threading.Thread(target=replica._work, args=(f"job-{name}",)) for name in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield replica
    finally:
        replica._stop.set()
        for worker in workers:
            worker.join()
    assert not replica.failures, replica.failures[0]
