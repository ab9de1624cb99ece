"""What the machine can do at best: copying, hashing, writing, syncing and reading a GiB."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from harness import Series

from respawn_kernels.digest import digest_of

_BYTES = 1 << 30


def limits(directory: Path, rounds: int) -> list[Series]:
    """Measure seconds for 1 GiB of random bytes."""
    data = np.random.default_rng(0).random(_BYTES // 8)
    target, path, view = np.empty_like(data), directory / "limit", memoryview(data).cast("B")
    target[:] = 0

    def write() -> None:
        with path.open("wb", buffering=0) as file:
            done = 0
            while done < _BYTES:
                done += file.write(view[done : done + (4 << 20)])

    def write_and_sync() -> None:
        write()
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    def read() -> None:
        with path.open("rb", buffering=0) as file:
            file.readinto(memoryview(target).cast("B"))

    work: dict[str, Callable[[], object]] = {
        "memcpy": lambda: np.copyto(target, data),
        "BLAKE3": lambda: digest_of(view),
        "write to the page cache": write,
        "write and fsync": write_and_sync,
        "read from the page cache": read,
    }
    found = [Series(name, [_seconds(one, path, name) for _ in range(rounds)]) for name, one in work.items()]
    path.unlink()
    return found


def _seconds(work: Callable[[], object], path: Path, name: str) -> float:
    if name.startswith("write"):
        path.unlink(missing_ok=True)
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
