"""The store that the settings name: where records and blobs are, who may read them, how much there may be."""

from __future__ import annotations

from respawn_hub.startup.settings import Settings
from respawn_jobs.blobs.blob_store import BlobStore
from respawn_jobs.clock import Clock, utc_now
from respawn_jobs.host.private_files import private_directory
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.context.audit_anchor import FILE as ANCHOR_FILE
from respawn_jobs.ledger.context.quotas import Quotas
from respawn_jobs.store.database import Database


def open_ledger(settings: Settings, clock: Clock = utc_now) -> Ledger:
    """Open the store that the settings name: URLs, or files in the data directory.

    A database that does not answer now may do so later: until then what needs it is `Unavailable`. Raises
    `InvalidInput` for a URL that cannot be used, `Conflict` for a store of a version that cannot be.
    """
    private_directory(settings.data)
    data = settings.data.absolute()
    url = settings.db_url or f"sqlite:///{data / 'respawn.db'}"
    database = Database(url, migrates=settings.migrate_on_start)
    database.prepare_when_it_answers()
    blobs = BlobStore(settings.blobs_url or (data / "blobs").as_uri())
    blobs.protect()
    ledger = Ledger(
        database,
        blobs,
        clock=clock,
        lease_seconds=settings.lease_seconds,
        keyring=settings.keyring(clock),
        anchor=data / ANCHOR_FILE,
        inbox_url=settings.inbox_url,
        blob_grace_seconds=settings.blob_grace_seconds,
    )
    ledger.set_quotas(Quotas(settings.quota_stored, settings.quota_waiting_runs))
    ledger.set_kernel_limits(settings.kernel_limits, settings.max_kernel_limits)
    ledger.context.keep_kernel_seconds = settings.keep_kernels_seconds
    ledger.set_environment_places(data / "environments", settings.images)
    return ledger
