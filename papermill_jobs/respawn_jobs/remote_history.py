"""History over HTTP, as `HistoryService` promises it."""

from __future__ import annotations

from pathlib import Path

from respawn_jobs.blob_backends import whole
from respawn_jobs.models import Run
from respawn_jobs.remote_link import RemoteBase, body, part, query
from respawn_jobs.service_history import Collected, ImportRequest, OrphanRequest, Orphans, Pinned

_LONG_SECONDS = 3600.0
"""How long an answer may take for which the whole store or a large archive is read."""


class RemoteHistory(RemoteBase):
    """A hub's ended runs as its people see them."""

    def pin(self, run: str, *, pinned: bool) -> Run:
        """Keep a run whatever its job's retention says, or let it go."""
        return self._one(Run, "PUT", f"api/runs/{part(run)}/pin", **body(Pinned(pinned=pinned)))

    def export_run(self, run: str, output: Path, *, state: bool = True) -> None:
        """Write an ended run to a file, as one archive."""
        path = f"api/runs/{part(run)}/archive"
        with whole(output) as file:
            for piece in self._link.stream("GET", path, **query(state="true" if state else "false")):
                file.write(piece)

    def import_run(self, archive: Path, request: ImportRequest) -> Run:
        """Take over an archived run under a fresh id."""
        told = query(namespace=request.namespace, job=request.job)
        with archive.open("rb") as file:
            headers = {"Content-Type": "application/zip", "Content-Length": str(archive.stat().st_size)}
            return self._one(
                Run, "POST", "api/runs/import", content=file, headers=headers, timeout=_LONG_SECONDS, **told
            )

    def collect(self) -> Collected:
        """Remove blobs that nothing has named for the grace."""
        return self._one(Collected, "POST", "api/blobs/collect", timeout=_LONG_SECONDS)

    def orphans(self, request: OrphanRequest) -> Orphans:
        """Look for files of the blob store that no record knows, and remove them if asked."""
        return self._one(Orphans, "POST", "api/blobs/orphans", timeout=_LONG_SECONDS, **body(request))
