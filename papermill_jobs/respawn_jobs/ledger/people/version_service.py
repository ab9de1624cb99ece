"""Versions as one person sees them, in-process: `VersionService` over the store."""

from __future__ import annotations

from collections.abc import Iterator

from respawn_jobs.api.service import Promotion
from respawn_jobs.api.versions import Comparison, PromotionPreview, ScheduleChange
from respawn_jobs.errors import NotFound
from respawn_jobs.ledger.jobs import promotion, version_contents
from respawn_jobs.ledger.jobs.promotion import Promoted
from respawn_jobs.ledger.people.actor_base import ActorBase
from respawn_jobs.ledger.runs import queries
from respawn_jobs.ledger.triggers import schedule_changes
from respawn_jobs.model.jobs import Schedule, Version
from respawn_jobs.model.runs import Run


class ActorVersions(ActorBase):
    """What one actor can do with versions; described in `respawn_jobs.api.versions`."""

    def promote(self, request: Promotion) -> Version:
        """Make a version."""
        return self.promoted(request).version

    def promoted(self, request: Promotion) -> Promoted:
        """Make a version, and tell whether it is a new one."""
        return promotion.promote(self._context, self.actor, request)

    def preview_promotion(self, request: Promotion) -> PromotionPreview:
        """Tell what `promote` would do; changes nothing."""
        return promotion.preview(self._context, self.actor, request)

    def version_notebook(self, job: str, number: int) -> str:
        """Return the text of a version's notebook, byte for byte."""
        return version_contents.notebook(self._context, self.actor, job, number)

    def stream_version_notebook(self, job: str, number: int) -> Iterator[bytes]:
        """Return the notebook of a version in pieces; access is checked at once."""
        return version_contents.stream_notebook(self._context, self.actor, job, number)

    def version_file(self, job: str, number: int, path: str) -> bytes:
        """Return the bytes of a file that a version carries.

        Args:
            job: the job, as `find_job` takes it.
            number: the version's number.
            path: the file's, as the version has it.
        """
        return version_contents.version_file(self._context, self.actor, job, number, path)

    def compare_versions(self, job: str, old: int, new: int) -> Comparison:
        """Tell how two versions of a job differ.

        Args:
            job: the job, as `find_job` takes it.
            old: number of the version to compare with.
            new: number of the version that is compared.
        """
        return version_contents.compare_versions(self._context, self.actor, job, old, new)

    def missing_version(self, job: str, number: int) -> NotFound:
        """Return that a job has no such version, with who removed it and when, where that is known."""
        return version_contents.missing_version(self._context, self.actor, job, number)

    def first_run(self, job: str, number: int) -> Run | None:
        """Return the oldest run of a version that is kept."""
        return queries.first_of_version(self._context, self.actor, job, number)

    def change_schedule(self, schedule: str, change: ScheduleChange) -> Schedule:
        """Change a schedule."""
        return schedule_changes.change(self._context, self.actor, schedule, change)
