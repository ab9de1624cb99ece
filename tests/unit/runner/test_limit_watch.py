"""The watch on a kernel's limits, on processes that no kernel is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from respawn_jobs.host.control_groups import ControlGroup, make_group
from respawn_jobs.host.directory_size import stored_bytes
from respawn_jobs.model.limits import KernelLimits
from respawn_jobs.runner.kernel import directory_growth
from respawn_jobs.runner.kernel.limit_watch import LimitWatch
from respawn_jobs.runner.kernel.limited_processes import KernelProcesses
from respawn_kernels.exchange.messages import GROUP_PREFIX
from support.waiting import wait_for

MIB = 1 << 20
Watched = Callable[..., LimitWatch]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """Make a watch on a process that says when it has done what it was told."""
    begun: list[tuple[subprocess.Popen[str], KernelProcesses]] = []

    def begin(code: str, limits: KernelLimits, *, wait: bool = True) -> LimitWatch:
        whole = f"{code}\nprint('done', flush=True)\nimport time; time.sleep(60)"
        process = subprocess.Popen(
            [sys.executable, "-c", f"input()\n{whole}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            cwd=tmp_path,
            text=True,
        )
        known = KernelProcesses(process.pid, "held-none", None)
        begun.append((process, known))
        watch = LimitWatch(known, limits, None, tmp_path)
        watch.start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        if wait:
            process.stdout.readline()
        return watch

    yield begin
    for process, known in begun:
        known.end()
        known.forget()
        process.wait(10)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def ended_by(watch: LimitWatch) -> tuple[str, str]:
    watch._thread.join(20)
    watch.close()
    over = watch.exceeded()
    assert over is not None
    return over.name, over.message


def test_memory_over_the_limit_ends_all_processes(watched: Watched) -> None:
    name, message = ended_by(watched(f"x = b'x' * {90 * MIB}", KernelLimits(memory_bytes=64 * MIB)))
    assert name == "OutOfMemory"
    assert "may take 64 MiB (memory_limit_bytes)" in message


def test_memory_that_forked_processes_copy_by_writing_ends_them(watched: Watched, tmp_path: Path) -> None:
    code = """
import os, time
block = bytearray(os.urandom(1 << 20) * 60)
for _ in range(3):
    if os.fork() == 0:
        while not os.path.exists("begin"):
            time.sleep(0.01)
        for page in range(0, len(block), 4096):
            block[page] ^= 1
        time.sleep(60)
        os._exit(0)"""
    watch = watched(code, KernelLimits(memory_bytes=140 * MIB))
    wait_for(lambda: 60 * MIB < watch._memory.probable < 140 * MIB, what="what they share to count once")
    assert watch.exceeded() is None
    (tmp_path / "begin").touch()
    name, message = ended_by(watch)
    assert name == "OutOfMemory"
    assert "may take 140 MiB" in message


def test_a_look_that_takes_long_is_followed_by_another_within_a_second(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with thousands of processes: a second of CPU for each look."""
    watch = watched("", KernelLimits(processes=100_000))
    watch._stop.set()
    watch._thread.join()
    clock = iter(range(1_000_000))
    monkeypatch.setattr(time, "thread_time", lambda: float(next(clock)))
    assert watch.look() <= 1


def test_what_it_takes_to_measure_memory_delays_no_look(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a kernel of a hundred gigabytes: a second of CPU for each measurement."""
    watch = watched(f"import os; x = b'x' * {30 * MIB}; os.fork()", KernelLimits(memory_bytes=200 * MIB))
    watch._stop.set()
    watch._thread.join()
    clock = iter(range(1_000_000))
    monkeypatch.setattr(time, "thread_time", lambda: float(next(clock)) if measuring else 0.0)
    measuring: list[bool] = []
    measure = watch._memory.measure

    def measured(pids: list[int]) -> int:
        measuring.append(True)
        try:
            return measure(pids)
        finally:
            measuring.pop()

    monkeypatch.setattr(watch._memory, "measure", measured)
    monkeypatch.setattr(watch._memory, "_routine_due", 0.0)
    assert watch.look() <= 0.25
    now = time.monotonic()
    assert now < watch._memory._pressing_due <= now + 2
    assert now < watch._memory._routine_due <= now + 10


def test_memory_is_watched_while_a_directory_is_scanned(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a million files in it: a scan that does not end."""
    scanning = threading.Event()

    def endless(directory: Path, stop: threading.Event) -> int:
        if threading.current_thread().name == "respawn-directory":
            scanning.set()
            stop.wait()
        return 0

    monkeypatch.setattr(directory_growth, "stored_bytes", endless)
    limits = KernelLimits(memory_bytes=100 * MIB, disk_bytes=1 * MIB)
    code = f"""
import os, time
open('new', 'wb').write(b'x' * {2 * MIB})
while not os.path.exists("begin"):
    time.sleep(0.01)
x = b'x' * {120 * MIB}"""
    watch = watched(code, limits, wait=False)
    scanning.wait(20)
    (watch._growth._directory / "begin").touch()
    assert ended_by(watch)[0] == "OutOfMemory"


def test_too_many_processes_are_ended(watched: Watched) -> None:
    code = "import subprocess\nchildren = [subprocess.Popen(['sleep', '60']) for _ in range(5)]"
    watch = watched(code, KernelLimits(processes=3))
    assert ended_by(watch)[0] == "ProcessLimitExceeded"
    assert 3 < watch.peaks.processes <= 6, "it may look before the last one is there"


def test_growth_of_the_directory_is_seen_and_what_was_there_is_not(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "before").write_bytes(b"x" * (4 * MIB))
    watch = watched(f"open('new', 'wb').write(b'x' * {3 * MIB})", KernelLimits(disk_bytes=2 * MIB))
    name, message = ended_by(watch)
    assert name == "DiskLimitExceeded"
    assert re.fullmatch(
        r"the run's directory grew by [23] MiB, and may grow by 2 MiB \(disk_limit_bytes\)", message
    )


def test_a_process_within_its_limits_lives(watched: Watched) -> None:
    limits = KernelLimits(memory_bytes=200 * MIB, processes=2, disk_bytes=2 * MIB)
    watch = watched("import subprocess; subprocess.run(['true'])", limits)
    for _ in range(3):
        watch.look()
    watch.close()
    assert watch.exceeded() is None
    assert 2 * MIB < watch.peaks.memory < 100 * MIB


def test_the_size_of_a_directory_is_what_is_stored(tmp_path: Path) -> None:
    before = stored_bytes(tmp_path)
    (tmp_path / "sparse").touch()
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(500 * MIB)
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "full").write_bytes(b"x" * MIB)
    (tmp_path / "again").hardlink_to(tmp_path / "below" / "full")
    (tmp_path / "link").symlink_to("/usr")
    assert MIB <= stored_bytes(tmp_path) - before < MIB + 65536


@pytest.fixture
def group(tmp_path: Path) -> tuple[ControlGroup, Path]:
    """A group of version 2 with its directory, whose processes the system has neither killed nor refused."""
    own = tmp_path / "service" / "runner"
    own.mkdir(parents=True)
    os.setxattr(own.parent, "user.delegate", b"1")
    (own.parent / "cgroup.subtree_control").write_text("memory pids cpu")
    made = make_group("1", ["memory", "pids"], root=tmp_path, own="0::/service/runner")
    assert made is not None
    (place,) = own.parent.glob(f"{GROUP_PREFIX}*")
    (place / "memory.events").write_text("oom_kill 0\n")
    (place / "pids.events").write_text("max 0\n")
    return made, place


class Ourselves(KernelProcesses):
    """So many processes."""

    count = 1

    def all(self) -> list[int]:
        return [os.getpid()] * self.count


@pytest.fixture
def ourselves() -> Iterator[Ourselves]:
    processes = Ourselves(os.getpid(), "held-none", None)
    yield processes
    processes.forget()


def test_a_system_that_tells_no_peak_tells_that_it_killed(
    group: tuple[ControlGroup, Path], ourselves: Ourselves
) -> None:
    made, place = group
    watch = LimitWatch(ourselves, KernelLimits(memory_bytes=64 * MIB), made, None)
    assert watch.exceeded() is None
    (place / "memory.events").write_text("oom_kill 1\n")
    over = watch.exceeded()
    assert over is not None
    assert (over.name, watch.peaks.memory) == ("OutOfMemory", 64 * MIB)


def test_what_held_children_keep_is_not_reported_as_the_kernels(
    group: tuple[ControlGroup, Path], ourselves: Ourselves
) -> None:
    made, place = group
    limits = KernelLimits(memory_bytes=64 * MIB)
    watch = LimitWatch(ourselves, limits, made, None, allowed_beside=lambda: 30 * MIB)
    (place / "memory.events").write_text("oom_kill 1\n")
    (place / "memory.peak").write_text(f"{94 * MIB}\n")
    assert watch.exceeded() is not None
    assert watch.peaks.memory == 64 * MIB


def test_threads_that_are_refused_are_no_processes(
    group: tuple[ControlGroup, Path], ourselves: Ourselves
) -> None:
    made, place = group
    watch = LimitWatch(ourselves, KernelLimits(processes=2), made, None)
    (place / "pids.events").write_text("max 7\n")
    assert watch.exceeded() is None
    watch.look()
    assert watch.exceeded() is None
    ourselves.count = 3
    over = watch.exceeded()
    assert over is not None
    assert over.message.startswith("the kernel had 3 processes, itself included, and may have 2")
