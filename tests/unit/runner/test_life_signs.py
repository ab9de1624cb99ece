"""What counts as a sign of life of a running cell."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from respawn_jobs.host.process_tree import ProcessUsage
from respawn_jobs.runner.kernel.life_signs import LifeSigns

BEFORE = ProcessUsage(cpu_seconds=9.0, read_bytes=5000, written_bytes=700, stored_bytes=4096, pids=(7,))
START = datetime(2026, 3, 2, 8, tzinfo=UTC)


class Time:
    """Both clocks of a cell."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def clock(self) -> datetime:
        return START + timedelta(seconds=self.seconds)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def life(time: Time) -> LifeSigns:
    """Of a cell that began ten minutes ago and did nothing since."""
    life = LifeSigns(monotonic=time.monotonic, clock=time.clock)
    life.look(BEFORE)
    life.hear(100)
    time.seconds = 600.0
    return life


def idle(seconds: float) -> ProcessUsage:
    """What a kernel has used that waited for so long: measured on one that slept."""
    return replace(BEFORE, cpu_seconds=9.0 + 0.001 * seconds, read_bytes=5000 + int(16 * seconds),
                   written_bytes=700 + int(16 * seconds))  # fmt: skip


def test_a_kernel_that_waits_gives_none(life: LifeSigns, time: Time) -> None:
    life.look(idle(600))
    life.hear(100)
    assert life.silent_seconds == 600
    assert life.since == START
    assert life.in_words() == (
        "no sign of life for 600 seconds: since 2026-03-02 08:00:00 UTC it used 0.60 s of CPU, "
        "read and wrote nothing and put nothing out"
    )


@pytest.mark.parametrize(
    "more",
    [
        {"cpu_seconds": 11.0},
        {"read_bytes": 100_000},
        {"written_bytes": 100_000},
        {"stored_bytes": 8192},
        {"pids": (7, 8)},
        {"pids": ()},
    ],
    ids=lambda more: next(iter(more)),
)
def test_whatever_a_kernel_that_waits_does_not_is_one(life: LifeSigns, time: Time, more: dict) -> None:
    life.look(replace(idle(600), **more))
    assert life.silent_seconds == 0
    assert life.since == START + timedelta(seconds=600)
    time.seconds += 5
    life.look(replace(idle(600), **more))
    assert life.silent_seconds == 5


def test_bytes_of_a_connection_are_one(life: LifeSigns) -> None:
    life.hear(101)
    assert life.silent_seconds == 0


def test_a_connection_of_which_nobody_tells_is_none(life: LifeSigns) -> None:
    assert life.hear(None)
    assert not life.hear(500)
    assert life.silent_seconds == 600
    assert life.hear(500)


def test_an_output_is_one(life: LifeSigns) -> None:
    life.seen()
    assert life.silent_seconds == 0
