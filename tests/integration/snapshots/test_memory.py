"""What holding may cost in memory is bounded, whatever the cell does."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from respawn_environments.warm.adoption import adopting
from respawn_jobs.runner.kernel.held_child import end_all
from respawn_kernels.exchange.messages import MEBIBYTE, HeldChildFiles, Options
from respawn_kernels.fork.memory_budget import proportional_bytes
from respawn_kernels.sizes import how_large
from support.kernels import AGENT, running_kernel
from support.lengths import quick
from support.processes import held_and_writers, runs
from support.waiting import wait_for

pytestmark = pytest.mark.integration

SIZE = 300 * MEBIBYTE
ROOM = 160 * MEBIBYTE
LATE = 32 << 20
"""What a cell may rewrite before the child looks, on a machine with no free processor."""


class Watch(threading.Thread):
    """Keeps the most that a kernel and its children were seen to take together."""

    def __init__(self, kernel: int, spool: Path) -> None:
        super().__init__()
        self.most = 0
        self._kernel = kernel
        self._spool = spool
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.002):
            held, writers = held_and_writers(self._spool)
            self.most = max(self.most, sum(map(proportional_bytes, [self._kernel, *held, *writers])))

    def end(self) -> int:
        self._over.set()
        self.join()
        return self.most


@pytest.mark.long
@pytest.mark.parametrize("pause", quick({1}, [0.02, 0.002]))
def test_kernel_and_child_stay_within_the_budget_while_a_cell_rewrites_an_array(
    tmp_path: Path, pause: float
) -> None:
    spool = tmp_path / "spool"
    with adopting(), running_kernel(tmp_path) as kernel:
        kernel.run(f"import numpy as np, time\narray = np.ones({SIZE // 8})")
        limit = (proportional_bytes(kernel.pid) + ROOM) // MEBIBYTE
        kernel.silent(f"{AGENT}.start({str(spool)!r}, {os.getpid()}, {Options(memory_mb=limit).to_json()!r})")
        kernel.silent(f"{AGENT}.hold(0)")
        place = HeldChildFiles(spool, 0)
        held = place.read_held()
        assert held is not None
        assert held.pid is not None
        watch = Watch(kernel.pid, spool)
        watch.start()
        kernel.run(f"for part in np.array_split(array, 600): part += 1; time.sleep({pause})")
        most = watch.end()
        report = wait_for(place.read_report, 60, "the child to leave")
        wait_for(lambda: not runs(held.pid), 10, "its end")
        assert report.state in ("saved", "dropped")
        assert f"of {how_large(limit * MEBIBYTE)} that they may" in report.reason
        assert report.peak_pss <= limit * MEBIBYTE + LATE
        assert most <= limit * MEBIBYTE + LATE
        assert most > limit * MEBIBYTE - ROOM, "the watch saw something"
        assert kernel.value("(float(array.min()), float(array.max()))") == (2.0, 2.0)
        end_all(spool)


def test_a_cell_that_changes_little_is_held_to_its_end(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with adopting(), running_kernel(tmp_path) as kernel:
        kernel.run(f"import numpy as np, time\narray = np.ones({SIZE // 8})")
        limit = (proportional_bytes(kernel.pid) + ROOM) // MEBIBYTE
        kernel.silent(f"{AGENT}.start({str(spool)!r}, {os.getpid()}, {Options(memory_mb=limit).to_json()!r})")
        kernel.silent(f"{AGENT}.hold(0)")
        kernel.run("for turn in range(40): array[:1000] += 1; time.sleep(0.02); scratch = np.ones(1_000_000)")
        held = HeldChildFiles(spool, 0).read_held()
        assert held is not None
        assert held.pid is not None
        assert runs(held.pid)
        end_all(spool)
