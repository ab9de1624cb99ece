"""The kernels that wait in a runner: as many as are foreseen, of the right kinds, and within bounds."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from respawn_jobs.model.kernels import WantedKernel
from respawn_jobs.runner.kernel import ready_kernels
from respawn_jobs.runner.kernel.kernel_process import KernelFailed
from respawn_jobs.runner.kernel.ready_kernel import NotYet
from respawn_jobs.runner.kernel.ready_kernels import Bounds, ReadyKernels
from support.waiting import wait_for

PYTHON, SCIENCE, OTHER = WantedKernel("python3"), WantedKernel("science", "a" * 64), WantedKernel("other")
_numbers = itertools.count(1)


class Kernel:
    """A kernel that has come up and is no process."""

    def __init__(self, name: str, lock: str | None) -> None:
        self.name, self.lock = name, lock
        self.pid = next(_numbers)
        self.runs = True
        self.usual = True
        self.closed = False
        self.runner = object()

    def serves(self, _name: str, _directory: Path | None, _lock: str | None) -> bool:
        return self.usual

    def take(self) -> Kernel:
        return self

    def kill(self) -> None:
        self.runs = False

    def close(self) -> None:
        self.closed = True
        self.runs = False


class Starts:
    """Starts played kernels, those of some kinds not."""

    def __init__(self) -> None:
        self.kernels: list[Kernel] = []
        self.not_yet: set[str] = set()
        self.never: set[str] = set()
        self.prepared = 0
        self.now = 1000.0

    def __call__(self, name: str, lock: str | None) -> Any:
        if name in self.not_yet:
            raise NotYet("the zygote still imports")
        if name in self.never:
            raise KernelFailed("there is no such kernel")
        self.kernels.append(Kernel(name, lock))
        return self.kernels[-1]

    def prepare(self) -> None:
        self.prepared += 1

    @property
    def waiting(self) -> list[str]:
        return [one.name for one in self.kernels if not one.closed]


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> Starts:
    monkeypatch.setattr(ready_kernels.process_tree, "memory", lambda _pid: None)
    return Starts()


def pool(starts: Starts, **bounds: int) -> ReadyKernels:
    return ReadyKernels(Bounds(**bounds), start=starts, prepare=starts.prepare, monotonic=lambda: starts.now)


def tended(ready: ReadyKernels, times: int = 12) -> None:
    for _ in range(times):
        ready.tend()


def test_without_foresight_one_of_the_kind_that_was_used_waits(starts: Starts) -> None:
    ready = pool(starts)
    assert ready.tend() is None
    ready.used(SCIENCE)
    tended(ready)
    assert starts.waiting == ["science"]
    starts.now += 121
    tended(ready)
    assert starts.waiting == []
    ready.foresee([])
    tended(ready)
    assert starts.waiting == ["science"]
    ready.end()
    assert starts.waiting == []


def test_as_many_wait_as_are_foreseen_each_of_its_kind(starts: Starts) -> None:
    ready = pool(starts)
    ready.used(OTHER)
    ready.foresee([PYTHON, SCIENCE, PYTHON])
    tended(ready)
    assert starts.waiting == ["python3", "science", "python3"]
    ready.end()


def test_no_more_wait_than_is_allowed_and_what_is_wanted_no_more_makes_room(starts: Starts) -> None:
    ready = pool(starts, number=2)
    ready.used(OTHER)
    tended(ready)
    ready.foresee([PYTHON, SCIENCE, PYTHON])
    tended(ready)
    assert starts.waiting == ["python3", "science"]
    ready.end()
    none = pool(starts, number=0)
    none.used(PYTHON)
    none.foresee([PYTHON])
    tended(none)
    assert starts.waiting == []


def test_memory_that_they_have_together_is_bounded(starts: Starts, monkeypatch: pytest.MonkeyPatch) -> None:
    size = ready_kernels.process_tree.Memory(40, "pss")
    monkeypatch.setattr(ready_kernels.process_tree, "memory", lambda _pid: size)
    ready = pool(starts, number=10, memory=100)
    ready.foresee([PYTHON] * 5)
    tended(ready)
    assert starts.waiting == ["python3"] * 2
    ready.end()


def test_attempts_take_them_one_after_the_other_and_what_is_left_ends(starts: Starts) -> None:
    ready = pool(starts)
    ready.foresee([PYTHON, PYTHON, SCIENCE])
    tended(ready)
    first, second, science = starts.kernels
    for kernel in (first, second):
        assert ready.serves("python3", Path("/work"), None)
        assert ready.take() is kernel
        assert ready.runner is kernel.runner
        assert not science.closed
        ready.close()
        ready.used(PYTHON)
        tended(ready)
    assert not ready.serves("python3", Path("/work"), None)
    assert starts.waiting == ["science"]
    starts.now += 31
    tended(ready)
    assert starts.waiting == ["python3"], "nothing is foreseen any more, and that was used last"
    ready.end()


def test_one_of_another_kind_ends_before_an_attempt_begins_that_nothing_foresaw(starts: Starts) -> None:
    ready = pool(starts)
    ready.used(PYTHON)
    tended(ready)
    assert not ready.serves("science", Path("/work"), SCIENCE.lock)
    ready.close()
    assert starts.waiting == []


def test_one_that_would_differ_from_a_new_one_is_not_taken(starts: Starts) -> None:
    ready = pool(starts)
    ready.foresee([PYTHON, PYTHON])
    tended(ready)
    first, second = starts.kernels
    first.usual = False
    assert ready.serves("python3", Path("/work"), None)
    assert first.closed
    assert ready.take() is second
    ready.end()


def test_one_that_nobody_takes_ends_while_its_runner_is_at_work(
    starts: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready_kernels, "_FORESEEN_SECONDS", 0.05)
    ready = pool(starts)
    ready.foresee([PYTHON])
    ready.tend()
    (kernel,) = starts.kernels
    wait_for(lambda: not kernel.runs, 10, "its end")
    assert not ready.serves("python3", Path("/work"), None)
    ready.end()


def test_one_whose_zygote_still_imports_is_asked_for_again(starts: Starts) -> None:
    ready = pool(starts)
    starts.not_yet.add("science")
    ready.foresee([SCIENCE, PYTHON])
    assert ready.tend() == pytest.approx(0.5)
    assert starts.prepared == 1
    starts.not_yet.clear()
    tended(ready)
    assert starts.waiting == ["science", "python3"]
    ready.end()


def test_one_that_cannot_come_up_keeps_no_other_from_it(starts: Starts) -> None:
    ready = pool(starts)
    starts.never.add("other")
    ready.used(OTHER)
    ready.foresee([OTHER, PYTHON])
    tended(ready)
    assert starts.waiting == ["python3"]
    ready.end()


@pytest.mark.parametrize(
    ("given", "bounds"),
    [
        ({}, Bounds(4, 1 << 30)),
        ({"RESPAWN_READY_KERNELS": "0", "RESPAWN_READY_MEMORY": "2G"}, Bounds(0, 2 << 30)),
    ],
)
def test_bounds_are_settings(given: dict[str, str], bounds: Bounds) -> None:
    assert Bounds.of(given) == bounds


@pytest.mark.parametrize("given", [{"RESPAWN_READY_KERNELS": "many"}, {"RESPAWN_READY_MEMORY": "much"}])
def test_bounds_that_cannot_be_read_are_named(given: dict[str, str]) -> None:
    (name,) = given
    with pytest.raises(ValueError, match=name):
        Bounds.of(given)
