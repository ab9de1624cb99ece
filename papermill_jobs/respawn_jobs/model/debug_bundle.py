"""All that a debug notebook is made of."""

from __future__ import annotations

from respawn_jobs.model.artifacts import Artifact
from respawn_jobs.model.base import Model
from respawn_jobs.model.checkpoints import Checkpoint
from respawn_jobs.model.jobs import Version
from respawn_jobs.model.runs import CellRecord, Run


class DebugBundle(Model):
    """All that is needed to open a run's failure in a notebook."""

    run: Run
    version: Version
    cells: list[CellRecord]
    notebook: str
    """Text of the executed notebook as far as it came."""
    checkpoint: Checkpoint | None = None
    """The state just before the cell that failed; None when that is an empty kernel."""
    blobs: list[str] = []
    """Digests that the manifest names, the manifest's own not among them."""
    artifacts: list[Artifact] = []
    """The latest of each name that the run kept."""
    worked_in: str | None = None
    """The directory of its own in which the run has worked; None for none, or where it did not say which."""
    link: str | None = None

    @property
    def lock(self) -> str | None:
        """Hash of the build of the kernel that the run used; None for a kernel of no lock."""
        return self.run.lock or self.version.lock
