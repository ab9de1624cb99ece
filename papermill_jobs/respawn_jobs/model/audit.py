"""Records of who did what."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from respawn_jobs.model.base import Model


class AuditRecord(Model):
    """Who did what, chained by hashes so that a change cannot go unnoticed."""

    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    details: dict[str, Any] = {}
    previous: str
    hash: str
