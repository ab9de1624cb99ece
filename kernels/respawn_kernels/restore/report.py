"""What a restore brought back, and why a checkpoint cannot be restored here at all."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field

from respawn_kernels.checkpoint.errors import SnapshotError
from respawn_kernels.checkpoint.manifest import Manifest, UnstoredVariable


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


def check_python(manifest: Manifest) -> None:
    """Raise WrongPython when this Python cannot load the functions of a checkpoint."""
    # Functions are stored as bytecode, which every minor version of CPython may change.
    here = platform.python_version()
    if manifest.python.split(".")[:2] != here.split(".")[:2]:
        raise WrongPython(
            f"the checkpoint after cell {manifest.cell} was taken by Python {manifest.python} and this "
            f"kernel runs Python {here}; open it with the kernel that the run used"
        )
