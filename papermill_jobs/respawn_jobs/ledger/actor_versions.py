"""Versions as one person sees them, in-process: `VersionService` over the store."""

from __future__ import annotations

from collections.abc import Iterator

from respawn_jobs.errors import NotFound
from respawn_jobs.ledger import promoting, runs, schedule_changes, versions
from respawn_jobs.ledger.actor_base import ActorBase
from respawn_jobs.ledger.promoting import Promoted
from respawn_jobs.models import Run, Schedule, Version
from respawn_jobs.service import Promotion
from respawn_jobs.service_versions import Comparison, PromotionPreview, ScheduleChange


class ActorVersions(ActorBase):
    """What one actor can do with versions; told in `respawn_jobs.service_versions`."""

    def promote(self, request: Promotion) -> Version:
        """Make a version."""
        return self.promoted(request).version

    def promoted(self, request: Promotion) -> Promoted:
        """Make a version, and tell whether it is a new one."""
        return promoting.promote(self._context, self.actor, request)

    def preview_promotion(self, request: Promotion) -> PromotionPreview:
        """Tell what `promote` would do; changes nothing."""
        return promoting.preview(self._context, self.actor, request)

    def version_notebook(self, ref: str, number: int) -> str:
        """Return the text of a version's notebook, byte for byte."""
        return versions.notebook(self._context, self.actor, ref, number)

    def stream_version_notebook(self, ref: str, number: int) -> Iterator[bytes]:
        """Return the notebook of a version in pieces; access is checked at once."""
        return versions.stream_notebook(self._context, self.actor, ref, number)

    def compare_versions(self, ref: str, old: int, new: int) -> Comparison:
        """Tell how two versions of a job differ."""
        return versions.compare_versions(self._context, self.actor, ref, old, new)

    def missing_version(self, ref: str, number: int) -> NotFound:
        """Return that a job has no such version, with who removed it and when, where that is known."""
        return versions.missing_version(self._context, self.actor, ref, number)

    def first_run(self, ref: str, number: int) -> Run | None:
        """Return the oldest run of a version that is kept."""
        return runs.first_of_version(self._context, self.actor, ref, number)

    def change_schedule(self, schedule: str, change: ScheduleChange) -> Schedule:
        """Change a schedule."""
        return schedule_changes.change(self._context, self.actor, schedule, change)
