"""Hundreds of forks of a kernel whose libraries are busy in other threads: it never hangs."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from respawn_environments.warm.adoption import adopting
from respawn_jobs.host.process_tree import children_of
from respawn_jobs.runner.kernel.held_child import end_all
from respawn_kernels.exchange.messages import SAVE, HeldChildFiles
from support.kernels import AGENT, running_kernel
from support.processes import look
from support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

BUSY = """
import io, threading, numpy as np, pandas as pd, pyarrow as pa, pyarrow.csv, pyarrow.compute as pc
from distributed import Client
stop, turns = threading.Event(), {"arrow": 0, "blas": 0, "pandas": 0, "dask": 0}
text = ("a,b\\n" + "1,2.5\\n" * 20_000).encode()
frame = pd.DataFrame({"key": np.arange(50_000) % 100, "value": np.arange(50_000.0)})
square = np.random.default_rng(1).random((300, 300)) + 300 * np.eye(300)
client = Client(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None)

def arrow():
    table = pyarrow.csv.read_csv(io.BytesIO(text))
    pc.sum(pc.sort_indices(table["b"]))
def blas(): np.linalg.solve(square @ square, np.ones(300))
def pandas(): frame.groupby("key")["value"].mean()
def dask(): client.submit(sum, range(1000), pure=False).result()

def run(name, work):
    while not stop.wait(0.001):
        work()
        turns[name] += 1

works = (arrow, blas, pandas, dask)
workers = [threading.Thread(target=run, args=(work.__name__, work), daemon=True) for work in works]
for worker in workers: worker.start()

def computed():
    return (
        float((square @ square).sum()),
        float(np.linalg.inv(square).sum()),
        float(np.linalg.solve(square, np.ones(300)).sum()),
    )
first = computed()
"""


@pytest.mark.long
@pytest.mark.parametrize("forks", [75, pytest.param(500, marks=pytest.mark.slow)])
def test_a_kernel_with_busy_libraries_bears_any_number_of_forks(tmp_path: Path, forks: int) -> None:
    spool = tmp_path / "spool"
    with adopting(), running_kernel(tmp_path) as kernel:
        kernel.silent(f"{AGENT}.start({str(spool)!r}, {os.getpid()})")
        kernel.run(BUSY)
        pauses, saved, refused, cell = [], [], 0, -1
        while len(pauses) < forks:
            cell += 1
            kernel.silent(f"{AGENT}.hold({cell})")
            place = HeldChildFiles(spool, cell)
            held = place.read_held()
            assert held is not None
            if held.mode == "none":
                assert "computes without a pause" in held.reason
                refused += 1
                assert refused < forks / 10
                continue
            pauses.append(held.seconds)
            if len(pauses) % 25 == 0:
                kernel.run("again = computed(); assert np.allclose(again, first), (again, first)")
                place.tell(SAVE)
                saved.append(place)
            _reap()
        turns = kernel.value("turns")
        assert min(turns.values()) > 10, f"somebody came to a halt: {turns}"
        kernel.run("stop.set()\nfor worker in workers: worker.join(30); assert not worker.is_alive()")
        reports = [wait_for(place.read_report, 60, f"the end of {place.cell}") for place in saved]
        assert {report.state for report in reports} == {"saved"}
        kernel.run("client.close()")
        end_all(spool)
    pauses.sort()
    print(f"{refused} refused; median {1e3 * pauses[forks // 2]:.1f} ms, longest {1e3 * pauses[-1]:.1f} ms")


def _reap() -> None:
    """Forget held children that ended: there would be hundreds."""
    for pid in children_of(os.getpid()):
        if (one := look(pid)) is not None and one.name.startswith("held-") and not one.runs:
            os.waitpid(pid, os.WNOHANG)


def test_the_time_that_a_fork_takes_is_told(tmp_path: Path) -> None:
    with adopting(), running_kernel(tmp_path) as kernel:
        kernel.silent(f"{AGENT}.start({str(tmp_path / 'spool')!r}, {os.getpid()})")
        started = time.monotonic()
        kernel.silent(f"{AGENT}.hold(0)")
        held = HeldChildFiles(tmp_path / "spool", 0).read_held()
        assert held is not None
        assert 0 < held.seconds < time.monotonic() - started
        end_all(tmp_path / "spool")
