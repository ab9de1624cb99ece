"""A Dask cluster for this kernel: its workers run in the kernel's own environment and end with it.

Scheduler and workers listen on loopback only and speak TLS with keys made for this cluster, so that other
people on the machine can neither join it nor read along. Without the `cryptography` package there are no keys
to be made: then loopback is all the protection there is.
"""

from __future__ import annotations

import atexit
import importlib
import importlib.util
from typing import Any

_START_SECONDS = 60
_CLOSE_SECONDS = 10

_cluster: Any = None
_client: Any = None


def cluster(
    workers: int = 2,
    *,
    threads_per_worker: int = 1,
    memory_limit: str | int = "auto",
    dashboard: bool = True,
) -> Any:
    """Return a `distributed.Client` on a cluster of this kernel's own, started when there is none.

    A kernel has one cluster: a second call returns its client, scaled to `workers`; the other options count
    only when it starts. The cluster is closed when the kernel ends, also when the kernel is killed.

    Args:
        workers: how many processes, at least 1.
        threads_per_worker: threads in each.
        memory_limit: per worker, such as "2 GiB" or bytes; "auto" is the machine's memory by its share of
            the cores.
        dashboard: serve Dask's dashboard on a free port of loopback (needs bokeh).

    Raises:
        ValueError: `workers` is not a positive number.
        ModuleNotFoundError: dask and distributed are not installed in this environment.
        TimeoutError: the workers did not come up within a minute; nothing is left running.
    """
    global _cluster, _client
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ValueError(f"workers must be a whole number from 1 on, not {workers!r}")
    try:
        distributed: Any = importlib.import_module("distributed")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "respawn.cluster needs dask and distributed in this kernel's environment", name=error.name
        ) from error
    if not alive():
        close()
        _cluster = _start(workers, threads_per_worker, memory_limit, dashboard=dashboard)
    else:
        _cluster.scale(workers)
    if _client is None or _client.status != "running":
        _client = distributed.Client(_cluster)
    try:
        _client.wait_for_workers(workers, timeout=_START_SECONDS)
    except TimeoutError:
        close()
        raise
    return _client


def alive() -> bool:
    """Whether this kernel has a cluster that runs."""
    return _cluster is not None and _cluster.status.name == "running"


def close() -> None:
    """Close this kernel's cluster and client, if there are any."""
    global _cluster, _client
    client, own, _client, _cluster = _client, _cluster, None, None
    if client is not None:
        client.close(timeout=_CLOSE_SECONDS)
    if own is not None:
        own.close(timeout=_CLOSE_SECONDS)


def _start(workers: int, threads: int, memory_limit: str | int, *, dashboard: bool) -> Any:
    distributed: Any = importlib.import_module("distributed")
    own = distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=threads,
        memory_limit=memory_limit,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0" if dashboard and _installed("bokeh") else None,
        security=distributed.Security.temporary() if _installed("cryptography") else None,
    )
    # Registered after distributed's own hooks, so it runs before them.
    atexit.unregister(close)
    atexit.register(close)
    return own


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
