"""A database that was away: who could not be heard meanwhile is given the time to be."""

from __future__ import annotations

import pytest

from respawn_jobs.errors import Unavailable
from respawn_jobs.ledger.attempts import lifecycle
from respawn_jobs.model.runs import RunState
from support.runners import PlayedRunner


def away(*_: object, **__: object) -> list[str]:
    raise Unavailable("the database does not answer")


def test_a_runner_keeps_its_attempt_over_an_outage_and_loses_it_by_silence(
    queue, ada, ledger, clock, monkeypatch
):
    run = queue().id
    runner = PlayedRunner(ledger, run)
    watch = ledger.watch()
    for _ in range(20):
        assert watch.expire() == []
        runner.port.heartbeat()
        clock.forward(seconds=2)
    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "expire", away)
        for _ in range(20):
            with pytest.raises(Unavailable):
                watch.expire()
            clock.forward(seconds=2)
    assert watch.expire() == [], "its heartbeats had nowhere to go"
    runner.port.heartbeat()
    clock.forward(seconds=14)
    assert watch.expire() == []
    lost = []
    for _ in range(10):
        clock.forward(seconds=2)
        lost += watch.expire()
    assert lost == [run]
    assert ada.show(run).run.state is RunState.LOST
