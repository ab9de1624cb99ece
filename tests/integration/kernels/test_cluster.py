"""A Dask cluster from a notebook, in a real kernel: it works, and it never outlives the kernel."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import psutil
import pytest

from support.kernels import AGENT, CellFailed, Kernel, running_kernel
from support.processes import command_of
from support.waiting import wait_for

pytestmark = pytest.mark.integration


def workers_of(kernel: Kernel) -> list[psutil.Process]:
    children = psutil.Process(kernel.pid).children(recursive=True)
    return [one for one in children if "spawn_main" in "".join(command_of(one))]


def all_gone(processes: list[psutil.Process]) -> bool:
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


@pytest.mark.long
def test_notebook_gets_a_cluster_that_it_can_scale_and_close(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with running_kernel(tmp_path) as kernel:
        kernel.silent(f"{AGENT}.start({str(spool)!r})")
        shown = kernel.run("import respawn\nclient = respawn.cluster(workers=1)")
        assert "Dask cluster (1 worker)" in shown
        assert kernel.value("client.submit(lambda x: x + 1, 41).result()") == 42
        assert kernel.value("client.submit(lambda: __import__('sys').executable).result()") == kernel.value(
            "__import__('sys').executable"
        )
        assert "127.0.0.1" in kernel.value("client.scheduler.address")
        kernel.run("again = respawn.cluster(workers=2, panel=False)")
        assert kernel.value("(again is client, len(client.nthreads()))") == (True, 2)
        kernel.silent(f"{AGENT}.checkpoint(0)")
        told = json.loads((spool / "manifests" / "0.json").read_text())
        assert {v["name"] for v in told["unstored"]} == {"client", "again"}
        processes = workers_of(kernel)
        assert processes
        kernel.run("client.shutdown()")
        kernel.run("client = respawn.cluster(workers=1, panel=False)")
        assert kernel.value("client.submit(abs, -1).result()") == 1
        processes += workers_of(kernel)
    wait_for(lambda: all_gone(processes), 15, "the workers to end with their kernel")


@pytest.mark.long
def test_workers_die_with_a_kernel_that_is_killed(tmp_path: Path) -> None:
    with running_kernel(tmp_path) as kernel:
        kernel.run("import respawn, time\nclient = respawn.cluster(workers=2, panel=False)")
        kernel.run("busy = client.map(time.sleep, [600, 601])")
        processes = workers_of(kernel)
        assert len(processes) == 2
        os.kill(kernel.pid, signal.SIGKILL)
        wait_for(lambda: all_gone(processes), 20, "the workers of a killed kernel to end")


@pytest.mark.parametrize("workers", ["0", "-1", "'2'", "True", "1.5"])
def test_impossible_number_of_workers_is_refused(workers: str) -> None:
    import respawn

    with pytest.raises(ValueError, match="workers must be a whole number"):
        respawn.cluster(eval(workers))


def test_cluster_without_dask_says_what_is_missing(tmp_path: Path) -> None:
    with running_kernel(tmp_path) as kernel:
        kernel.run("import sys, respawn\nsys.modules['distributed'] = None")
        with pytest.raises(CellFailed, match="needs dask and distributed"):
            kernel.run("respawn.cluster()")
