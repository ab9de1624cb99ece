"""Whether a fork bears what imports have started: threads, child processes, descriptors.

A child of a fork has the thread alone that called it (fork(2)); a library that goes on to count on the others
waits for ever. Some libraries make their pools anew in the child: only their threads are borne, and their
pools are tried in a child. A child process is waited for by the zygote alone, and what is open would be
shared by all kernels.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from respawn_kernels.counting import how_many

_SECONDS = 60.0
"""How long a trial may take: a pool that does not work hangs, and one that does may find the machine busy."""
_STATELESS = frozenset({"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"})
"""Devices that answer everybody alike."""
_bootstrap: Any = importlib.import_module("importlib._bootstrap")
"""The import system (importlib reference): `_load_unlocked` executes each module that an import finds."""


class Unfit(Exception):
    """No kernel can come from this process; the message says why."""

    def __init__(self, message: str, module: str | None = None, *, failed: bool = False) -> None:
        """Make the error.

        Args:
            message: What is wrong, in words.
            module: The module whose import is to blame; None where it is none of those that were asked for.
            failed: Whether that import failed; else it has started what a fork does not bear.
        """
        super().__init__(message)
        self.module = module
        self.failed = failed


def _numpy() -> None:
    import numpy as np

    ones = np.ones((256, 256))
    assert float((ones @ ones)[0, 0]) == 256.0  # noqa: S101  the child's status says it


def _scipy() -> None:
    import numpy as np
    from scipy.linalg import lu_factor  # type: ignore[import-untyped]

    assert float(lu_factor(2.0 * np.eye(256))[0][255, 255]) == 2.0  # noqa: S101


def _pyarrow() -> None:
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.compute as pc  # type: ignore[import-untyped]

    assert pc.sum(pa.chunked_array([list(range(1000))] * 8)).as_py() == 8 * 499500  # noqa: S101


def _sklearn() -> None:
    from sklearn.metrics import pairwise_distances_argmin  # type: ignore[import-untyped]

    assert len(pairwise_distances_argmin([[0.0], [1.0]] * 600, [[0.0], [2.0]])) == 1200  # noqa: S101


def _polars() -> None:
    import polars as pl

    rows = pl.DataFrame({"key": [0, 1] * 2000, "value": range(4000)}).lazy()
    assert rows.group_by("key").agg(pl.col("value").sum()).collect()["value"].sum() == 7998000  # noqa: S101


def _torch() -> None:
    import torch

    ones = torch.ones(256, 256)
    assert float((ones @ ones)[0, 0]) == 256.0  # noqa: S101


_TRIALS: dict[str, Callable[[], None]] = {
    "numpy": _numpy,
    "scipy": _scipy,
    "pyarrow": _pyarrow,
    "sklearn": _sklearn,
    "polars": _polars,
    "torch": _torch,
}
"""What has a pool of threads that works in the child of a fork, with work for it."""
_POOLS = frozenset({*_TRIALS, "_polars_runtime_32", "_polars_runtime_64", "_polars_runtime_compat"})
"""The packages whose own code may start threads: those with a trial, and what they are made of."""


class StartedByImports:
    """Sees what imports have started since it was made, but for what was seen before."""

    def __init__(self) -> None:
        """Take what there is now as given; there must be one thread."""
        self._threads: dict[str, int] = {}
        """How many threads the own code of each module has started."""
        self._within = 0
        """How many were started by what the module that is executed now has imported."""
        self._open = _descriptors()

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note meanwhile which module's own code starts threads."""
        load = _bootstrap._load_unlocked

        def loading(spec: Any) -> Any:
            outer, self._within = self._within, 0
            before = _threads()
            try:
                return load(spec)
            finally:
                grown = _threads() - before
                if grown > self._within:
                    self._threads[spec.name] = grown - self._within
                self._within = outer + grown

        _bootstrap._load_unlocked = loading
        try:
            yield
        finally:
            _bootstrap._load_unlocked = load

    def check(self, name: str) -> None:
        """See to it that a fork bears what the import of a module has started, but for known pools.

        Args:
            name: The module that was imported last.

        Raises:
            Unfit: It does not.
        """
        own = sum(count for module, count in self._threads.items() if module.partition(".")[0] not in _POOLS)
        unknown = _threads() - 1 - sum(self._threads.values())
        count = min(_threads() - 1, max(own, unknown, len(sys._current_frames()) - 1))
        if count > 0:
            raise Unfit(f"the import of {name} has started {how_many(count, 'thread')}", name)
        if children := _children():
            number = how_many(len(children), "child process", "child processes")
            raise Unfit(f"the import of {name} has started {number} ({_names(children)})", name)
        left = sorted({what for number, what in _descriptors().items() if self._open.get(number) != what})
        if left:
            raise Unfit(f"the import of {name} has left open: {', '.join(left)}", name)


def check_pools(imported: Mapping[str, str], seconds: float = _SECONDS) -> None:
    """Try the pools of libraries in a child, where there are threads; a try ends some of those here.

    Args:
        imported: All modules that kernels find imported, each with the one that was asked for and brought it.
        seconds: How long a try may take.

    Raises:
        Unfit: The pool of one fails in a child.
    """
    if _threads() == 1:
        return
    for library in _TRIALS:
        if library in imported and not _works_in_a_child(_TRIALS[library], seconds):
            name = imported[library]
            by = "" if name == library else f", which {name} imports,"
            raise Unfit(f"the threads of {library}{by} do not work in a fork", name)


def _threads() -> int:
    return os.stat("/proc/self/task").st_nlink - 2  # noqa: PTH116  called twice for each module


def _children() -> list[int]:
    found: list[int] = []
    for file in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # Race: the thread has ended since it was listed.
            found += map(int, file.read_text().split())
    return found


def _names(processes: Collection[int]) -> str:
    found = []
    for pid in processes:
        with suppress(OSError):  # it has ended
            found.append(Path(f"/proc/{pid}/comm").read_text().strip())
    return ", ".join(found) or "ended already"


def _descriptors() -> dict[int, str]:
    """Return what is open, in words, by its number, but for what answers everybody alike."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the directory that is being read
            found[int(entry.name)] = _in_words(str(entry.readlink()))
    return {number: what for number, what in found.items() if what not in _STATELESS}


def _in_words(target: str) -> str:
    """Return what a link in /proc/self/fd says: `socket:[77]`, `anon_inode:[eventpoll]`, or a path."""
    if target.startswith("/"):
        return target
    kind, _, what = target.partition(":")
    return what.strip("[]") if kind == "anon_inode" else f"a {kind}"


def _works_in_a_child(work: Callable[[], None], seconds: float) -> bool:
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException:  # noqa: BLE001  the parent is told by the status, whatever it was
            os._exit(1)
        os._exit(0)
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status == 0
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False
