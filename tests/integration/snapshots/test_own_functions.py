"""What a notebook puts in the place of the standard library's functions is called by nobody but itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from respawn_environments.warm.adoption import adopting
from respawn_jobs.runner.kernel.held_child import end_all
from respawn_kernels.exchange.cell_evidence import CellEvidence
from respawn_kernels.exchange.messages import SAVE, HeldChildFiles, Options
from support.kernels import AGENT, Kernel, running_kernel
from support.waiting import wait_for

pytestmark = pytest.mark.integration

REPLACED = [
    *("time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter"),
    *("time.perf_counter_ns", "time.sleep", "os.getpid", "os.getppid", "os.stat", "os.scandir", "os.urandom"),
    *("builtins.open", "builtins.print", "json.dumps", "json.loads", "uuid.uuid4", "random.random"),
    *("random.choice", "tempfile.mkstemp"),
]

REPLACE = f"""
import builtins, functools, json, os, random, sys, tempfile, time, uuid
called = []

def counted(name, original):
    @functools.wraps(original)
    def function(*args, **more):
        if 'respawn_kernels' in sys._getframe(1).f_code.co_filename:
            called.append((name, sys._getframe(1).f_code.co_filename))
        return original(*args, **more)
    return function

for name in {REPLACED}:
    module, _, attribute = name.partition('.')
    module = sys.modules[module]
    setattr(module, attribute, counted(name, getattr(module, attribute)))
"""


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with adopting(), running_kernel(tmp_path) as kernel:
        kernel.silent(f"{AGENT}.start({str(tmp_path / 'spool')!r}, {os.getpid()}, {Options().to_json()!r})")
        yield kernel
        end_all(tmp_path / "spool")


def test_nothing_between_cells_calls_what_a_cell_put_there(kernel: Kernel, tmp_path: Path) -> None:
    kernel.run(REPLACE)
    for cell in range(3):
        kernel.silent(f"{AGENT}.hold({cell})")
        kernel.run(f"x = {cell}")
    assert kernel.value("called") == []
    records = sorted((tmp_path / "spool" / "evidence").iterdir())
    assert not any(CellEvidence.from_json(record.read_bytes()).overflow for record in records[:-1])


def test_a_state_is_written_though_the_clock_stands_still(kernel: Kernel, tmp_path: Path) -> None:
    kernel.run("import time\nx = [1]\ntime.time = time.monotonic = time.perf_counter = lambda: 0")
    kernel.silent(f"{AGENT}.hold(0)")
    place = HeldChildFiles(tmp_path / "spool", 0)
    assert place.tell(SAVE)
    assert wait_for(place.read_report, 60, "the child's report").state == "saved"
