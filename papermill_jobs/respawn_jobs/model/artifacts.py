"""What notebooks published, as clients of the service see it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from respawn_jobs.model.base import LARGEST, Many, Model, Whole


class ArtifactPart(Model):
    """A piece of an artifact's bytes: see `respawn_jobs.blobs.artifact_parts`."""

    digest: str
    size: int = Field(ge=0, le=LARGEST)
    """Bytes of the artifact in it."""


class Artifact(Model):
    """Something that a notebook kept under a name from within a cell."""

    name: str
    """The address `job/name` for what the run has read of another job."""
    number: int = Field(ge=1, lt=2**53)
    """Counts the saves under this name, also over the runs that resume each other."""
    kind: str
    """How it is stored: parquet, npy, torch, text, bytes, json, file, directory or pickle."""
    type: str
    """The class that was saved, such as `pandas.DataFrame`."""
    description: str = ""
    """Shape, length or value in a few words."""
    file: str
    """A name for the file when it is fetched, such as `model.parquet`."""
    size: int = Field(ge=0, le=LARGEST)
    saved_at: datetime
    cell: Whole | None = None
    """The cell that saved it, in the notebook of the run that is asked."""
    made_in: str = ""
    """The run that saved it: an earlier one, when this one goes on from there; an address: another job's."""
    attempt: Whole = 0
    """The attempt that saved it; 0 for what was taken over."""
    meta: dict[str, Any] = {}
    """What loading it in a kernel needs to know."""
    parts: Many[ArtifactPart] = []

    @property
    def is_read(self) -> bool:
        """Whether the run has read it of another job, and did not keep it itself."""
        return "/" in self.name


class ArtifactReader(Model):
    """A run of another job that has read an artifact of a run."""

    run: str
    job: str
    """`namespace/name`."""
    name: str
    """The artifact's name."""
    number: int
    """Which save of that name."""
