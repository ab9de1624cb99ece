"""What the service's housekeeper and `respawn gc` ask of the ledger."""

from __future__ import annotations

from datetime import timedelta

from respawn_jobs.ledger import ends, retention, usage
from respawn_jobs.ledger.collecting import Collector
from respawn_jobs.ledger.context import Context
from respawn_jobs.ledger.quotas import Quotas

_BROKEN_OFF = timedelta(hours=1)
"""After this time without a byte, nobody writes a file any more."""


class KeepingLedger:
    """The part of `Ledger` that removes what is no longer kept."""

    _context: Context

    def set_quotas(self, quotas: Quotas) -> None:
        """Bound what each namespace may store and let wait, from now on."""
        self._context.quotas = quotas

    def remove_old_runs(self) -> dict[str, int]:
        """Remove up to a hundred old runs of each job; return how many, by job."""
        return retention.remove_old_runs(self._context)

    def forget_ends(self) -> None:
        """Forget the ended runs that loops of a service would act on, for a store that has no service."""
        ends.forget(self._context)

    def remove_old_records(self) -> None:
        """Remove notices and backfills of long ago."""
        retention.remove_old_records(self._context)

    def measure_blobs(self, after: str) -> str | None:
        """Measure some blobs that were stored before sizes were counted; see `ledger.usage.measure`."""
        return usage.measure(self._context, after)

    def remove_incomplete(self) -> int:
        """Remove what writes of blobs that a kill broke off have left; return how many files."""
        return self._context.blobs.remove_incomplete(self._context.clock() - _BROKEN_OFF)

    def collector(self) -> Collector:
        """Return what removes blobs that nothing names, step by step."""
        return Collector(self._context, self._context.blob_grace)
