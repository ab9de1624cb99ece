"""Archives of runs over HTTP: what is streamed to a file, or from one."""

from __future__ import annotations

from pathlib import Path

from respawn_jobs.api.history import LONG_SECONDS, HistoryService, ImportRequest
from respawn_jobs.api.operation import operation_of
from respawn_jobs.blobs.backends import whole
from respawn_jobs.model.runs import Run
from respawn_jobs.remote.connection import RemoteBase, part, query, read


class RemoteArchives(RemoteBase):
    """The calls of `HistoryService` that pass files."""

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
            Unavailable: the service does not answer, or the archive broke off.
        """
        export = operation_of(HistoryService.export_run)
        wanted = query(state="true" if state else "false")
        with whole(output) as file:
            for piece in self._link.stream(export.method, export.address(lambda *_: part(run)), **wanted):
                file.write(piece)

    def import_run(self, archive: Path, request: ImportRequest) -> Run:
        """Take over an archived run under a fresh id."""
        called = operation_of(HistoryService.import_run)
        wanted = query(namespace=request.namespace, job=request.job)
        with archive.open("rb") as file:
            headers = {"Content-Type": "application/zip", "Content-Length": str(archive.stat().st_size)}
            sent = {"content": file, "headers": headers, "timeout": LONG_SECONDS}
            return read(Run, self._link.call(called.method, called.path, **sent, **wanted).content)
