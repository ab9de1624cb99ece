"""The life of jobs as one person may change it, in-process: `JobLifeService` over the store."""

from __future__ import annotations

from respawn_jobs.api.versions import CurrentRequest, JobChange
from respawn_jobs.ledger.job_life import job_changes, removal
from respawn_jobs.ledger.people.actor_base import ActorBase
from respawn_jobs.model.jobs import Job


class ActorJobLife(ActorBase):
    """What one actor can do; each method is described in `respawn_jobs.api.versions.JobLifeService`."""

    def make_current(self, job: str, request: CurrentRequest) -> Job:
        """Let new runs use a version, older or newer."""
        return job_changes.make_current(self._context, self.actor, job, request)

    def change_job(self, job: str, change: JobChange) -> Job:
        """Rename a job, archive it, or take it out of the archive."""
        return job_changes.change_job(self._context, self.actor, job, change)

    def remove_job(self, job: str) -> None:
        """Remove an archived job with all it has, for good."""
        removal.remove_job(self._context, self.actor, job)

    def remove_version(self, job: str, number: int) -> None:
        """Remove a version."""
        removal.remove_version(self._context, self.actor, job, number)

    def remove_run(self, run: str) -> None:
        """Remove an ended run with all it keeps."""
        removal.remove_run(self._context, self.actor, run)
