"""Respawn's side of bench_snapshot.py: a real kernel, held and saved, and processes that restore it."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from harness import ROOT

import support.kernels
from respawn_kernels.exchange.messages import DROP, SAVE, HeldChildFiles
from support.kernels import AGENT, Kernel, running_kernel

_PR_SET_CHILD_SUBREAPER = 36
_TIME_LIMIT = 900.0
support.kernels._SECONDS = 900

RESTORE = """
import json, sys, time
from pathlib import Path
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
config = Config()
config.HistoryManager.enabled = False
shell = InteractiveShell.instance(config=config)
from respawn_kernels.checkpoint.manifest import read_manifest
from respawn_kernels.restore.restore import restore_lazily, restore_now
how, place, cell, imports, *lines = sys.argv[1:]
exec(imports)
started = time.perf_counter()
manifest = read_manifest(Path(place), int(cell))
if how == 'lazily':
    restore_lazily(manifest, Path(place), shell)
else:
    restore_now(manifest, Path(place), shell.user_ns, shell)
told = {'seconds': time.perf_counter() - started, 'after': []}
for line in lines:
    eval(line, shell.user_ns)
    told['after'].append(time.perf_counter() - started)
print(json.dumps(told))
"""


@dataclass
class Stored:
    """What storing in a kernel took."""

    waits: list[float] = field(default_factory=list)
    """Per cell, seconds that the kernel was asked to hold its state."""
    whole: float = 0.0
    """The first checkpoint, from the wish to its manifest."""
    durable: float = 0.0
    """The same with its files on the disk."""
    cpu: float = 0.0
    size: int = 0
    """Bytes of the first checkpoint."""
    saves: list[float] = field(default_factory=list)
    growth: list[int] = field(default_factory=list)
    """Bytes that each cell's checkpoint added."""
    last: int = 0
    """The last cell."""
    unstored: list[str] = field(default_factory=list)


def store(directory: Path, state: str, cells: list[str]) -> Stored:
    """Run a state's code in a kernel and save it, then each cell, every boundary held and saved."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    spool, found = directory / "spool", Stored(last=len(cells))
    with running_kernel(directory) as kernel:
        kernel.silent(f"{AGENT}.start({str(spool)!r}, {os.getpid()})")
        kernel.run(state)
        _hold(kernel, 0)  # the first fork of a process is not what every cell pays
        started = time.perf_counter()
        found.cpu = _save(spool, 0)
        found.whole = time.perf_counter() - started
        _sync(spool)
        found.durable = time.perf_counter() - started
        found.size = before = _bytes(spool)
        for number, cell in enumerate(cells, 1):
            kernel.run(cell)
            found.waits.append(_hold(kernel, number))
            started = time.perf_counter()
            _save(spool, number)
            found.saves.append(time.perf_counter() - started)
            found.growth.append(_bytes(spool) - before)
            before = _bytes(spool)
        HeldChildFiles(spool, len(cells)).tell(DROP)
    document = json.loads((spool / "manifests" / f"{len(cells)}.json").read_bytes())
    found.unstored = [f"{one['name']}: {one['reason']}" for one in document["unstored"]]
    return found


def restore(
    directory: Path, cell: int, how: str, lines: list[str], imports: str = ""
) -> dict[str, list[float]]:
    """Restore in a fresh process, `lazily` or `now`, and evaluate expressions; return when each was done."""
    command = [sys.executable, "-c", RESTORE, how, str(directory / "spool"), str(cell), imports, *lines]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    told: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return told


def _hold(kernel: Kernel, cell: int) -> float:
    started = time.perf_counter()
    kernel.silent(f"{AGENT}.hold({cell})")
    return time.perf_counter() - started


def _save(spool: Path, cell: int) -> float:
    place = HeldChildFiles(spool, cell)
    held = place.read_held()
    if held is None or held.pid is None or not place.tell(SAVE):
        raise RuntimeError(f"the state after cell {cell} is not held: {held}")
    give_up = time.monotonic() + _TIME_LIMIT
    while not place.report.exists() and time.monotonic() < give_up:
        time.sleep(0.002)
    report = place.read_report()
    if report is None or report.state != "saved":
        raise RuntimeError(f"the state after cell {cell} was not saved: {report}")
    _reap()
    return report.cpu_seconds


def _reap() -> None:
    """Bury children that came to this process when the kernel forked them off, and have ended."""
    for task in Path("/proc/self/task").iterdir():
        for pid in map(int, (task / "children").read_text().split()):
            name = Path(f"/proc/{pid}/comm")
            if name.exists() and name.read_text().startswith("held-"):
                os.waitpid(pid, os.WNOHANG)


def _sync(spool: Path) -> None:
    for path in (spool / "blobs").iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def _bytes(spool: Path) -> int:
    parts = [*(spool / "blobs").iterdir(), *(spool / "manifests").iterdir()]
    return sum(path.stat().st_size for path in parts)
