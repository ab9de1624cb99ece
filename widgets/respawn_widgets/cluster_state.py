"""Reading and steering a local Dask cluster for the panel."""

from __future__ import annotations

import os
from typing import Any

from respawn_widgets.messages import ClusterState, WorkerState

_MEBIBYTE = 1 << 20


def read_state(cluster: Any, dashboard: str | None) -> ClusterState:
    """Return what the panel shows; may be called from any thread.

    Args:
        cluster: a `distributed.LocalCluster`; None for none.
        dashboard: address of Dask's dashboard; None for none.
    """
    # Race: the scheduler changes its dicts in another thread, so they are copied before they are iterated.
    if not is_open(cluster):
        return ClusterState(open=False, wanted=0, most=1, workers=[], dashboard=None)
    wanted = len(cluster.worker_spec)
    workers = [_worker(worker) for worker in list(cluster.scheduler.workers.values())]
    return ClusterState(
        open=True,
        wanted=wanted,
        most=max(2 * (os.cpu_count() or 1), 8, wanted),
        workers=sorted(workers, key=lambda worker: (len(worker["name"]), worker["name"])),
        dashboard=dashboard or None,
    )


def is_open(cluster: Any) -> bool:
    """Whether the cluster runs."""
    return cluster is not None and getattr(cluster.status, "name", "") == "running"


def scale(cluster: Any, workers: Any) -> None:
    """Scale the cluster; returns before the workers are there.

    Args:
        cluster: a `distributed.LocalCluster`.
        workers: how many, from 1 to 1000; it comes from a browser and may be anything.

    Raises:
        ValueError: `workers` is not a possible number, or the cluster is closed.
    """
    if not is_open(cluster):
        raise ValueError("the cluster is closed")
    if isinstance(workers, bool) or not isinstance(workers, int) or not 1 <= workers <= 1000:
        raise ValueError(f"workers must be a whole number from 1 to 1000, not {workers!r}")
    cluster.scale(workers)


def _worker(worker: Any) -> WorkerState:
    memory = int(worker.metrics.get("memory", 0))
    return WorkerState(
        name=str(worker.name),
        memory=memory // _MEBIBYTE * _MEBIBYTE,
        limit=int(worker.memory_limit or 0),
        threads=int(worker.nthreads),
        tasks=len(worker.processing),
    )
