"""The life of jobs over HTTP."""

from __future__ import annotations

from respawn_jobs.models import Job
from respawn_jobs.remote_link import RemoteBase, body, part, query
from respawn_jobs.service_versions import CurrentRequest, JobChange


class RemoteJobLife(RemoteBase):
    """A hub's service; each method is told in `respawn_jobs.service_versions.JobLifeService`."""

    def make_current(self, ref: str, request: CurrentRequest) -> Job:
        """Let new runs use a version, older or newer."""
        return self._one(Job, "PUT", "api/job/current", **query(ref=ref), **body(request))

    def change_job(self, ref: str, change: JobChange) -> Job:
        """Rename a job, archive it, or take it out of the archive."""
        return self._one(Job, "PATCH", "api/job", **query(ref=ref), **body(change))

    def remove_job(self, ref: str) -> None:
        """Remove an archived job with all it has, for good."""
        self._link.call("DELETE", "api/job", **query(ref=ref))

    def remove_version(self, ref: str, number: int) -> None:
        """Remove a version."""
        self._link.call("DELETE", f"api/job/versions/{int(number)}", **query(ref=ref))

    def remove_run(self, run: str) -> None:
        """Remove an ended run with all it keeps."""
        self._link.call("DELETE", f"api/runs/{part(run)}")
