"""A debug notebook's kernel, and what its table tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from respawn_kernels.checkpoint.manifest import Manifest
from respawn_kernels.exchange.restore_point import run_directory
from support.kernels import CellFailed, Kernel

RUN = "run-0123456789"


def restored(kernel: Kernel) -> str:
    return kernel.run(f"%respawn restore {RUN}")


def take_over(spool: Path) -> None:
    """Let another kernel's checkpoint be the one that is restored."""
    for path in spool.glob("*s/*"):
        if path.parent.name in ("blobs", "manifests"):
            (run_directory(RUN) / path.parent.name / path.name).write_bytes(path.read_bytes())


def here(kernel: Kernel) -> dict[str, str]:
    """Return what the table says of each variable, in its last column."""
    lines = [line.split("  ") for line in kernel.run("%respawn state").splitlines()]
    return {cells[0].strip(): cells[-1].strip() for cells in lines if len(cells) > 2}


def pending(kernel: Kernel) -> set[str]:
    return {name for name, state in here(kernel).items() if state == "when used"}


def blob_of(directory: Path, name: str) -> Path:
    """Return the file of the last buffer of a variable."""
    manifest = Manifest.from_json((directory / "manifests" / "2.json").read_bytes())
    group = next(g for g in manifest.groups if any(f.name == name for f in g.frames))
    return directory / "blobs" / manifest.blobs[(group.buffers or [group.stream])[-1].pieces[-1].blob].digest


def errors(kernel: Kernel, code: str) -> str:
    with pytest.raises(CellFailed) as stopped:
        kernel.run(code)
    return str(stopped.value)
