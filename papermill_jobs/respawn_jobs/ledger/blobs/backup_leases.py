"""What keeps blobs from being removed while a backup copies them.

A backup says that it lives before it takes its snapshot of the database. From then on the collector marks
nothing (`blobs.garbage_collector` looks in the transaction that would), so what the snapshot names stays:
what a collector has marked before was named by nobody, in the snapshot neither. A backup that dies is over
two minutes later.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from respawn_jobs.errors import RespawnError
from respawn_jobs.ids import new_id
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.store.service_tables import BackupRow

logger = logging.getLogger(__name__)
_KEPT = timedelta(seconds=120)
_EVERY_SECONDS = 20.0


def under_way(session: Session, now: datetime) -> bool:
    """Return whether a backup lives."""
    return bool(session.scalar(select(exists().where(BackupRow.until > now))))


@contextmanager
def blobs_kept(context: Context, *, every_seconds: float = _EVERY_SECONDS) -> Iterator[None]:
    """Let no blob be removed during the block. The clocks of all replicas must agree within half a minute.

    Args:
        context: the ledger's.
        every_seconds: seconds between two renewals.
    """
    name = new_id("bak")
    now = context.clock()
    with context.database.session(write=True) as session:
        session.execute(delete(BackupRow).where(BackupRow.until < now - _KEPT))
        session.add(BackupRow(id=name, started_at=now, until=now + _KEPT))
    over = threading.Event()

    def renew() -> None:
        while not over.wait(every_seconds):
            try:
                with context.database.session(write=True) as session:
                    session.get_one(BackupRow, name).until = context.clock() + _KEPT
            except RespawnError as error:
                logger.warning("the backup's lease could not be renewed: %s", error)

    thread = threading.Thread(target=renew, name="respawn-backup", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        with context.database.session(write=True) as session:
            session.execute(delete(BackupRow).where(BackupRow.id == name))


def forget(session: Session) -> None:
    """Forget backups that were being made, in a database that was restored from one."""
    session.execute(delete(BackupRow))
