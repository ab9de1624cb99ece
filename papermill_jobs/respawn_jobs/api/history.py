"""History as people and their tools see it: pins, archives of runs, and blobs that nothing names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Protocol

from pydantic import Field

from respawn_jobs.api.cell_grid import MAX_RUNS, CellGrid
from respawn_jobs.api.differences import RunDifferences
from respawn_jobs.api.operation import operation
from respawn_jobs.model.base import Model
from respawn_jobs.model.runs import Run

LONG_SECONDS = 3600.0
"""How long an answer may take for which the whole store or a large archive is read."""


class Pinned(Model):
    """Whether retention leaves a run alone."""

    pinned: bool


class ImportRequest(Model):
    """Where an archived run goes."""

    namespace: str | None = None
    """None: the caller's own, `user/<name>`."""
    job: str | None = None
    """The job's name there; None for the name that it had."""


class Collected(Model):
    """What a collection removed."""

    removed: int
    """Blobs that nothing named any more."""


class OrphanRequest(Model):
    """What becomes of files of the store that no record knows."""

    remove: bool = False


class Orphans(Model):
    """Files of the blob store that no record knows and that are older than the grace."""

    count: int
    size: int
    """Bytes of all of them."""
    names: list[str]
    """The first thousand, as they are called in the store."""
    foreign: list[str]
    """Up to a thousand files that are not Respawn's by their name; they are never removed."""
    removed: int


class HistoryService(Protocol):
    """The part of `Service` that is about runs that have ended."""

    @operation("PUT", "runs/{run}/pin", fields=Pinned)
    def pin(self, run: str, *, pinned: bool) -> Run:
        """Keep a run whatever its job's retention says, or let it go."""

    @operation("GET", "grid")
    def cell_grid(
        self, job: str, limit: Annotated[int, Field(ge=1, le=MAX_RUNS)] = 20, before: str | None = None
    ) -> CellGrid:
        """Return what became of each cell in the latest runs of a job.

        Args:
            job: the job's name.
            limit: the most runs.
            before: the id of a run; only those before it are given. None for the newest.
        """

    @operation("GET", "runs/{run}/differences")
    def differences(self, run: str) -> RunDifferences:
        """Return how a run differs from the last run of its job that succeeded before it.

        Compared is what is recorded of both: versions, parameters, kernel, and the files that cells read.
        """

    @operation("GET", "runs/{run}/archive", status=200)
    def export_run(self, run: str, output: Path, *, state: bool = True) -> None:
        """Write an ended run to a file, as one archive: whole, or not at all.

        Args:
            run: id of the run.
            output: the file; one that was there is replaced.
            state: whether checkpoints go into the archive.

        Raises:
            Conflict: the run has not ended, or something it names is no longer stored.
            NotFound: there is no such run.
            Forbidden: the run may not be read.
        """

    @operation("POST", "runs/import", status=201)
    def import_run(self, archive: Path, request: ImportRequest) -> Run:
        """Take over an archived run under a fresh id, pinned; its job is made when it is missing.

        Debugging or resuming it executes what is in its state. Raises `InvalidInput` for an archive that is
        damaged, newer than this version, or none, and `Conflict` for an archived job; nothing is changed
        then.
        """

    @operation("POST", "blobs/collect", seconds=LONG_SECONDS)
    def collect(self) -> Collected:
        """Remove blobs that nothing has named for the grace, at once. For administrators."""

    @operation("POST", "blobs/orphans", seconds=LONG_SECONDS)
    def orphans(self, request: OrphanRequest) -> Orphans:
        """Look for files of the blob store that no record knows, and remove them if asked.

        For administrators.
        """
