"""What a kernel's control group may have while held children come and go, and a start that is stopped."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from respawn_jobs.host.control_groups import ControlGroup, make_group
from respawn_jobs.model.limits import KernelLimits
from respawn_jobs.runner import confinement
from respawn_jobs.runner.confinement import Confinement
from respawn_jobs.runner.kernel import directory_growth
from respawn_kernels.exchange.messages import GROUP_PREFIX, Held
from support.waiting import wait_for

MIB = 1 << 20
LIMITS = KernelLimits(memory_bytes=100 * MIB)


@pytest.fixture
def sleepers() -> Iterator[list[subprocess.Popen[bytes]]]:
    begun = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) for _ in range(2)]
    yield begun
    for one in begun:
        one.kill()
        one.wait(10)


@pytest.fixture
def group(tmp_path: Path) -> tuple[ControlGroup, Path]:
    """A group of version 2 with its directory."""
    own = tmp_path / "service" / "runner"
    own.mkdir(parents=True)
    os.setxattr(own.parent, "user.delegate", b"1")
    (own.parent / "cgroup.subtree_control").write_text("memory pids cpu")
    made = make_group("1", ["memory", "pids"], root=tmp_path, own="0::/service/runner")
    assert made is not None
    (place,) = own.parent.glob(f"{GROUP_PREFIX}*")
    return made, place


def confined(pid: int, limits: KernelLimits, directory: Path) -> Confinement:
    kernel = SimpleNamespace(pid=pid, name="python3", when_closed=[])
    return Confinement(cast("Any", kernel), limits, directory / "spool", directory)


def kept(size: int, process: subprocess.Popen[bytes]) -> Held:
    return Held(pid=process.pid, mode="fork", reason=None, seconds=0.0, bytes=size)


def test_a_group_may_have_what_the_living_held_children_keep_and_no_more(
    group: tuple[ControlGroup, Path], sleepers: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    made, place = group
    held = confined(sleepers[0].pid, LIMITS, tmp_path)
    held._group = made

    def allowed() -> int:
        return int((place / "memory.max").read_text()) // MIB

    held.held(kept(30 * MIB, sleepers[0]))
    assert allowed() == 130
    held.held(kept(50 * MIB, sleepers[1]))
    assert allowed() == 180, "one saves itself while the next one is held"
    sleepers[0].kill()
    sleepers[0].wait(10)
    assert (held._allow(), allowed()) == (50 * MIB, 150)
    sleepers[1].kill()
    sleepers[1].wait(10)
    (place / "memory.current").write_text(f"{120 * MIB}\n")
    assert (held._allow(), allowed()) == (50 * MIB, 150), "its pages are not given back yet"
    (place / "memory.current").write_text(f"{90 * MIB}\n")
    assert (held._allow(), allowed()) == (0, 100)


def test_a_start_that_scans_a_directory_for_long_ends_when_nobody_waits_for_it(
    sleepers: list[subprocess.Popen[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanning = threading.Event()

    def endless(directory: Path, stop: threading.Event) -> int:
        scanning.set()
        stop.wait()
        return 0

    monkeypatch.setattr(directory_growth, "stored_bytes", endless)
    monkeypatch.setattr(confinement, "make_group", lambda *_, **__: None)
    held = confined(sleepers[0].pid, KernelLimits(disk_bytes=MIB), tmp_path)

    async def begun_and_stopped() -> None:
        beginning = asyncio.ensure_future(held.begin())
        await asyncio.to_thread(scanning.wait)
        beginning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await beginning

    asyncio.run(asyncio.wait_for(begun_and_stopped(), 60))
    held._kernel.when_closed[0]()
    wait_for(lambda: not [one for one in threading.enumerate() if one.name.startswith("respawn-")])
