"""Versions over HTTP, as `VersionService` promises it."""

from __future__ import annotations

from respawn_jobs.models import Schedule
from respawn_jobs.remote_link import RemoteBase, body, part, query
from respawn_jobs.service import Promotion
from respawn_jobs.service_versions import Comparison, PromotionPreview, ScheduleChange


class RemoteVersions(RemoteBase):
    """What versions of a hub's jobs hold, and what a promotion there would do."""

    def preview_promotion(self, request: Promotion) -> PromotionPreview:
        """Tell what `promote` would do; changes nothing."""
        return self._one(PromotionPreview, "POST", "api/versions/preview", **body(request))

    def version_notebook(self, ref: str, number: int) -> str:
        """Return the text of a version's notebook, byte for byte."""
        path = f"api/job/versions/{int(number)}/notebook"
        return self._link.call("GET", path, **query(ref=ref)).content.decode()

    def compare_versions(self, ref: str, old: int, new: int) -> Comparison:
        """Tell how two versions of a job differ."""
        return self._one(Comparison, "GET", "api/job/compare", **query(ref=ref, old=old, new=new))

    def change_schedule(self, schedule: str, change: ScheduleChange) -> Schedule:
        """Change a schedule."""
        given = change.model_dump(mode="json", exclude_none=True)
        return self._one(Schedule, "PATCH", f"api/schedules/{part(schedule)}", json=given)
