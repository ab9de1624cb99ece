"""What the service's housekeeper and `respawn admin gc` ask of the ledger."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from respawn_jobs.ledger.blobs.garbage_collector import GarbageCollector
from respawn_jobs.ledger.capacity import usage
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.context.quotas import Quotas
from respawn_jobs.ledger.operations.pinned_environments import pinned_environments
from respawn_jobs.ledger.runs import outbox, retention
from respawn_jobs.model.limits import KernelLimits

_BROKEN_OFF = timedelta(hours=1)
"""After this time without a byte, nobody writes a file any more."""


class KeepingLedger:
    """The part of `Ledger` that removes what is no longer kept."""

    _context: Context

    def set_quotas(self, quotas: Quotas) -> None:
        """Bound what each namespace may store and let wait, from now on."""
        self._context.quotas = quotas

    def set_kernel_limits(self, usual: KernelLimits, most: KernelLimits | None = None) -> None:
        """Say what kernels of new runs may take.

        Args:
            usual: where neither their job nor their environment says it.
            most: whoever says more; None for any amount.
        """
        self._context.kernel_limits, self._context.max_kernel_limits = usual, most or KernelLimits()

    def set_environment_places(self, root: Path | None, images: Path | None) -> None:
        """Say where environments of kernels lie.

        Args:
            root: where they are built, beside what installed kernels name.
            images: where people write them, beside those that come with Respawn.
        """
        self._context.environments_root, self._context.images = root, images

    def remove_old_runs(self) -> dict[str, int]:
        """Remove up to a hundred old runs of each job; return how many, by job."""
        return retention.remove_old_runs(self._context)

    def forget_ends(self) -> None:
        """Forget the ended runs that loops of a service would act on, for a store that has no service."""
        outbox.forget(self._context)

    def remove_old_records(self) -> None:
        """Remove notices and backfills of long ago."""
        retention.remove_old_records(self._context)

    def measure_blobs(self, after: str) -> str | None:
        """Measure some blobs that were stored before sizes were counted; see `usage.measure`."""
        return usage.measure(self._context, after)

    def remove_incomplete(self) -> int:
        """Remove what writes of blobs that a kill broke off have left; return how many files."""
        return self._context.blobs.remove_incomplete(self._context.clock() - _BROKEN_OFF)

    def pinned_environments(self) -> dict[str, list[str]]:
        """Return the hashes of kernel environments that versions or runs need, each with its jobs."""
        return pinned_environments(self._context)

    def collector(self) -> GarbageCollector:
        """Return what removes blobs that nothing names, step by step."""
        return GarbageCollector(self._context, self._context.blob_grace)
