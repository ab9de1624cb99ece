"""The ledger as the loops see it that tell people and watch over the service."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.notices import deadlines, delivery, run_notices
from respawn_jobs.ledger.operations.stats import ServiceFigures, figures
from respawn_jobs.model.notices import Message
from respawn_jobs.store.schema import SchemaStanding

_NO_BLOB = "0" * 64


class Operations:
    """Notices, deadlines and figures of one store; safe to share between threads."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def collect(self) -> list[str]:
        """Write the notices of runs that have ended, and return the runs' ids."""
        return run_notices.collect(self._context)

    def claim(self, busy: Collection[str] = ()) -> Message | None:
        """Claim the next message that is due to a channel not in `busy`; None when there is none."""
        return delivery.claim(self._context, busy=busy)

    def sent(self, message: Message) -> None:
        """Mark a message as sent."""
        delivery.sent(self._context, message)

    def refused(self, message: Message, reason: str, delivered: Iterable[int] = ()) -> None:
        """Keep why a message could not be sent, and let it be tried again later.

        Args:
            message: what was claimed.
            reason: why; secrets are taken out.
            delivered: places of the channel's addresses that have it.
        """
        delivery.refused(self._context, message, reason, delivered)

    def check_deadlines(self) -> list[str]:
        """Look at every job whose deadline has passed, and return the names of those that missed it."""
        return deadlines.check_due(self._context)

    def next_deadline(self) -> datetime | None:
        """Return when the next deadline passes; None when there is none."""
        return deadlines.next_due(self._context)

    def figures(self) -> ServiceFigures:
        """Return the state of the whole service. Raises `Unavailable`."""
        return figures(self._context)

    def schema(self) -> SchemaStanding:
        """Return how the database's schema stands to this code. Raises `Unavailable`."""
        return self._context.database.standing()

    @property
    def blobs_are_files(self) -> bool:
        """Whether the blob store is a directory."""
        return self._context.blobs.of_files

    def prove_database_writes(self) -> None:
        """Prove that the database takes a write. Raises `Unavailable`."""
        self._context.database.prove_writes()

    def prove_blob_writes(self) -> None:
        """Prove that the blob store takes a write. Raises `Unavailable`."""
        self._context.blobs.prove_writes()

    def probe_blobs(self) -> None:
        """Ask the blob store for something that it need not have. Raises `Unavailable`."""
        self._context.blobs.exists(_NO_BLOB)
