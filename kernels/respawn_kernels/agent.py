"""What a runner asks of a kernel, in silent requests between the cells.

Its state lives in this module, never in the user's namespace. What goes wrong here is raised to the runner,
which notes it in the cell's record; the run goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from respawn_kernels.digest import write_whole
from respawn_kernels.manifest import Manifest
from respawn_kernels.names import live_shell, user_names
from respawn_kernels.snapshot import RestoreReport, SnapshotError, engine


class _Makers:
    """Which cell made the present value of each name, told from what changed between two boundaries.

    A value is the same while it is the same object. An object that died may lend its address to the next one
    of its type: then the older cell is named.
    """

    def __init__(self) -> None:
        self.cells: dict[str, int] = {}
        self._seen: dict[str, tuple[int, type]] = {}

    def note(self, namespace: dict[str, Any], cell: int) -> None:
        """Note what a cell made."""
        now = {name: (id(namespace[name]), type(namespace[name])) for name in user_names(namespace)}
        self.cells = {
            name: self.cells.get(name, cell) if self._seen.get(name) == mark else cell
            for name, mark in now.items()
        }
        self._seen = now

    def take_over(self, manifest: Manifest, namespace: dict[str, Any]) -> None:
        """Go on from a restored checkpoint."""
        self.note(namespace, manifest.cell)
        self.cells |= {
            variable.name: variable.cell
            for variable in manifest.variables
            if variable.cell is not None and variable.name in self.cells
        }


_spool: Path | None = None
_engine = engine()
_makers = _Makers()


def start(spool: str) -> None:
    """Say where checkpoints go, before the first cell. Raises when this kernel cannot take snapshots."""
    global _spool, _makers
    directory = Path(spool)
    for part in ("blobs", "manifests"):
        (directory / part).mkdir(parents=True, exist_ok=True)
    _spool = directory
    _makers = _Makers()
    _makers.note(_shell().user_ns, -1)


def checkpoint(cell: int) -> None:
    """Write the state just after a cell into the spool; its manifest comes last and whole.

    Raises:
        SnapshotError: nothing could be stored; single variables that could not be are in the manifest.
        OSError: the spool cannot be written, for instance because the disk is full.
    """
    if _spool is None:
        raise SnapshotError("checkpoints were not started in this kernel")
    shell = _shell()
    _makers.note(shell.user_ns, cell)
    manifest = _engine.capture(
        shell.user_ns, cell, _spool, first_seen=_makers.cells, execution_count=shell.execution_count
    )
    write_whole(_spool / "manifests" / f"{cell}.json", manifest.to_json().encode(), durable=False)


def restore(directory: str, cell: int) -> RestoreReport:
    """Bring back the state just after a cell from a directory with its manifest and blobs.

    Raises:
        SnapshotError: no such checkpoint, or it cannot be read here; nothing was changed.
    """
    manifest = read_manifest(Path(directory), cell)
    shell = _shell()
    report = engine(manifest.engine).restore(manifest, Path(directory), shell.user_ns)
    # Never backwards: a prompt number that comes twice in a session upsets IPython's history.
    shell.execution_count = max(shell.execution_count, manifest.execution_count)
    _makers.take_over(manifest, shell.user_ns)
    return report


def read_manifest(directory: Path, cell: int) -> Manifest:
    """Read the manifest of a cell's checkpoint. Raises SnapshotError naming it when there is none."""
    path = directory / "manifests" / f"{cell}.json"
    try:
        return Manifest.from_json(path.read_bytes())
    except FileNotFoundError as error:
        raise SnapshotError(f"no checkpoint after cell {cell} in {directory}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SnapshotError(f"the manifest {path} cannot be read: {error}") from error


def _shell() -> Any:
    shell = live_shell()
    if shell is None:
        raise SnapshotError("this is not an IPython kernel")
    return shell
