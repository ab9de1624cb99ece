"""The ledger: one store and what may be asked of it, by people, by runners, and by the service's loops."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import URL, select

from respawn_jobs import evidence
from respawn_jobs.access import Actor
from respawn_jobs.blobs import BlobStore
from respawn_jobs.clock import Clock, utc_now
from respawn_jobs.errors import Corrupt, NotFound
from respawn_jobs.inbox import Inbox
from respawn_jobs.keyring import FILE as KEYS
from respawn_jobs.keyring import OLDER_FILE as OLDER_KEYS
from respawn_jobs.keyring import Key, Keyring, Purpose
from respawn_jobs.ledger import (
    attempts,
    audit_check,
    audit_heads,
    backfills,
    queue,
    replicas,
    rotation,
    scheduling,
)
from respawn_jobs.ledger.audit_anchor import FILE as ANCHOR_FILE
from respawn_jobs.ledger.audit_anchor import AuditAnchor, Head
from respawn_jobs.ledger.audit_check import AuditCheck
from respawn_jobs.ledger.audit_heads import SignedHead
from respawn_jobs.ledger.collecting import GRACE
from respawn_jobs.ledger.context import Context, KernelCheck, installed_kernel
from respawn_jobs.ledger.convert import runs_of
from respawn_jobs.ledger.keeping import KeepingLedger
from respawn_jobs.ledger.limits import check_text
from respawn_jobs.ledger.operations import Operations
from respawn_jobs.ledger.owning import OwningLedger
from respawn_jobs.ledger.port import LedgerRunner
from respawn_jobs.ledger.rotation import OldHook
from respawn_jobs.ledger.service import ActorService
from respawn_jobs.ledger.store_check import StoreCheck
from respawn_jobs.ledger.surroundings import ChannelRules, Observer
from respawn_jobs.ledger.triggering import TriggerLedger
from respawn_jobs.ledger.watch import Watch
from respawn_jobs.models import Run, RunState
from respawn_jobs.named_files import newer_on_disk
from respawn_jobs.private_files import private_directory, private_file
from respawn_jobs.store.database import Database
from respawn_jobs.store.tables import RunRow


class Ledger(KeepingLedger, TriggerLedger, OwningLedger):
    """Jobs, runs and all that belongs to them. Safe to share between threads; a process may hold several."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        *,
        clock: Clock = utc_now,
        lease_seconds: float = 15.0,
        new_kernel_check: KernelCheck = installed_kernel,
        keyring: Keyring | None = None,
        anchor: Path | None = None,
        inbox_url: str | None = None,
        blob_grace_seconds: float = GRACE.total_seconds(),
    ) -> None:
        """Serve a prepared database and a blob store.

        Args:
            database: already prepared; closed by `close`.
            blobs: where notebooks, outputs and checkpoints are.
            clock: the present moment.
            lease_seconds: how long a runner may be silent before its attempt is lost.
            new_kernel_check: finds the kernels that versions name.
            keyring: the service's own keys; None allows no webhooks and leaves the audit trail unsigned.
            anchor: the file in which the end of the audit trail is noted; None notes it nowhere.
            inbox_url: where objects appear that make runs; None allows no watches.
            blob_grace_seconds: how long a blob that nothing names is kept; an hour at least.
        """
        self.database = database
        self.blobs = blobs
        self._context = Context(database, blobs, clock, timedelta(seconds=lease_seconds), new_kernel_check)
        self._context.keyring = keyring
        self._context.anchor = AuditAnchor(anchor) if anchor else None
        self._context.blob_grace = timedelta(seconds=blob_grace_seconds)
        self._context.inbox = Inbox(inbox_url) if inbox_url else None

    @property
    def context(self) -> Context:
        """What all use cases work with, for what goes beneath them: checks and backups of the store."""
        return self._context

    @classmethod
    def embedded(
        cls,
        data: Path,
        *,
        db_url: str | None = None,
        blobs_url: str | None = None,
        clock: Clock = utc_now,
        lease_seconds: float = 15.0,
        keyring: Keyring | None = None,
    ) -> Ledger:
        """Open the store under the directory `data`, which is made when missing.

        With `db_url` or `blobs_url` that part is elsewhere; see `open`. Its keys are in `data` too, unless
        `keyring` is given.
        """
        data = data.expanduser().resolve()
        private_directory(data)
        for name in (KEYS, OLDER_KEYS, ANCHOR_FILE):
            private_file(data / name)
            private_file(data / f".{name}.lock")
        # A URL object, not text: a path may hold characters that mean something in a URL.
        database = Database(db_url or URL.create("sqlite", database=str(data / "respawn.db")))
        ledger = cls._opened(database, blobs_url or (data / "blobs").as_uri(), clock, lease_seconds)
        ledger._context.keyring = keyring or Keyring(data / KEYS, older=data / OLDER_KEYS)
        ledger._context.anchor = AuditAnchor(data / ANCHOR_FILE)
        ledger._context.look, ledger._context.newer = evidence.left, newer_on_disk
        return ledger

    @classmethod
    def open(
        cls, db_url: str, blobs_url: str, *, clock: Clock = utc_now, lease_seconds: float = 15.0
    ) -> Ledger:
        """Open a database and a blob store by their URLs, and bring the schema up to date."""
        return cls._opened(Database(db_url), blobs_url, clock, lease_seconds)

    @classmethod
    def _opened(cls, database: Database, blobs_url: str, clock: Clock, lease_seconds: float) -> Ledger:
        blobs = BlobStore(blobs_url)
        blobs.protect()
        database.prepare()
        return cls(database, blobs, clock=clock, lease_seconds=lease_seconds)

    def as_actor(self, actor: Actor) -> ActorService:
        """Return the service as this person sees it."""
        return ActorService(self._context, actor)

    def runner(self, attempt_id: str, token: str) -> LedgerRunner:
        """Return the service as this attempt's runner sees it; the token is checked at every call."""
        return LedgerRunner(self._context, attempt_id, token)

    def queue_due(self) -> list[str]:
        """Queue a run for every schedule that is due, and return the runs' ids."""
        return scheduling.queue_due(self._context)

    def next_due(self) -> datetime | None:
        """Return when the next schedule is due; None when none is active."""
        return scheduling.next_due(self._context)

    def fill_backfills(self) -> list[str]:
        """Queue the runs that backfills have places for, and return the runs' ids."""
        return backfills.fill(self._context)

    def take_back_schedules(self) -> int:
        """Let schedules fire that were decided for times yet to come, because the clock was ahead."""
        return scheduling.take_back(self._context)

    def queued(self, limit: int = 50) -> list[Run]:
        """Return the runs that wait for an attempt, oldest first; `take` says which of them start next."""
        query = (
            select(RunRow)
            .where(RunRow.state == RunState.QUEUED.value, RunRow.current.is_(None))
            .order_by(RunRow.created_at, RunRow.id)
            .limit(limit)
        )
        with self.database.session() as session:
            return runs_of(session, session.scalars(query).all())

    def open_attempt(self, run_id: str, executor: str) -> tuple[str, str]:
        """Open the next attempt of a queued run and return its id and its token.

        Raises `Conflict` when the run does not wait for one: of two callers, one gets it. The attempt is
        lost when no runner claims it within 60 seconds.
        """
        return attempts.open_attempt(self._context, run_id, executor)

    def take(self, executor: str, replica: str | None, places: int) -> list[queue.Taken]:
        """Open attempts for as many waiting runs as may start now, at most `places`; see `ledger.queue`."""
        return queue.take(self._context, executor, replica, places)

    def expire(self) -> list[str]:
        """Lose every attempt whose lease is over, and return the ids of runs that changed.

        For a command that looks once; a loop that may itself have been asleep uses `watch`.
        """
        return attempts.expire(self._context)

    def lose_replica(self, replica: str) -> list[str]:
        """Lose at once what a replica that was killed executed, forget it, and return the ids of the runs."""
        lost = attempts.lose_replica(self._context, replica)
        replicas.leave(self._context, replica)
        return lost

    def operations(self) -> Operations:
        """Return what tells people of runs, and what tells of the service itself."""
        return Operations(self._context)

    def attach(self, channels: ChannelRules, observer: Observer) -> None:
        """Let the ledger know the channels that jobs may name, and who counts what happens."""
        self._context.channels, self._context.observer = channels, observer

    def watch(self) -> Watch:
        """Return what a service's loop expires attempts with."""
        return Watch(self._context)

    def open_attempts(self, attempt_ids: Collection[str]) -> set[str]:
        """Return those of the attempts that have not ended."""
        return attempts.not_ended(self._context, attempt_ids)

    def lose(self, attempt_id: str, reason: str) -> None:
        """Mark an attempt as lost at once: its executor knows that the runner is dead."""
        attempts.lose(self._context, attempt_id, reason)

    def hand_on(self, attempt_id: str, reason: str) -> None:
        """End an attempt whose runner was told to end and could not say so; the run goes on."""
        attempts.hand_on(self._context, attempt_id, reason)

    def say_present(
        self, replica: str, *, host: str, places: int, busy: int, draining: bool, health: dict[str, str]
    ) -> None:
        """Note what a replica of the service says of itself; see `ledger.replicas.say`."""
        replicas.say(
            self._context, replica, host=host, places=places, busy=busy, draining=draining, health=health
        )

    def leave(self, replica: str) -> None:
        """Forget a replica of the service that has stopped."""
        replicas.leave(self._context, replica)

    def revision(self, run: str) -> int:
        """Return the number that grows with every change of a run. Raises `NotFound`."""
        with self.database.session() as session:
            revision = session.scalar(select(RunRow.revision).where(RunRow.id == check_text("run", run)))
        if revision is None:
            raise NotFound(f"there is no run {run}", run=run)
        return revision

    def verify_audit(self) -> int:
        """Check the audit trail and return its length. Raises `Corrupt` naming the first bad record."""
        checked = self.check_audit()
        if checked.fault is not None:
            raise Corrupt(checked.fault.message, seq=checked.fault.seq)
        return checked.records

    def check_audit(self, *kept: Head | None) -> AuditCheck:
        """Check the whole audit trail, and that it still leads through heads that were `kept` elsewhere."""
        return audit_check.check(self._context, [head for head in kept if head is not None])

    def signed_head(self) -> SignedHead | None:
        """Return the audit trail's last record as it is kept elsewhere; None where there is none yet."""
        return audit_heads.signed_head(self._context)

    def store_check(self, *, deep: bool = False) -> StoreCheck:
        """Return what checks records against blobs; `deep` reads all bytes."""
        return StoreCheck(self._context, deep=deep)

    def key_file(self) -> Keyring:
        """Return the service's own keys. Raises `InvalidInput` where there are none."""
        return rotation.ring_of(self._context)

    def rotate_key(self, purpose: Purpose, keep: timedelta, actor: str) -> Key:
        """Replace one of the service's own keys; the one before it is accepted for as long as `keep` says."""
        return rotation.rotate(self._context, purpose, keep, actor)

    def old_hooks(self) -> list[OldHook]:
        """Return the webhooks whose secret comes from a key that was replaced."""
        return rotation.old_hooks(self._context)

    def close(self) -> None:
        """Close all connections."""
        self.database.close()
