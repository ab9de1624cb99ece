"""The watch on what a held child costs."""

from __future__ import annotations

import mmap
import os

from respawn_kernels.fork import memory_budget
from respawn_kernels.fork.memory_budget import Budget, MemoryState, proportional_bytes
from respawn_kernels.sizes import how_large

MB = 1 << 20


def test_memory_that_grows_is_seen_before_the_limit_is_reached() -> None:
    limit = proportional_bytes(os.getpid()) * 2 + 100 * MB  # this process is both kernel and child here
    watch = Budget(os.getpid(), limit)
    assert watch.look() is MemoryState.FINE
    taken, verdict = [], MemoryState.FINE
    while verdict is MemoryState.FINE:
        memory = mmap.mmap(-1, 2 * MB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory.write(b"x" * (2 * MB))
        taken.append(memory)
        verdict = watch.look()
    assert verdict is MemoryState.SAVE
    assert 20 * MB < 2 * len(taken) * 2 * MB < 100 * MB
    assert f"of {how_large(limit)} that they may" in watch.reason
    assert watch.peak <= limit


def test_little_free_memory_ends_the_child_at_once(monkeypatch) -> None:
    watch = Budget(os.getpid(), None)
    assert watch.look() is MemoryState.FINE
    monkeypatch.setattr(memory_budget, "available_bytes", lambda: 10 * MB)
    assert watch.look() is MemoryState.LEAVE
    assert watch.reason == "only 10 MiB of memory were free"


def test_a_process_that_is_gone_takes_nothing() -> None:
    assert proportional_bytes(2**22 + 1) == 0


def test_the_child_of_a_kernel_with_a_limit_saves_itself_on_the_way_there_and_stays() -> None:
    limit = memory_budget._resident(os.getpid()) + 100 * MB
    watch = Budget(os.getpid(), None, kernel_limit=limit)
    assert watch.look() is MemoryState.FINE
    memory = mmap.mmap(-1, 150 * MB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.write(b"x" * (30 * MB))
    assert watch.look() is MemoryState.FINE
    memory.write(b"x" * (40 * MB))
    assert watch.look() is MemoryState.SAVE
    assert f"of {how_large(limit)} that it may" in watch.reason
    memory.write(b"x" * (70 * MB))
    assert watch.look() is MemoryState.SAVE  # the kernel is ended for that, not the child


def test_pages_are_not_walked_while_nothing_grows(monkeypatch) -> None:
    walked: list[int] = []
    measure = memory_budget.proportional_bytes
    monkeypatch.setattr(memory_budget, "available_bytes", lambda: 400 * MB)
    monkeypatch.setattr(memory_budget, "proportional_bytes", lambda pid: walked.append(pid) or measure(pid))
    watch = Budget(os.getpid(), None)
    assert watch.look() is MemoryState.FINE
    assert watch.look() is MemoryState.FINE
    assert walked == []
    memory = mmap.mmap(-1, 150 * MB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.write(b"x" * (15 * MB))  # it counts twice: this process is both kernel and child here
    assert watch.look() is MemoryState.FINE
    assert walked != []
    memory.write(b"x" * (50 * MB))
    assert watch.look() is MemoryState.SAVE
