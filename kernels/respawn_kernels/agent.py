"""What a runner asks of a kernel, in silent requests between the cells.

Its state lives in this module, never in the user's namespace. What goes wrong here is raised to the runner,
which notes it in the cell's record; the run goes on.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from respawn_kernels.digest import write_whole
from respawn_kernels.manifest import Manifest, UnstoredVariable
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
        known = {variable.name: variable.cell for variable in manifest.variables}
        known |= {variable.name: variable.cell for variable in manifest.unstored}
        self.cells |= {n: cell for n, cell in known.items() if cell is not None and n in self.cells}


_spool: Path | None = None
_engine = engine()
_makers = _Makers()
_names: set[str] = set()
"""The user's names just after the last restore."""
_lost: list[UnstoredVariable] = []
"""What the restored checkpoint could not give back: later checkpoints go on saying so."""


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
    _lost[:] = [variable for variable in _lost if variable.name not in shell.user_ns]
    manifest = replace(manifest, unstored=[*manifest.unstored, *_lost])
    write_whole(_spool / "manifests" / f"{cell}.json", manifest.to_json().encode(), durable=False)


def restore(directory: str, cell: int, report_to: str | None = None) -> RestoreReport:
    """Bring back the state just after a cell from a directory with its manifest and blobs.

    Args:
        directory: where they are.
        cell: the cell.
        report_to: file that gets what could not be loaded, as JSON: `failed`, each with `name`, `type`,
            `reason`, `cell` and `present` (whether the session has a variable of that name all the same).

    Raises:
        SnapshotError: no such checkpoint, or it cannot be read here; nothing was changed.
    """
    manifest = read_manifest(Path(directory), cell)
    shell = _shell()
    report = engine(manifest.engine).restore(manifest, Path(directory), shell.user_ns)
    # Never backwards: a prompt number that comes twice in a session upsets IPython's history.
    shell.execution_count = max(shell.execution_count, manifest.execution_count)
    _makers.take_over(manifest, shell.user_ns)
    _names.clear()
    _names.update(user_names(shell.user_ns))
    _lost[:] = [*manifest.unstored, *report.failed]
    if report_to is not None:
        failed = [{**asdict(item), "present": item.name in shell.user_ns} for item in report.failed]
        write_whole(Path(report_to), json.dumps({"failed": failed}).encode(), durable=False)
    return report


def restore_again(directory: str, cell: int, report_to: str | None = None) -> RestoreReport:
    """Restore once more after the cells tagged `respawn:always` ran on what `restore` brought back.

    Every variable that the checkpoint holds gets the checkpoint's value again, so such a cell gives back only
    what the checkpoint could not hold or what would not load here; other names that it made are removed.
    Objects that it made from restored ones refer to those of the first load, which now are nobody else's.

    Raises:
        SnapshotError: as `restore`.
    """
    manifest = read_manifest(Path(directory), cell)
    namespace = _shell().user_ns
    known = {variable.name for variable in manifest.variables}
    known |= {variable.name for variable in manifest.unstored}
    made = set(user_names(namespace)) - _names - known
    report = restore(directory, cell, report_to)
    for name in made:
        namespace.pop(name, None)
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
