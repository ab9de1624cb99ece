"""Control groups of version 2 that kill, tell not everything, or cannot be had; who holds limits then."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from respawn_jobs.host.control_groups import ControlGroup, Controller, make_group
from respawn_jobs.model.limits import KernelLimits
from respawn_jobs.runner import confinement
from respawn_jobs.runner.confinement import Confinement
from respawn_jobs.runner.kernel.limit_watch import LimitWatch
from respawn_jobs.runner.kernel.limited_processes import KernelProcesses
from respawn_kernels.exchange.messages import GROUP_PREFIX

MIB = 1 << 20
OWN = "0::/service.slice/runner\n"
ALL: list[Controller] = ["memory", "pids", "cpu"]
LIMITS = KernelLimits(memory_bytes=400 * MIB, processes=9, cpus=1)


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    (tmp_path / "service.slice" / "runner").mkdir(parents=True)
    (tmp_path / "service.slice" / "cgroup.subtree_control").write_text("cpu memory pids\n")
    os.setxattr(tmp_path / "service.slice", "user.delegate", b"1")
    return tmp_path / "service.slice"


def place(parent: Path) -> Path:
    (found,) = parent.glob(f"{GROUP_PREFIX}*")
    return found


def made(parent: Path) -> ControlGroup:
    group = make_group("7", ALL, root=parent.parent, own=OWN)
    assert group is not None
    return group


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    """A process with a child, in a session of its own as a kernel is."""
    code = "import subprocess\nchild = subprocess.Popen(['sleep', '600'])\n"
    code += "print(child.pid, flush=True)\nchild.wait()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        yield running
        running.kill()


@pytest.mark.parametrize("peak", ["471859200\n", None])
def test_a_kernel_that_the_system_killed_one_process_of_ends_whole_and_says_so(
    parent: Path, process: subprocess.Popen[str], tmp_path: Path, peak: str | None
) -> None:
    assert process.stdout is not None
    child = int(process.stdout.readline())
    group = made(parent)
    files = place(parent)
    (files / "cgroup.procs").write_text(f"{process.pid}\n{child}\n")
    (files / "memory.events").write_text("low 0\nhigh 0\nmax 4\noom 1\noom_kill 0\n")
    known = KernelProcesses(process.pid, "held-none", group)
    watch = LimitWatch(known, LIMITS, group, tmp_path)
    try:
        watch.look()
        assert watch.exceeded() is None
        (files / "memory.events").write_text("low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\n")
        if peak is not None:  # Linux before 5.19 has no such file
            (files / "memory.peak").write_text(peak)
        watch.look()
        over = watch.exceeded()
    finally:
        known.forget()
    assert over is not None
    assert over.name == "OutOfMemory"
    assert f"took {450 if peak else 400} MiB of memory, and may take 400 MiB" in over.message
    assert process.wait(10) == -9
    assert Path(f"/proc/{child}/stat").exists() is False or " Z " in Path(f"/proc/{child}/stat").read_text()


def test_a_group_whose_files_are_gone_leaves_the_watch_to_look(
    parent: Path, process: subprocess.Popen[str], tmp_path: Path
) -> None:
    group = made(parent)
    known = KernelProcesses(process.pid, "held-none", group)
    watch = LimitWatch(known, LIMITS, group, tmp_path)
    watch.look()
    watch.look()  # what two looks in a row see is there
    known.forget()
    assert watch.exceeded() is None
    assert watch.peaks.processes >= 1


def test_controllers_that_may_not_be_handed_down_make_no_group(parent: Path) -> None:
    control = parent / "cgroup.subtree_control"
    control.unlink()
    control.mkdir()  # neither read nor written, whoever asks
    assert make_group("7", ALL, root=parent.parent, own=OWN) is None
    assert not list(parent.glob(f"{GROUP_PREFIX}*"))


def test_a_group_that_is_still_busy_is_not_removed(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("respawn_jobs.host.control_groups._REMOVE_SECONDS", 0.05)
    group = made(parent)
    (place(parent) / "cgroup.procs").write_text("4711\n")  # a directory with a file in it cannot be removed
    assert group.remove() is False
    (place(parent) / "cgroup.procs").unlink()
    assert group.remove() is True


@pytest.mark.parametrize("file", ["memory.max", "pids.max", "cgroup.procs"])
def test_a_limit_that_cannot_be_written_is_held_by_the_watch(
    file: str,
    parent: Path,
    process: subprocess.Popen[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refusing(name: str, controllers: list[Controller]) -> ControlGroup | None:
        group = make_group(name, controllers, root=parent.parent, own=OWN)
        (place(parent) / file).mkdir()
        return group

    monkeypatch.setattr(confinement, "make_group", refusing)
    kernel: Any = SimpleNamespace(pid=process.pid, name="python3", when_closed=[])
    held = Confinement(kernel, LIMITS, tmp_path / "spool", tmp_path)
    asyncio.run(held.begin())
    record = held.record()
    for closes in kernel.when_closed:
        closes()
    assert record is not None
    assert record.by == "watchdog"
    assert "is not in a control group" in caplog.text
    if file != "cgroup.procs":
        assert (parent / "runner" / "cgroup.procs").read_text() == str(process.pid), "it is where it was"
