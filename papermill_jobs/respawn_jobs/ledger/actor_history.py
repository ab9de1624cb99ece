"""History as one person sees it, in-process: `HistoryService` over the store."""

from __future__ import annotations

from pathlib import Path

from respawn_jobs.blob_backends import whole
from respawn_jobs.ledger import archives, importing, pins
from respawn_jobs.ledger.actor_base import ActorBase
from respawn_jobs.ledger.collecting import Collector
from respawn_jobs.ledger.context import known_namespace
from respawn_jobs.ledger.jobs import check_job_name
from respawn_jobs.ledger.orphans import orphans
from respawn_jobs.models import Run
from respawn_jobs.service_history import Collected, ImportRequest, OrphanRequest, Orphans


class ActorHistory(ActorBase):
    """What one actor can do with runs that have ended; told in `respawn_jobs.service_history`."""

    def pin(self, run: str, *, pinned: bool) -> Run:
        """Keep a run whatever its job's retention says, or let it go."""
        return pins.pin(self._context, self.actor, run, pinned=pinned)

    def stream_archive(self, run: str, *, state: bool = True) -> archives.Export:
        """Return a run's archive in pieces; access is checked at once."""
        return archives.export(self._context, self.actor, run, state=state)

    def export_run(self, run: str, output: Path, *, state: bool = True) -> None:
        """Write an ended run to a file, as one archive."""
        pieces = self.stream_archive(run, state=state).pieces
        with whole(output) as file:
            for piece in pieces:
                file.write(piece)

    def may_import(self, request: ImportRequest) -> None:
        """Raise what an import would raise for want of access, or for an archived job, before it is sent."""
        namespace = known_namespace(request.namespace or self.actor.namespace)
        self.actor.require("edit", namespace)
        if request.job is not None:
            importing.check_target(self._context, namespace, check_job_name(request.job))

    def import_run(self, archive: Path, request: ImportRequest) -> Run:
        """Take over an archived run under a fresh id."""
        return importing.import_run(self._context, self.actor, archive, request)

    def collect(self) -> Collected:
        """Remove blobs that nothing has named for the grace."""
        self.actor.require_everywhere("admin")
        collector = Collector(self._context, self._context.blob_grace)
        removed, ended = 0, False
        while not ended:
            step = collector.step()
            removed, ended = removed + step.removed, step.ended
        return Collected(removed=removed)

    def orphans(self, request: OrphanRequest) -> Orphans:
        """Look for files of the blob store that no record knows, and remove them if asked."""
        self.actor.require_everywhere("admin")
        return orphans(self._context, remove=request.remove)
