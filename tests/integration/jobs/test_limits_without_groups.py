"""Limits where the system refuses a part of them, or where the runner alone watches."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest

from respawn_jobs.host.control_groups import make_group
from respawn_jobs.model.runs import RunState
from respawn_jobs.model.settings import Cause, JobSettings
from respawn_jobs.runner import confinement

pytestmark = pytest.mark.integration
MIB = 1 << 20


@pytest.fixture
def half_a_core() -> Iterator[None]:
    """Give this process half a core by a control group of version 1, as a service manager does."""
    group = make_group("outer", ["cpu"])
    if group is None or group.version != "cgroup_v1":
        pytest.skip("this account may make no control groups of version 1")
    try:
        group.limit_cpus(0.5)
        group.add(os.getpid())
        yield
    finally:
        with suppress(OSError):
            group.release(os.getpid())
        assert group.remove()


@pytest.mark.long
@pytest.mark.usefixtures("half_a_core")
def test_more_cores_than_the_runner_has_cost_no_other_limit(
    bench: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings = JobSettings(cpu_limit=2, memory_limit_bytes=400 * MIB)
    detail = bench.run("x = 1", settings=settings)
    assert detail.run.state is RunState.SUCCEEDED, detail.run.error
    assert detail.attempts[-1].limits.by == "cgroup_v1"
    assert "cannot limit its cores" in caplog.text


def test_what_a_cell_has_set_free_ends_with_a_kernel_that_is_only_watched(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confinement, "make_group", lambda *_, **__: None)
    free = "import subprocess\nprint(subprocess.Popen(['sleep', '600'], start_new_session=True).pid)"
    detail = bench.run(free, settings=JobSettings(process_limit=50))
    assert detail.run.state is RunState.SUCCEEDED, detail.run.error
    assert detail.attempts[-1].limits.by == "watchdog"
    pid = int(bench.printed(detail.run.id, 0))
    try:
        assert not psutil.pid_exists(pid)
    finally:
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).kill()


def test_a_class_that_the_notebook_calls_out_of_memory_is_its_own_error(bench: Any) -> None:
    detail = bench.run("class OutOfMemory(Exception): ...", "raise OutOfMemory('mine')")
    assert (detail.run.state, detail.run.error.name) == (RunState.FAILED, "OutOfMemory")
    assert detail.attempts[-1].cause is Cause.CELL_ERROR
