"""What goes wrong while a state is saved: the run ends as it would have, and says what is missing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import pytest

from respawn_jobs.model.runs import RunDetail, RunState
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.runner.attempt import execute_attempt
from respawn_kernels.exchange.messages import Options

pytestmark = pytest.mark.integration

GOOD = "import numpy as np\nrows = [1, 2, 3]\nbig = np.random.default_rng(1).random(600_000)"
FAILS = "rows.clear()\nraise ValueError('as planned')"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """One second for each variable, where a job allows twenty."""
    given = {one.name: one.default for one in fields(Options)} | {"variable_seconds": 1.0}
    monkeypatch.setattr(Options.__init__, "__defaults__", tuple(given.values()))


def failed_as_planned(detail: RunDetail) -> None:
    assert (detail.run.state, detail.run.error.name) == (RunState.FAILED, "ValueError")


BAD = """
import ctypes, fractions, os, signal, threading, time
class Bad(fractions.Fraction):
    def __new__(cls, act):
        made = super().__new__(cls, 1)
        made.act = act
        return made
    def __reduce__(self): self.act()
def fail(): raise RuntimeError("not today")
def crash(): ctypes.string_at(0)
def leave(): os._exit(3)
def deaf():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    time.sleep(1000)
class Locked:
    def __init__(self): self.lock = threading.Lock()
    def __getstate__(self):
        with self.lock: return {}
raises, sleeps, crashes, leaves, hangs = map(Bad, (fail, lambda: time.sleep(1000), crash, leave, deaf))
locked = Locked()
locked.lock.acquire()
quits = Bad(lambda: exit())
"""


@pytest.mark.long
def test_variables_that_break_or_hang_the_pickling_are_listed_and_hurt_nothing_else(bench) -> None:
    detail = bench.run(GOOD, BAD, FAILS, "print(rows)")
    failed_as_planned(detail)
    *_, kept = detail.checkpoints  # on a busy machine one may come before
    reasons = {item.name: item.reason for item in kept.unstored}
    assert {"raises", "sleeps", "crashes", "leaves", "hangs", "locked", "quits"} <= set(reasons)
    assert "not today" in reasons["raises"]
    assert "within 1 s" in reasons["sleeps"]
    assert "within 1 s" in reasons["hangs"]
    assert "lock" in reasons["locked"]
    assert "SIGSEGV" in reasons["crashes"]
    assert "exit status 3" in reasons["leaves"]
    assert {"rows", "big"}.isdisjoint(reasons)
    assert all(item.cell == 1 for item in kept.unstored)


@pytest.mark.long
def test_a_dask_client_and_busy_threads_keep_nothing_else_from_being_kept(bench) -> None:
    busy = """
import threading, dask
from dask.distributed import Client
client = Client(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None)
future = client.submit(sum, rows)
future.result()
stop = threading.Event()
def spin():
    while not stop.is_set():
        np.linalg.inv(np.eye(60)) @ np.ones((60, 60))
workers = [threading.Thread(target=spin, daemon=True) for _ in range(3)]
for worker in workers: worker.start()
"""
    detail = bench.run(GOOD, busy, FAILS)
    failed_as_planned(detail)
    assert detail.checkpoints, [cell.note for cell in detail.cells]
    *_, kept = detail.checkpoints  # on a busy machine one may come before
    lost = {item.name for item in kept.unstored}
    assert "client" in lost
    assert len([name for name in lost if name.startswith("#running:thread") and "spin" in name]) == 3
    assert {"rows", "big"}.isdisjoint(lost)


@pytest.mark.long
def test_a_full_disk_ends_no_run_and_is_told(bench) -> None:
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))"
    detail = bench.run(f"{GOOD}\n{limit}", "x = 1", FAILS)
    failed_as_planned(detail)
    assert detail.checkpoints == []
    assert "no checkpoint: the spool cannot be written: File too large" in detail.cells[1].note


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[Path]:
    """A file system of its own, where the one who runs the tests may mount one."""
    path.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], check=False)
    if done.returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def execute(bench, spool: Path, *cells: str, **settings: float) -> RunDetail:
    run = bench.queue(*cells, settings=JobSettings(**settings))
    execute_attempt(bench.ledger.runner(*bench.ledger.open_attempt(run, "test")), spool=spool)
    return bench.service.show(run)


@pytest.mark.long
def test_a_spool_without_room_is_left_as_empty_as_it_was(bench, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "3m") as disk:
        detail = execute(bench, disk, GOOD, FAILS)
        failed_as_planned(detail)
        assert detail.checkpoints == []
        assert "No space left on device" in detail.cells[0].note
        assert list((disk / "blobs").iterdir()) == []
        whole = execute(bench, disk, GOOD, "print(sum(rows))", checkpoint_share=1)
    assert (whole.run.state, bench.printed(whole.run.id, 1)) == (RunState.SUCCEEDED, "6\n")
    assert "No space left on device" in whole.cells[0].note


def test_a_spool_that_becomes_read_only_is_told(bench, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "50m") as disk:
        remount = (
            f"import subprocess\nsubprocess.run(['mount', '-o', 'remount,ro', {str(disk)!r}], check=True)"
        )
        detail = execute(bench, disk, GOOD, remount, "print(sum(rows))", FAILS)
    failed_as_planned(detail)
    assert bench.printed(detail.run.id, 2) == "6\n"
    assert "Read-only file system" in detail.cells[1].note
    assert "Read-only file system" in detail.cells[2].note


def test_a_spool_that_is_removed_is_told(bench) -> None:
    remove = "import shutil\nfrom respawn_kernels.agent import requests as agent\nshutil.rmtree(agent._spool)"
    detail = bench.run(GOOD, remove, "print(sum(rows))", FAILS)
    failed_as_planned(detail)
    assert bench.printed(detail.run.id, 2) == "6\n"
    assert "no checkpoint" in detail.cells[1].note


def test_no_process_is_left_behind_by_a_run(bench) -> None:
    bench.run(GOOD, "x = 1", FAILS)
    children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    names = [Path(f"/proc/{pid}/comm").read_text() for task in children for pid in task.read_text().split()]
    assert [name for name in names if name.startswith("held-")] == []
