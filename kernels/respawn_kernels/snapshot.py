"""What every way of taking a snapshot keeps to, and the errors that snapshots end in.

An engine writes the namespace of a kernel into a spool directory and reads it back (see `manifest` for the
layout). It never sees a store or a network: a runner carries the blobs. The engine that wrote a checkpoint is
named in its manifest, and the same engine reads it.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from respawn_kernels.manifest import Manifest, UnstoredVariable


class SnapshotError(Exception):
    """A snapshot could not be taken or restored; the namespace is as it was."""


class CorruptBlob(SnapshotError):
    """A blob of a checkpoint is missing, or its bytes are not those that its name promises."""


class WrongPython(SnapshotError):
    """The checkpoint holds compiled functions of another Python version."""


@dataclass(frozen=True)
class RestoreReport:
    """What a restore brought back."""

    manifest: Manifest
    restored: list[str]
    """Names that are in the namespace again."""
    failed: list[UnstoredVariable] = field(default_factory=list)
    """Variables that the checkpoint holds but that would not load here, with the reason."""
    cwd: str | None = None
    """The working directory now; None when the one that was recorded does not exist here."""


class Reader(Protocol):
    """Reads checkpoints of an earlier format; `restoring` reads those of the present one."""

    name: str

    def restore(self, manifest: Manifest, directory: Path, namespace: dict[str, Any]) -> RestoreReport:
        """Bring the variables of a checkpoint back into a live namespace.

        Args:
            manifest: which checkpoint.
            directory: where `blobs/` holds its blobs, all of them.
            namespace: the live namespace; functions of the notebook get it as their globals.

        Raises:
            CorruptBlob: the checkpoint cannot be read at all; nothing was changed. Damage that costs single
                variables is told in the report.
            WrongPython: the checkpoint was taken by another Python version; nothing was changed.
        """


class SnapshotEngine(Protocol):
    """A way of taking snapshots."""

    name: str

    def capture(
        self,
        namespace: dict[str, Any],
        cell: int,
        spool: Path,
        *,
        first_seen: Mapping[str, int],
        execution_count: int,
        parent: int | None = None,
        touched: Collection[str] | None = None,
        progress: Callable[[str | None], None] | None = None,
        leave_out: Mapping[str, str] | None = None,
        variable_seconds: float = 20.0,
        forked: bool = False,
        before_fork: Mapping[str, Any] | None = None,
    ) -> Manifest:
        """Write the namespace at a cell boundary into the spool, and return its manifest.

        Blobs are written before this returns; those that the spool or the parent has are not written again.
        The manifest itself is the caller's to write, last, so that a checkpoint that can be seen is whole.

        Args:
            namespace: the live namespace; IPython's own names in it are left out.
            cell: index of the cell that just finished.
            spool: directory with `blobs/`, and `manifests/` where the parent's is.
            first_seen: per name, the cell that made its present value.
            execution_count: the number of the next prompt.
            parent: cell of an earlier checkpoint in the spool, whose blobs are stored.
            touched: names that the cells since the parent could have touched; None for all.
            progress: told the variable that is pickled next.
            leave_out: variables that must not be tried, with the reason.
            variable_seconds: how long one variable may take.
            forked: this process is a child made for this, in which nothing else changes memory.
            before_fork: what `session_state.capture_before_fork` told in the process that was forked.

        Raises:
            SnapshotError: nothing can be stored at all; single variables that cannot be are listed instead.
            OSError: the spool cannot be written.
        """


def check_python(manifest: Manifest) -> None:
    """Raise WrongPython when this Python cannot load the functions of a checkpoint."""
    here = platform.python_version()
    if manifest.python.split(".")[:2] != here.split(".")[:2]:
        raise WrongPython(
            f"the checkpoint after cell {manifest.cell} was taken by Python {manifest.python} and this "
            f"kernel runs Python {here}; open it with the kernel that the run used"
        )


def engine() -> SnapshotEngine:
    """Return the engine that takes snapshots."""
    from respawn_kernels.groups import GroupsEngine

    return GroupsEngine()


def reader(name: str) -> Reader:
    """Return what reads the checkpoints of an earlier engine. Raises SnapshotError for an unknown one."""
    if name == "plain":
        from respawn_kernels.plain import PlainEngine

        return PlainEngine()
    raise SnapshotError(
        f"snapshot engine {name!r} is not known here (known: groups, plain); a newer Respawn wrote it?"
    )
