"""The life of jobs as one person may change it, in-process: `JobLifeService` over the store."""

from __future__ import annotations

from respawn_jobs.ledger import job_life, removing
from respawn_jobs.ledger.actor_base import ActorBase
from respawn_jobs.models import Job
from respawn_jobs.service_versions import CurrentRequest, JobChange


class ActorJobLife(ActorBase):
    """What one actor can do; each method is told in `respawn_jobs.service_versions.JobLifeService`."""

    def make_current(self, ref: str, request: CurrentRequest) -> Job:
        """Let new runs use a version, older or newer."""
        return job_life.make_current(self._context, self.actor, ref, request)

    def change_job(self, ref: str, change: JobChange) -> Job:
        """Rename a job, archive it, or take it out of the archive."""
        return job_life.change_job(self._context, self.actor, ref, change)

    def remove_job(self, ref: str) -> None:
        """Remove an archived job with all it has, for good."""
        removing.remove_job(self._context, self.actor, ref)

    def remove_version(self, ref: str, number: int) -> None:
        """Remove a version."""
        removing.remove_version(self._context, self.actor, ref, number)

    def remove_run(self, run: str) -> None:
        """Remove an ended run with all it keeps."""
        removing.remove_run(self._context, self.actor, run)
