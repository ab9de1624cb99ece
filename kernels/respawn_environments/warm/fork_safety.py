"""Whether a fork bears what an import has started: threads, and the pools that they work for.

A child of a fork has the thread alone that called it (fork(2)); a library that goes on to count on the others
waits for ever. Some libraries make their pools anew in the child: those are tried, each time.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection
from pathlib import Path

_SECONDS = 20.0


class Unfit(Exception):
    """No kernel can come from this process; the message says why."""


def _numpy() -> None:
    import numpy as np

    ones = np.ones((256, 256))
    assert float((ones @ ones)[0, 0]) == 256.0  # noqa: S101  the child's status says it


def _pyarrow() -> None:
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.compute as pc  # type: ignore[import-untyped]

    assert pc.sum(pa.chunked_array([list(range(1000))] * 8)).as_py() == 8 * 499500  # noqa: S101


def _sklearn() -> None:
    from sklearn.metrics import pairwise_distances_argmin  # type: ignore[import-untyped]

    assert len(pairwise_distances_argmin([[0.0], [1.0]] * 600, [[0.0], [2.0]])) == 1200  # noqa: S101


def _torch() -> None:
    import torch

    ones = torch.ones(256, 256)
    assert float((ones @ ones)[0, 0]) == 256.0  # noqa: S101


_TRIALS: dict[str, Callable[[], None]] = {
    "numpy": _numpy,
    "pyarrow": _pyarrow,
    "sklearn": _sklearn,
    "torch": _torch,
}
"""What has a pool of threads that works in the child of a fork, with work for it."""


def check_threads(name: str, modules: Collection[str]) -> None:
    """See to it that a child can work with what was imported.

    Args:
        name: What was imported last.
        modules: All modules that kernels find imported.

    Raises:
        Unfit: There are threads of a library that nobody has tried, or the pool of one fails in a child.
    """
    threads = sum(1 for _ in Path("/proc/self/task").iterdir())
    if threads == 1:
        return
    tried = [library for library in _TRIALS if library in modules]
    if not tried:
        raise Unfit(f"the import of {name} has started {threads - 1} threads")
    for library in tried:
        if not _works_in_a_child(_TRIALS[library]):
            raise Unfit(f"{library} does not work in a fork, after the import of {name}")


def _works_in_a_child(work: Callable[[], None]) -> bool:
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException:  # noqa: BLE001  the parent is told by the status, whatever it was
            os._exit(1)
        os._exit(0)
    give_up = time.monotonic() + _SECONDS
    while time.monotonic() < give_up:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status == 0
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False
