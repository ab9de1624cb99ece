"""What differs between a run and the last run of its job that succeeded before it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from respawn_jobs.api.versions import CellChange, FileChange
from respawn_jobs.model.artifacts import Artifact
from respawn_jobs.model.base import Many, Model
from respawn_jobs.model.evidence import SeenFile
from respawn_jobs.model.open_values import OPEN


class ParameterDifference(Model):
    """A parameter whose value is another one, given or as a default, or that one of the two does not have."""

    name: str
    kind: Annotated[Literal["changed", "added", "removed"], OPEN]
    """added: the run that succeeded does not have it."""
    then: Any = None
    """Its value in the run that succeeded."""
    now: Any = None
    then_default: bool = False
    """Nobody gave it to the run that succeeded: it is the default of that version."""
    now_default: bool = False


class InputDifference(Model):
    """A file that a cell read, and that is not as the run that succeeded has read it."""

    path: str
    """As this run calls it."""
    cell: int
    """Which of this run's cells read it first."""
    then: SeenFile | None
    """As the run that succeeded found it; None where it was not seen to read it."""
    now: SeenFile
    same_size: bool = False
    """Only the time of its last change differs."""


class ArtifactDifference(Model):
    """What a run read of another job, where the run that succeeded read that of another run."""

    then: Artifact | None
    """As the run that succeeded read it; None where it did not."""
    now: Artifact


class RunDifferences(Model):
    """How a run differs from the last one of its job that succeeded, as far as that is recorded."""

    good: str | None = None
    """The id of the run that succeeded; None where none did before this one, or none is kept."""
    finished_at: datetime | None = None
    """When that one ended."""
    versions: tuple[int, int] | None = None
    """Both versions, when they differ."""
    cells: Many[CellChange] = []
    """Code cells that differ, up to the one that failed; `new` is their place in the executed notebook."""
    later_cells: int = 0
    """How many code cells differ below the one that failed."""
    files: Many[FileChange] = []
    """The files that the versions carry and that differ."""
    kernels: tuple[str, str] | None = None
    """The kernels of both, when they differ."""
    locks: tuple[str | None, str | None] | None = None
    """Hashes of the builds of the kernel's environment, when they differ."""
    parameters: Many[ParameterDifference] = []
    inputs: Many[InputDifference] = []
    """Files that cells up to the failing one read; what the run itself has written is left out."""
    artifacts: Many[ArtifactDifference] = []
    """What cells up to the failing one read of other jobs."""
    all_inputs_seen: bool = True
    """Whether the cells of both runs were seen to open all files that they read."""

    @property
    def differs(self) -> bool:
        """Whether anything that is recorded differs."""
        found = (self.cells, self.later_cells, self.files, self.kernels, self.locks)
        return any(found) or bool(self.parameters or self.inputs or self.artifacts)
