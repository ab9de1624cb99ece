"""The agent in real kernels, driven as a runner drives it."""

from __future__ import annotations

from pathlib import Path

import pytest

from respawn_kernels.checkpoint.manifest import Manifest
from support.kernels import AGENT, CellFailed, running_kernel

pytestmark = pytest.mark.integration

CELL = """
import threading, numpy as np
class Account:
    def __init__(self, owner): self.owner = owner
    def greet(self): return greeting + self.owner
greeting = "hello "
ada = Account("ada")
table = np.arange(100_000)
lock = threading.Lock()
lock.acquire()
_private = 1
def total(): return int(table.sum())
40 + 2
"""


def manifest(spool: Path, cell: int) -> Manifest:
    return Manifest.from_json((spool / "manifests" / f"{cell}.json").read_bytes())


def test_state_moves_from_one_kernel_to_the_next(tmp_path: Path) -> None:
    here, spool = tmp_path / "work", tmp_path / "spool"
    here.mkdir()
    with running_kernel(here) as first:
        first.silent(f"{AGENT}.start({str(spool)!r})")
        first.run(CELL)
        first.silent(f"{AGENT}.checkpoint(0)")
        first.run("table[0] = 7; later = 1")
    told = manifest(spool, 0)
    assert {v.name for v in told.variables} == {
        *("threading", "np", "Account", "greeting", "ada", "table", "_private", "total")
    }
    assert [(v.name, v.type, v.cell) for v in told.unstored] == [("lock", "_thread.lock", 0)]
    assert told.cwd == str(here)
    with running_kernel(tmp_path) as second:
        second.silent(f"{AGENT}.restore({str(spool)!r}, 0)")
        assert second.value("(type(ada) is Account, ada.greet(), total(), _private)") == (
            True,
            "hello ada",
            4999950000,
            1,
        )
        assert second.execution_count == 2, "prompts go on where they stopped"
        second.run("greeting = 'bye '; table[0] = 1")
        assert second.value("(ada.greet(), total())") == ("bye ada", 4999950001)
        assert second.value("__import__('os').getcwd()") == str(here)
        with pytest.raises(CellFailed, match="NameError"):
            second.run("later")


def test_agent_leaves_no_trace_in_the_session(tmp_path: Path) -> None:
    with running_kernel(tmp_path) as kernel:
        kernel.run("x = 'mine'\n'the result'")
        names = kernel.value("sorted(globals())")
        kernel.silent(f"{AGENT}.start({str(tmp_path / 'spool')!r})")
        kernel.silent(f"{AGENT}.checkpoint(0)")
        with pytest.raises(CellFailed, match="no checkpoint after cell 9"):
            kernel.silent(f"{AGENT}.restore({str(tmp_path / 'spool')!r}, 9)")
        assert kernel.value("(_1, _ih[1], len(_ih), x)") == (
            "the result",
            "x = 'mine'\n'the result'",
            4,
            "mine",
        )
        assert kernel.execution_count == 3
        assert set(kernel.value("sorted(globals())")) - set(names) <= {"_i2", "_i3", "_i4", "_2", "_3"}


def test_name_that_is_bound_again_belongs_to_the_later_cell(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with running_kernel(tmp_path) as kernel:
        kernel.silent(f"{AGENT}.start({str(spool)!r})")
        for cell, code in enumerate(["rows = [1]; kept = {}", "rows = (r for r in [])", "kept['a'] = 1"]):
            kernel.run(code)
            kernel.silent(f"{AGENT}.checkpoint({cell})")
    told = manifest(spool, 2)
    assert [(v.name, v.cell) for v in told.unstored] == [("rows", 1)]
    assert [(v.name, v.cell) for v in told.variables] == [("kept", 0)]


@pytest.mark.long
def test_restored_kernel_takes_checkpoints_that_remember_the_makers(tmp_path: Path) -> None:
    spool, spool_2 = tmp_path / "one", tmp_path / "two"
    with running_kernel(tmp_path) as kernel:
        kernel.silent(f"{AGENT}.start({str(spool)!r})")
        kernel.run("old = [1]")
        kernel.silent(f"{AGENT}.checkpoint(3)")
    with running_kernel(tmp_path) as kernel:
        kernel.silent(f"{AGENT}.start({str(spool_2)!r})")
        kernel.silent(f"{AGENT}.restore({str(spool)!r}, 3)")
        kernel.run("new = old")
        kernel.silent(f"{AGENT}.checkpoint(5)")
    assert [(v.name, v.cell) for v in manifest(spool_2, 5).variables] == [("old", 3), ("new", 5)]


def test_checkpoint_without_start_says_so(tmp_path: Path) -> None:
    with running_kernel(tmp_path) as kernel, pytest.raises(CellFailed, match="checkpoints were not started"):
        kernel.silent(f"{AGENT}.checkpoint(0)")
