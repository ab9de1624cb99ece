"""How much one namespace may store, and how many of its runs may wait, so that nobody can fill the service.

What a namespace stores is the sum of the blobs that it holds, each counted once for it, until the collector
takes them. The sum is remembered for a few seconds, and what was put since is added to it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from respawn_jobs.errors import QuotaExceeded
from respawn_jobs.model.runs import RunState
from respawn_jobs.store.tables import NamespaceBlobRow, RunRow
from respawn_kernels.counting import how_many, noun
from respawn_kernels.sizes import how_large

if TYPE_CHECKING:
    from respawn_jobs.ledger.context.context import Context

_REMEMBERED = timedelta(seconds=10)
_SMALL = 1 << 20
_FOR_SMALL = 1.1
"""What is small may pass the quota by a tenth, so that runs at work can record how they end."""


class Quotas:
    """The quotas of each namespace; None for none."""

    def __init__(self, stored_bytes: int | None = None, waiting_runs: int | None = None) -> None:
        self.stored_bytes = stored_bytes
        self.waiting_runs = waiting_runs
        self._lock = Lock()
        self._sums: dict[str, tuple[datetime, int]] = {}

    def check_room(self, context: Context, namespace: str, size: int) -> None:
        """Refuse what would make a namespace store more than its quota.

        Args:
            context: the ledger's surroundings.
            namespace: for which something is about to be stored.
            size: bytes.

        Raises:
            QuotaExceeded: naming the quota, what is stored, and what to do.
        """
        if self.stored_bytes is None:
            return
        allowed = self.stored_bytes * (_FOR_SMALL if size <= _SMALL else 1.0)
        with self._lock:
            used = self._used(context, namespace)
            if used + size <= allowed:
                self._sums[namespace] = (self._sums[namespace][0], used + size)
                return
        raise QuotaExceeded(
            f"{namespace} stores {how_large(used)} of the {how_large(self.stored_bytes)} that it may, and "
            f"this needs {how_large(size)}: let old runs go (`keep` of the job, or unpin runs), take fewer "
            "checkpoints, or ask the administrator for more (RESPAWN_QUOTA_STORED)",
            quota="stored",
            namespace=namespace,
            used=used,
            limit=self.stored_bytes,
        )

    def check_waiting(self, session: Session, namespace: str) -> None:
        """Refuse one more waiting run. Raises `QuotaExceeded`, naming the quota and what to do."""
        problem = self.waiting_problem(session, namespace)
        if problem is not None:
            raise QuotaExceeded(problem, quota="waiting", namespace=namespace, limit=self.waiting_runs)

    def waiting_problem(self, session: Session, namespace: str) -> str | None:
        """Return why a namespace may have no further waiting run, in words; None when it may."""
        if self.waiting_runs is None:
            return None
        query = select(RunRow.id).where(RunRow.namespace == namespace, RunRow.state == RunState.QUEUED.value)
        few = query.limit(self.waiting_runs).subquery()
        if (session.scalar(select(func.count()).select_from(few)) or 0) < self.waiting_runs:
            return None
        return (
            f"{how_many(self.waiting_runs, 'run')} of {namespace} {noun(self.waiting_runs, 'waits', 'wait')} "
            "already, which is as many as may: cancel some, wait, or ask the administrator for more "
            "(RESPAWN_QUOTA_WAITING_RUNS)"
        )

    def _used(self, context: Context, namespace: str) -> int:
        now = context.clock()
        asked, used = self._sums.get(namespace, (None, 0))
        if asked is None or now - asked > _REMEMBERED:
            with context.database.session() as session:
                used = stored_bytes(session, namespace).get(namespace, 0)
            self._sums[namespace] = (now, used)
        return used


def stored_bytes(session: Session, namespace: str | None = None) -> dict[str, int]:
    """Return the bytes that namespaces hold, by namespace; of all when none is named."""
    query = select(NamespaceBlobRow.namespace, func.sum(NamespaceBlobRow.size))
    if namespace is not None:
        query = query.where(NamespaceBlobRow.namespace == namespace)
    return {name: int(size) for name, size in session.execute(query.group_by(NamespaceBlobRow.namespace))}
