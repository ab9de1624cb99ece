"""Loops go on after failures, rest no longer than they may, and end when told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from respawn_hub.loops.supervisor import Supervisor
from support.waiting import wait_for


@pytest.fixture
def supervised() -> Iterator[Callable[[Callable[[], float]], Supervisor]]:
    started: list[Supervisor] = []

    def start(work: Callable[[], float]) -> Supervisor:
        supervisor = Supervisor({"work": work})
        started.append(supervisor)
        supervisor.start()
        return supervisor

    yield start
    for supervisor in started:
        supervisor.stop()


def test_a_loop_that_fails_is_told_and_tried_again(supervised: Callable[..., Supervisor]) -> None:
    fail = threading.Event()
    fail.set()

    def work() -> float:
        if fail.is_set():
            raise OSError("disk full")
        return 60.0

    supervisor = supervised(work)
    wait_for(lambda: supervisor.health()["work"] == "OSError: disk full")
    fail.clear()
    supervisor.wake()
    wait_for(lambda: supervisor.health()["work"] == "ok")


def test_waking_ends_a_rest(supervised: Callable[..., Supervisor]) -> None:
    rounds: list[None] = []

    def work() -> float:
        rounds.append(None)
        return 3600.0

    supervisor = supervised(work)
    wait_for(lambda: len(rounds) == 1)
    supervisor.wake()
    wait_for(lambda: len(rounds) == 2)


def test_a_loop_that_is_not_named_rests_on() -> None:
    rounds: dict[str, int] = {"named": 0, "other": 0}

    def work(name: str) -> float:
        rounds[name] += 1
        return 3600.0

    supervisor = Supervisor({name: partial(work, name) for name in rounds})
    supervisor.start()
    try:
        wait_for(lambda: rounds == {"named": 1, "other": 1})
        supervisor.wake(["named"])
        wait_for(lambda: rounds["named"] == 2)
        assert rounds["other"] == 1
    finally:
        supervisor.stop()


def test_a_wake_during_the_work_is_not_lost(supervised: Callable[..., Supervisor]) -> None:
    rounds: list[None] = []
    working, go_on = threading.Event(), threading.Event()

    def work() -> float:
        rounds.append(None)
        working.set()
        go_on.wait(5)
        return 3600.0

    supervisor = supervised(work)
    assert working.wait(5)
    supervisor.wake()
    go_on.set()
    wait_for(lambda: len(rounds) == 2)


def test_a_loop_that_has_not_run_is_not_healthy() -> None:
    assert Supervisor({"work": lambda: 1.0}).health() == {"work": "not started"}
