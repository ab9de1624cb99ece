"""A replica that stops takes nothing new, lets its runs finish for a while, and requeues the rest."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from respawn_hub.loops.dispatcher import Dispatcher
from respawn_hub.loops.drain import DrainingReplica
from respawn_hub.loops.replica_heartbeat import ReplicaHeartbeat
from respawn_hub.loops.supervisor import Supervisor
from respawn_jobs.access import Actor
from respawn_jobs.api.runner_protocol import Outcome
from respawn_jobs.api.service import Promotion, RunRequest, Service
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.kernels import JobPlace
from respawn_jobs.model.runs import RunState
from support.executors import NoPlaces
from support.ledgers import prepared_data
from support.notebooks import notebook, text
from support.waiting import wait_for


class Runners(NoPlaces):
    """An executor whose runners live until they are asked to end."""

    def __init__(self) -> None:
        self.alive: dict[str, str] = {}
        self.closed = False

    def submit(self, attempt: str, token: str, place: JobPlace) -> None:
        self.alive[attempt] = token

    def cancel(self, attempt: str) -> None:
        raise AssertionError("nobody is stuck")

    def probe(self) -> list[tuple[str, str]]:
        return []

    def living(self) -> set[str]:
        return set(self.alive)

    def close(self) -> None:
        self.closed = True
        self.alive.clear()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.embedded(prepared_data(tmp_path / "data"))
    yield ledger
    ledger.close()


@pytest.fixture
def ada(ledger: Ledger) -> Service:
    service = ledger.as_actor(Actor.owner("ada"))
    service.promote(Promotion(name="report", notebook=text(notebook("a = 1"))))
    return service


class Replica:
    """A replica's loops over an executor."""

    def __init__(self, ledger: Ledger, drain_seconds: float) -> None:
        self.runners = Runners()
        self.dispatcher = Dispatcher(ledger, self.runners, max_running=2, replica="rep-a")
        presence = ReplicaHeartbeat(
            ledger, self.dispatcher, lambda: self.supervisor.health(), replica="rep-a", slots=2
        )
        self.supervisor = Supervisor({"dispatcher": self.dispatcher.tick, "presence": presence.tick})
        self.ending = DrainingReplica(self.supervisor, self.dispatcher, presence, drain_seconds=drain_seconds)

    def start(self) -> None:
        self.supervisor.start()

    def stop(self) -> threading.Thread:
        """Begin to stop, as a signal does."""
        thread = threading.Thread(target=self.ending.run)
        thread.start()
        return thread


def test_without_time_to_drain_what_runs_is_requeued_at_once(ledger: Ledger, ada: Service) -> None:
    replica = Replica(ledger, 0)
    run = ada.run(RunRequest(job="report")).id
    replica.start()
    wait_for(lambda: replica.runners.alive, 10, "the runner")
    replica.ending.run()
    detail = ada.show(run)
    assert replica.runners.closed
    assert detail.run.state is RunState.QUEUED
    assert [(one.replica, one.error and one.error.name) for one in detail.attempts] == [
        ("rep-a", "Preempted")
    ]
    assert ada.replicas() == []
    replica.ending.run()


def test_runs_may_finish_and_nothing_new_is_taken(ledger: Ledger, ada: Service) -> None:
    replica = Replica(ledger, 60)
    run = ada.run(RunRequest(job="report")).id
    replica.start()
    attempt, token = wait_for(lambda: next(iter(replica.runners.alive.items()), None), 10, "the runner")
    port = ledger.runner(attempt, token)
    port.claim()
    stopping = replica.stop()
    wait_for(lambda: any(one.draining for one in ada.replicas()), 10, "the replica to say that it drains")
    later = ada.run(RunRequest(job="report")).id
    replica.dispatcher.tick()
    assert port.heartbeat().command == "continue"
    port.finish(Outcome(state="succeeded"))
    replica.runners.alive.clear()
    stopping.join(10)
    assert not stopping.is_alive()
    assert ada.show(run).run.state is RunState.SUCCEEDED
    assert ada.show(later).attempts == []


def test_a_second_signal_hands_on_at_once(ledger: Ledger, ada: Service) -> None:
    replica = Replica(ledger, 3600)
    run = ada.run(RunRequest(job="report")).id
    replica.start()
    wait_for(lambda: replica.runners.alive, 10, "the runner")
    stopping = replica.stop()
    replica.ending.hurry()
    stopping.join(10)
    assert not stopping.is_alive()
    assert ada.show(run).run.state is RunState.QUEUED
