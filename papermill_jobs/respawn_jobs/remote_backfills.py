"""Backfills over HTTP, as `BackfillService` promises them."""

from __future__ import annotations

from respawn_jobs.remote_link import RemoteBase, body, part, query
from respawn_jobs.service_backfills import Backfill, BackfillPreview, BackfillRequest, BackfillStop


class RemoteBackfills(RemoteBase):
    """A hub's backfills as its people see them."""

    def preview_backfill(self, request: BackfillRequest) -> BackfillPreview:
        """Tell what a backfill would make and what is wrong with it."""
        return self._one(BackfillPreview, "POST", "api/backfills/preview", **body(request))

    def backfill(self, request: BackfillRequest) -> Backfill:
        """Start a backfill."""
        return self._one(Backfill, "POST", "api/backfills", **body(request))

    def backfills(self, job: str | None = None, limit: int = 50) -> list[Backfill]:
        """Return backfills, newest first."""
        return self._many(Backfill, "api/backfills", **query(job=job, limit=limit))

    def show_backfill(self, backfill: str) -> Backfill:
        """Return one backfill and how far it is."""
        return self._one(Backfill, "GET", f"api/backfills/{part(backfill)}")

    def stop_backfill(self, backfill: str, *, cancel: bool = False) -> Backfill:
        """Let a backfill make no more runs."""
        stop = BackfillStop(cancel=cancel)
        return self._one(Backfill, "POST", f"api/backfills/{part(backfill)}/stop", **body(stop))
