"""The watch on a kernel's limits, on processes that no kernel is."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from respawn_jobs.host.directory_size import stored_bytes
from respawn_jobs.model.limits import KernelLimits
from respawn_jobs.runner.kernel.limit_watch import LimitWatch
from respawn_jobs.runner.kernel.limited_processes import KernelProcesses

MIB = 1 << 20
Watched = Callable[[str, KernelLimits], LimitWatch]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """Make a watch on a process that says when it has done what it was told."""
    begun: list[tuple[subprocess.Popen[str], KernelProcesses]] = []

    def begin(code: str, limits: KernelLimits) -> LimitWatch:
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
