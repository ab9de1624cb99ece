"""When an attempt stops, and which reason counts."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from respawn_jobs.api.runner_protocol import HeartbeatAnswer
from respawn_jobs.clock import lease_clock
from respawn_jobs.errors import Fenced, Unavailable
from respawn_jobs.runner.cancellation import Heartbeat, Stop, Stopper
from support.waiting import wait_for

CANCEL = Stop("cancelled", "Cancelled", "by a person")
LATE = Stop("timed_out", "RunTimeout", "too long")
FENCED = Stop("lost", "RunnerLost", "replaced", fenced=True)


class Answers:
    """The heartbeat of a service: each beat takes the next answer, the last one for ever."""

    def __init__(self, *answers: HeartbeatAnswer | Exception) -> None:
        self.left = list(answers)

    def heartbeat(self) -> HeartbeatAnswer:
        answer = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def beat():
    """Start a heartbeat over given answers; returns its stopper."""
    started: list[Heartbeat] = []

    def beat(*answers: HeartbeatAnswer | Exception, monotonic: Callable[[], float] | None = None) -> Stopper:
        stopper = Stopper()
        more = {"monotonic": monotonic} if monotonic else {}
        heartbeat = Heartbeat(Answers(*answers), 0.03, stopper, **more)
        heartbeat.start()
        started.append(heartbeat)
        return stopper

    yield beat
    for heartbeat in started:
        heartbeat.close()


def test_the_first_reason_counts() -> None:
    stopper = Stopper()
    stopper.request(CANCEL)
    stopper.request(LATE)
    assert stopper.reason == CANCEL


def test_being_fenced_overrides_any_other_reason() -> None:
    stopper = Stopper()
    stopper.request(CANCEL)
    stopper.request(FENCED)
    assert stopper.fenced


def test_a_request_from_another_thread_wakes_the_loop() -> None:
    async def waits() -> Stop | None:
        stopper = Stopper()
        stopper.attach()
        threading.Thread(target=stopper.request, args=(CANCEL,)).start()
        await asyncio.wait_for(stopper.wait(), 10)
        return stopper.reason

    assert asyncio.run(waits()) == CANCEL


def test_a_cancel_in_the_answer_stops_the_attempt(beat) -> None:
    stopper = beat(HeartbeatAnswer(), HeartbeatAnswer(command="cancel"))
    wait_for(lambda: stopper.reason, 10)
    assert (stopper.reason.state, stopper.fenced) == ("cancelled", False)


def test_a_fenced_answer_stops_the_attempt_at_once(beat) -> None:
    stopper = beat(Fenced("replaced"))
    wait_for(lambda: stopper.fenced, 10)


def test_a_service_that_comes_back_within_the_lease_stops_nothing(beat) -> None:
    stopper = beat(
        Unavailable("away"), HeartbeatAnswer(), HeartbeatAnswer(command="cancel"), monotonic=lambda: 0
    )
    wait_for(lambda: stopper.reason, 10)
    assert stopper.reason.state == "cancelled"


def test_a_service_that_is_away_for_longer_than_the_lease_fences_the_attempt(beat) -> None:
    stopper = beat(Unavailable("away"))
    wait_for(lambda: stopper.fenced, 10)
    assert "away" in stopper.reason.value


def test_a_lease_also_runs_out_while_the_machine_sleeps(beat) -> None:
    before, moments = time.monotonic(), [0.0, 0.0, 3600.0]
    stopper = beat(Unavailable("away"), monotonic=lambda: moments.pop(0) if len(moments) > 1 else moments[0])
    wait_for(lambda: stopper.fenced, 10)
    assert lease_clock() >= before
