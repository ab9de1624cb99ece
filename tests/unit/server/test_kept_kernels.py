"""Kernels of failed runs live on for a time after their last use, within a budget of memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from respawn_jobs.model.kernels import KeptKernel
from respawn_server.job_server.kept_kernels import KeptKernels

BEGIN = datetime(2026, 12, 1, 6, tzinfo=UTC)


class World:
    """A clock, uses of kernels and sizes of processes, all as a test says."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now = BEGIN
        self.used: dict[str, datetime] = {}
        self.sizes: dict[int, int] = {}
        self.released: list[str] = []
        self.there: list[KeptKernel] = []
        self.kept = KeptKernels(
            directory,
            clock=lambda: self.now,
            last_used=lambda file: self.used.get(file.stem),
            memory=lambda pid: self.sizes.get(pid, 0),
        )
        self.kept.budget = 100

    def fails(self, name: str, *, size: int = 1, seconds: float = 60) -> None:
        pid = len(self.sizes) + 1
        self.sizes[pid] = size
        file = self.directory / f"{name}.json"
        file.touch()
        self.there.append(KeptKernel(f"run-{name}", name, pid, seconds, str(file)))

    def tend(self) -> list[str]:
        reports = self.kept.tend(self.there, self.released.append)
        self.there = [one for one in self.there if one.attempt not in self.released]
        return [report.run for report in reports]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_one_ends_a_time_after_its_last_use(world: World) -> None:
    world.fails("a")
    assert world.tend() == ["run-a"]
    world.now += timedelta(seconds=50)
    world.used["a"] = world.now
    world.now += timedelta(seconds=50)
    assert world.tend() == ["run-a"]
    assert world.kept.until("run-a") == BEGIN + timedelta(seconds=110)
    world.now += timedelta(seconds=10)
    assert world.tend() == []
    assert world.released == ["a"]


def test_newest_failures_stay_where_memory_is_short(world: World) -> None:
    for name in ("a", "b", "c"):
        world.fails(name, size=40)
        world.tend()
        world.now += timedelta(seconds=1)
    assert world.released == ["a"]
    assert world.kept.find("run-a") is None
    assert world.kept.find("run-b") is not None


def test_one_that_alone_is_over_the_budget_goes_and_leaves_room_for_others(world: World) -> None:
    world.fails("small", size=40)
    world.tend()
    world.now += timedelta(seconds=1)
    world.fails("large", size=500)
    assert world.tend() == ["run-small"]
    assert world.released == ["large"]


def test_one_whose_process_or_file_is_gone_is_found_no_more(world: World) -> None:
    world.fails("a")
    world.fails("b")
    world.tend()
    (world.directory / "a.json").unlink()
    assert world.kept.find("run-a") is None
    assert world.kept.until("run-a") is not None  # its runner still ends it
    world.there.clear()
    assert world.tend() == []
    assert world.kept.find("run-b") is None
