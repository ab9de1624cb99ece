"""History as one person sees it, in-process: `HistoryService` over the store."""

from __future__ import annotations

from pathlib import Path

from respawn_jobs.api.cell_grid import CellGrid
from respawn_jobs.api.differences import RunDifferences
from respawn_jobs.api.history import Collected, ImportRequest, OrphanRequest, Orphans
from respawn_jobs.blobs.backends import whole
from respawn_jobs.ledger.archive import export, import_
from respawn_jobs.ledger.blobs.garbage_collector import GarbageCollector
from respawn_jobs.ledger.blobs.orphan_files import orphans
from respawn_jobs.ledger.context.context import known_namespace
from respawn_jobs.ledger.differences import cell_grid, last_good
from respawn_jobs.ledger.jobs.catalog import check_job_name
from respawn_jobs.ledger.people.actor_base import ActorBase
from respawn_jobs.ledger.runs import pins
from respawn_jobs.model.runs import Run


class ActorHistory(ActorBase):
    """What one actor can do with runs that have ended; described in `respawn_jobs.api.history`."""

    def pin(self, run: str, *, pinned: bool) -> Run:
        """Keep a run whatever its job's retention says, or let it go."""
        return pins.pin(self._context, self.actor, run, pinned=pinned)

    def cell_grid(self, job: str, limit: int = 20, before: str | None = None) -> CellGrid:
        """Return what became of each cell in the latest runs of a job.

        Args:
            job: the job's name.
            limit: the most runs.
            before: the id of a run; only those before it are given. None for the newest.
        """
        return cell_grid.cell_grid(self._context, self.actor, job, limit, before)

    def differences(self, run: str) -> RunDifferences:
        """Return how a run differs from the last good one."""
        return last_good.differences(self._context, self.actor, run)

    def stream_archive(self, run: str, *, state: bool = True) -> export.Export:
        """Return a run's archive in pieces; access is checked at once."""
        return export.export(self._context, self.actor, run, state=state)

    def export_run(self, run: str, output: Path, *, state: bool = True) -> None:
        """Write an ended run to a file, as one archive.

        Args:
            run: the run's id.
            output: the file, written whole or not at all.
            state: whether its states go into the archive.
        """
        pieces = self.stream_archive(run, state=state).pieces
        with whole(output) as file:
            for piece in pieces:
                file.write(piece)

    def may_import(self, request: ImportRequest) -> None:
        """Raise what an import would raise for want of access, or for an archived job, before it is sent."""
        namespace = known_namespace(request.namespace or self.actor.namespace)
        self.actor.require("edit", namespace)
        if request.job is not None:
            import_.check_target(self._context, namespace, check_job_name(request.job))

    def import_run(self, archive: Path, request: ImportRequest) -> Run:
        """Take over an archived run under a fresh id."""
        return import_.import_run(self._context, self.actor, archive, request)

    def collect(self) -> Collected:
        """Remove blobs that nothing has named for the grace."""
        self.actor.require_everywhere("admin")
        collector = GarbageCollector(self._context, self._context.blob_grace)
        removed, ended = 0, False
        while not ended:
            step = collector.step()
            removed, ended = removed + step.removed, step.ended
        return Collected(removed=removed)

    def orphans(self, request: OrphanRequest) -> Orphans:
        """Look for files of the blob store that no record knows, and remove them if asked."""
        self.actor.require_everywhere("admin")
        return orphans(self._context, remove=request.remove)
