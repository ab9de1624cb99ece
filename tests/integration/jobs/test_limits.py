"""A kernel over its limit ends alone, with its state kept: by control groups and by the watch."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import papermill
import psutil
import pytest

from respawn_jobs.host.control_groups import make_group
from respawn_jobs.model.runs import CellState, RunDetail, RunState
from respawn_jobs.model.settings import Cause, JobSettings, RetryPolicy
from respawn_jobs.notebook.document import read_notebook
from respawn_jobs.runner import confinement
from support.notebooks import notebook, text

pytestmark = pytest.mark.integration
MIB = 1 << 20
LIMIT = 400 * MIB
STATE = """
import random
random.seed(7)
numbers = [random.random() for _ in range(200_000)]
mine = {"same": numbers}
"""
ALLOCATES = """
import time
taken = []
while len(taken) < most:  # bounded, so that a limit that does not hold harms nobody
    taken.append(bytearray(b"x" * (8 << 20)))
    time.sleep(pause)
done = len(taken)
"""
AFTER = "print(done, len(numbers), mine['same'] is numbers, sum(numbers) == total, total)"


@pytest.fixture(params=["group", "watch"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Hold kernels by control groups where this account may make them, and by the watch alone."""
    if request.param == "watch":
        monkeypatch.setattr(confinement, "make_group", lambda *_, **__: None)
        yield "watchdog"
        return
    group = make_group("probe", ["memory", "pids", "cpu"])
    if group is None:
        pytest.skip("this account may make no control groups")
    group.remove()
    yield group.version


def failed_by(detail: RunDetail, name: str, cause: Cause) -> None:
    assert detail.run.error is not None
    assert detail.run.state is RunState.FAILED, detail.run.error
    assert (detail.run.error.name, detail.attempts[-1].cause) == (name, cause), detail.run.error


def from_the_top(cells: list[str], directory: Path) -> str:
    """What the last cell prints in a kernel of papermill's own, without limits."""
    (directory / "top.ipynb").write_text(text(notebook(*cells)))
    papermill.execute_notebook(directory / "top.ipynb", directory / "executed.ipynb", progress_bar=False)
    [output] = read_notebook((directory / "executed.ipynb").read_text()).cells[-1].outputs
    return str(output.text)


@pytest.mark.long
@pytest.mark.parametrize("pause", [0, 0.01])
def test_a_kernel_that_allocates_without_end_ends_and_the_resume_has_every_variable(
    bench: Any, way: str, pause: float, tmp_path: Path
) -> None:
    cells = [STATE, f"total = sum(numbers)\npause, most = {pause}, 80", ALLOCATES, AFTER]
    failed = bench.run(*cells, settings=JobSettings(memory_limit_bytes=LIMIT))
    failed_by(failed, "OutOfMemory", Cause.OUT_OF_MEMORY)
    assert failed.run.error.cell == 2
    assert "may take 400 MiB (memory_limit_bytes)" in failed.run.error.value
    record = failed.attempts[-1].limits
    assert record.by == way
    assert LIMIT <= record.peak_memory_bytes < 2 * LIMIT
    assert failed.cells[1].checkpoint is not None
    assert failed.cells[2].cost.memory_bytes >= record.peak_memory_bytes

    resumed = bench.resume(failed.run.id, memory_bytes=1200 * MIB)
    assert resumed.run.state is RunState.SUCCEEDED, resumed.run.error
    assert [cell.state for cell in resumed.cells[:2]] == [CellState.REUSED] * 2
    assert resumed.attempts[-1].limits.limits.memory_bytes == 1200 * MIB
    assert bench.printed(resumed.run.id, 3).startswith("80 200000 True True ")
    assert bench.printed(resumed.run.id, 3) == from_the_top(cells, tmp_path)


@pytest.mark.long
def test_a_run_short_of_memory_is_tried_again_with_twice_as_much_up_to_a_most(bench: Any) -> None:
    policy = RetryPolicy(attempts=4, delay_seconds=0, memory_factor=2, max_memory_bytes=300 * MIB)
    settings = JobSettings(memory_limit_bytes=100 * MIB, retries={Cause.OUT_OF_MEMORY: policy})
    queued = bench.queue(STATE, "total = sum(numbers)\npause, most = 0, 60", ALLOCATES, settings=settings)
    limits = []
    while not (detail := bench.service.show(queued)).run.state.final:
        detail = bench.execute(queued)
        limits.append(detail.attempts[-1].limits.limits.memory_bytes // MIB)
    failed_by(detail, "OutOfMemory", Cause.OUT_OF_MEMORY)
    assert limits == [100, 200, 300]
    assert "with a memory limit of 200 MiB" in detail.attempts[0].note
    assert "as high as the retry policy lets it be" in detail.attempts[-1].note
    assert detail.cells[1].state is CellState.REUSED


def test_a_limit_below_what_the_kernel_needs_is_refused_with_the_figure(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    startup = tmp_path / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "large.py").write_text(f"large = b'x' * {80 * MIB}")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    detail = bench.run("open('executed', 'w').close()", settings=JobSettings(memory_limit_bytes=100 * MIB))
    failed_by(detail, "MemoryLimitTooLow", Cause.OUT_OF_MEMORY)
    assert detail.run.error.cell is None
    assert re.search(r"takes 1\d\d MiB before its first cell, and may take 100 MiB", detail.run.error.value)
    assert not (bench.directory / "executed").exists()


FORKS = """
import os, time
for _ in range(3000):  # bounded, so that a limit that does not hold harms nobody
    if os.fork() == 0:
        if setsid: os.setsid()
        time.sleep(60)
        os._exit(0)
"""


@pytest.mark.long
@pytest.mark.parametrize("setsid", [False, True])
def test_a_kernel_that_forks_without_end_ends_with_all_that_it_forked(
    bench: Any, way: str, setsid: bool
) -> None:
    before = {process.pid for process in psutil.process_iter()}
    neighbour = psutil.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        failed = bench.run(
            STATE, f"setsid = {setsid}", FORKS, settings=JobSettings(process_limit=40, checkpoint_share=0)
        )
        failed_by(failed, "ProcessLimitExceeded", Cause.PROCESS_LIMIT)
        assert "itself included, and may have 40 (process_limit)" in failed.run.error.value
        assert failed.attempts[-1].limits.by == way
        assert 40 < failed.attempts[-1].limits.peak_processes < 3000
        assert failed.cells[1].checkpoint is not None
        assert neighbour.is_running()
        assert (
            not {child.pid for child in psutil.Process().children(recursive=True)} - before - {neighbour.pid}
        )
    finally:
        neighbour.kill()
        neighbour.wait()


FILLS = """
import time
for number in range(100):  # bounded, so that a limit that does not hold harms nobody
    with open(f"part-{number}", "wb") as file:
        file.write(b"x" * (4 << 20))
    time.sleep(0.05)
"""


@pytest.mark.long
def test_a_kernel_that_fills_its_directory_ends_and_the_run_has_its_record(bench: Any) -> None:
    (bench.directory / "before").write_bytes(b"x" * (150 << 20))  # is the directory's own
    failed = bench.run(STATE, FILLS, settings=JobSettings(disk_limit_bytes=100 * MIB))
    failed_by(failed, "DiskLimitExceeded", Cause.DISK_LIMIT)
    assert "and may grow by 100 MiB (disk_limit_bytes)" in failed.run.error.value
    record = failed.attempts[-1].limits
    assert (record.by, 100 * MIB < record.peak_disk_bytes < 300 * MIB) == ("watchdog", True)
    assert failed.cells[0].checkpoint is not None
    assert bench.service.notebook(failed.run.id)


def test_a_kernel_within_its_limits_is_left_alone(bench: Any, way: str) -> None:
    settings = JobSettings(memory_limit_bytes=LIMIT, process_limit=50, cpu_limit=1)
    detail = bench.run("import subprocess; x = subprocess.run(['true']).returncode", "x", settings=settings)
    assert detail.run.state is RunState.SUCCEEDED, detail.run.error
    assert detail.attempts[-1].limits.by == way
    assert 20 * MIB < detail.attempts[-1].limits.peak_memory_bytes < LIMIT


@pytest.mark.long
def test_what_a_held_child_keeps_is_not_the_kernels(bench: Any, way: str) -> None:
    held = "block = bytearray(180 << 20)\nblock[::4096] = b'y' * len(block[::4096])"
    rewrites = (
        "import time\nfor letter in (b'1', b'2', b'3'):\n    block[::4096] = letter * len(block[::4096])"
    )
    cells = [held, rewrites, f"{rewrites}\n    time.sleep(0.3)", "block[0]"]
    detail = bench.run(*cells, settings=JobSettings(memory_limit_bytes=330 * MIB, checkpoint_share=0))
    assert detail.run.state is RunState.SUCCEEDED, detail.run.error
    assert detail.attempts[-1].limits.by == way
    assert detail.attempts[-1].limits.peak_memory_bytes < 330 * MIB
