"""Whether a kernel may be forked: reasons not to, in words for the cell's record.

A fork copies memory, not devices and not threads (fork(2)): a driver's state on a GPU is not copied, and a
lock that another thread held stays held in the child.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from respawn_kernels.exchange.messages import GROUP_PREFIX, MEBIBYTE, Options
from respawn_kernels.originals import open_file
from respawn_kernels.sizes import how_large

_MIN_FREE = 64 * MEBIBYTE
"""Nothing is forked with less, however little the cell is expected to rewrite."""


def why_not_fork(expected_copy_bytes: int, options: Options | None = None) -> str | None:
    """Return why this process must not be forked now; None when it may be.

    Args:
        expected_copy_bytes: bytes that the child, its page tables and what both rewrite may take soon.
        options: what the job's owner allows; None for the defaults.
    """
    options = options or Options()
    if not options.fork:
        return "the job's settings forbid forking"
    if sys.platform != "linux" or not hasattr(os, "fork") or not hasattr(os, "pidfd_open"):
        return "this platform cannot hold a forked child (Linux and Python with pidfd_open can)"
    if threading.current_thread() is not threading.main_thread():
        return "cells do not run in the kernel's main thread"
    return _gpu() or _allocator() or _memory(expected_copy_bytes, options)


def resident_bytes() -> int:
    """Return about how many bytes of this process are neither shared nor mapped from files (proc(5))."""
    resident, shared = Path("/proc/self/statm").read_bytes().split()[1:3]
    return max(0, int(resident) - int(shared)) * resource.getpagesize()


def available_bytes() -> int:
    """Return how many bytes may still be taken: of the machine, or of the control group if that is less."""
    return min([_machine_available(), *_group_available()])


def _gpu() -> str | None:
    torch = sys.modules.get("torch")
    if torch is not None and _says(lambda: torch.cuda.is_initialized()):
        return "CUDA is initialized (torch), and does not survive a fork"
    for name in ("cupy", "pycuda.driver", "jax", "tensorflow", "numba.cuda.cudadrv.driver"):
        if name in sys.modules and _open_gpu():
            return f"a GPU is in use ({name.partition('.')[0]}), and does not survive a fork"
    return "a GPU is in use, and does not survive a fork" if _open_gpu() else None


def _says(question: Any) -> bool:
    try:
        return bool(question())
    except Exception:  # noqa: BLE001  a library that is half imported, or another of that name
        return False


def _open_gpu() -> bool:
    """Return whether a device of a GPU is open here."""
    if not _has_gpu():
        return False
    for descriptor in os.listdir("/proc/self/fd"):  # noqa: PTH208  thousands of descriptors, names alone
        try:
            if os.readlink(f"/proc/self/fd/{descriptor}").startswith(("/dev/nvidia", "/dev/kfd")):  # noqa: PTH115
                return True
        except OSError:  # closed meanwhile
            continue
    return False


@cache
def _has_gpu() -> bool:
    return Path("/dev/nvidiactl").exists() or Path("/dev/kfd").exists()


@cache
def _allocator() -> str | None:
    """Return why the process's allocator, which is the same from start to end, forbids a fork; else None."""
    with open_file("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        if any("libjemalloc.so" in line.rpartition("/")[2] for line in maps):
            return "the process runs on jemalloc, whose locks may stay taken in a forked child"
    return None


def _memory(expected: int, options: Options) -> str | None:
    free, needed = available_bytes(), max(expected, _MIN_FREE)
    if free < needed:
        return f"too little memory is free: {how_large(free)}, and a held child may need {how_large(needed)}"
    limit = options.memory_mb * MEBIBYTE if options.memory_mb is not None else None
    if limit is not None and (resident := resident_bytes()) > limit:
        return (
            f"the kernel alone takes {how_large(resident)}, and kernel and snapshot together may "
            f"take {how_large(limit)}"
        )
    return None


def _machine_available() -> int:
    with open_file("/proc/meminfo", "rb") as file:
        for line in file:
            if line.startswith(b"MemAvailable:"):
                return int(line.split()[1]) * 1024
    return sys.maxsize


def _group_available() -> Iterator[int]:
    """Return what each control group above this process leaves."""
    for limit, usage, inactive in _groups():
        try:
            most = limit.read_bytes().strip()
            if most == b"max":
                continue
            # The use counts cached files, which the system drops before it kills (cgroup-v2.rst of Linux).
            left = int(most) - int(usage.read_bytes())
            for line in inactive.read_bytes().splitlines():
                if line.startswith((b"inactive_file ", b"total_inactive_file ")):
                    left += int(line.split()[1])
                    break
        except (OSError, ValueError):
            continue  # Race: the group was removed, or its files cannot be read by this account.
        yield max(0, left)


@cache
def _groups() -> tuple[tuple[Path, Path, Path], ...]:
    """Return the files with limit, use and reclaimable part of each group, v1 and v2 (cgroups(7)).

    That of the kernel alone does not count: the runner takes a held child out of it.
    """
    found = []
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return ()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            root, names = Path("/sys/fs/cgroup"), ("memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            root = Path("/sys/fs/cgroup/memory")
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
        else:
            continue
        place = root / path.lstrip("/")
        for group in (place, *place.parents):
            if (group / names[0]).exists() and not group.name.startswith(GROUP_PREFIX):
                found.append((group / names[0], group / names[1], group / "memory.stat"))
            if group == root:
                break
    return tuple(found)
