"""History as people and their tools see it: pins, archives of runs, and blobs that nothing names."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from respawn_jobs.models import Model, Run


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

    def pin(self, run: str, *, pinned: bool) -> Run:
        """Keep a run whatever its job's retention says, or let it go."""

    def export_run(self, run: str, output: Path, *, state: bool = True) -> None:
        """Write an ended run to a file, as one archive: whole, or not at all.

        Without `state`, checkpoints stay out of it. Raises `Conflict` while the run has not ended.
        """

    def import_run(self, archive: Path, request: ImportRequest) -> Run:
        """Take over an archived run under a fresh id, pinned; its job is made when it is missing.

        Debugging or resuming it executes what is in its state. Raises `InvalidInput` for an archive that is
        damaged, newer than this version, or none, and `Conflict` for an archived job; nothing is changed
        then.
        """

    def collect(self) -> Collected:
        """Remove blobs that nothing has named for the grace, at once. For administrators."""

    def orphans(self, request: OrphanRequest) -> Orphans:
        """Look for files of the blob store that no record knows, and remove them if asked.

        For administrators.
        """
