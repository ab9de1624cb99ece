"""The ledger: one store and what may be asked of it, by people, by runners, and by the service's loops."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import URL, select

from respawn_jobs.access import Actor
from respawn_jobs.blobs.blob_store import BlobStore
from respawn_jobs.blobs.inbox import Inbox
from respawn_jobs.clock import Clock, utc_now
from respawn_jobs.errors import Corrupt, NotFound
from respawn_jobs.host.private_files import private_directory, private_file
from respawn_jobs.keyring import FILE as KEYS
from respawn_jobs.keyring import OLDER_FILE as OLDER_KEYS
from respawn_jobs.keyring import Key, Keyring, Purpose
from respawn_jobs.ledger.attempts import dispatch, lifecycle, suspended_runs
from respawn_jobs.ledger.attempts.lease_watch import Watch
from respawn_jobs.ledger.attempts.runner_port import LedgerRunner
from respawn_jobs.ledger.audit import signed_heads, verification
from respawn_jobs.ledger.audit.signed_heads import SignedHead
from respawn_jobs.ledger.audit.verification import AuditCheck
from respawn_jobs.ledger.blobs.garbage_collector import GRACE
from respawn_jobs.ledger.capacity import replicas
from respawn_jobs.ledger.context.audit_anchor import FILE as ANCHOR_FILE
from respawn_jobs.ledger.context.audit_anchor import AuditAnchor, Head
from respawn_jobs.ledger.context.context import Context, KernelCheck, installed_kernel
from respawn_jobs.ledger.context.ports import ChannelRules, Observer
from respawn_jobs.ledger.context.text_limits import check_text
from respawn_jobs.ledger.operations import rotation
from respawn_jobs.ledger.operations.job_server_ops import JobServerLedger
from respawn_jobs.ledger.operations.maintenance import KeepingLedger
from respawn_jobs.ledger.operations.notice_ops import Operations
from respawn_jobs.ledger.operations.owner_ops import OwningLedger
from respawn_jobs.ledger.operations.rotation import OldHook
from respawn_jobs.ledger.operations.store_verification import StoreCheck
from respawn_jobs.ledger.operations.trigger_ops import TriggerLedger
from respawn_jobs.ledger.people.actor_service import ActorService
from respawn_jobs.ledger.runs.rows import runs_of
from respawn_jobs.ledger.triggers import backfills, scheduling
from respawn_jobs.model import evidence
from respawn_jobs.model.kernels import ForeseenRun, JobPlace
from respawn_jobs.model.runs import Run, RunState
from respawn_jobs.resume.files.named_files import newer_on_disk
from respawn_jobs.store.database import Database
from respawn_jobs.store.tables import RunRow


class Ledger(KeepingLedger, TriggerLedger, OwningLedger, JobServerLedger):
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
            inbox_url: where objects appear that make runs; None allows no sensors.
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
        migrates: bool = True,
    ) -> Ledger:
        """Open the store under a directory, with its keys in it.

        Args:
            data: the directory, which is made when missing.
            db_url: the database, where it is elsewhere; None for SQLite in `data`.
            blobs_url: the blob store, where it is elsewhere; None for files in `data`.
            clock: returns the time now, in UTC.
            lease_seconds: how long a runner may be silent before its attempt is lost.
            keyring: the service's own keys; None for those in `data`.
            migrates: whether a store of an older version is brought up to date.
        """
        data = data.expanduser().resolve()
        private_directory(data)
        for name in (KEYS, OLDER_KEYS, ANCHOR_FILE):
            private_file(data / name)
            private_file(data / f".{name}.lock")
        # A URL object, not text: a path may hold characters that mean something in a URL.
        url = db_url or URL.create("sqlite", database=str(data / "respawn.db"))
        database = Database(url, migrates=migrates)
        ledger = cls._opened(database, blobs_url or (data / "blobs").as_uri(), clock, lease_seconds)
        ledger._context.keyring = keyring or Keyring(data / KEYS, older=data / OLDER_KEYS)
        ledger._context.anchor = AuditAnchor(data / ANCHOR_FILE)
        ledger._context.look, ledger._context.newer = evidence.left, newer_on_disk
        ledger._context.environments_root = data / "environments"
        return ledger

    @classmethod
    def open(
        cls, db_url: str, blobs_url: str, *, clock: Clock = utc_now, lease_seconds: float = 15.0
    ) -> Ledger:
        """Open a database and a blob store by their URLs, and bring the schema up to date.

        Args:
            db_url: URL of the database, as SQLAlchemy has it.
            blobs_url: URL of the blob store.
            clock: returns the time now, in UTC.
            lease_seconds: how long a runner may be silent before its attempt is lost.
        """
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

    def foreseen(self, until: datetime, limit: int = 100) -> list[ForeseenRun]:
        """Return the runs that wait, then those that schedules will make.

        Args:
            until: up to which due time, in UTC.
            limit: how many runs at most.
        """
        waiting = dispatch.foreseen(self._context, limit)
        return waiting + scheduling.foreseen(self._context, until, limit - len(waiting))

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
        return lifecycle.open_attempt(self._context, run_id, executor)

    def claim_runs(
        self, executor: str, replica: str | None, slots: int, places: Mapping[JobPlace, int] | None = None
    ) -> list[dispatch.Claimed]:
        """Open attempts for as many waiting runs as may start now, at most `slots`; see `dispatch.claim`.

        Args:
            executor: name of what will start the runners.
            replica: id of the service's replica that it belongs to; None outside of a service.
            slots: how many runners it can start now.
            places: how many of each place; None for any.
        """
        return dispatch.claim(self._context, executor, replica, slots, places)

    def waiting_places(self) -> list[JobPlace]:
        """Return where runs could start now, were there a place; the longest wait first."""
        return dispatch.waiting_places(self._context)

    def expire(self) -> list[str]:
        """Lose every attempt whose lease is over, and return the ids of runs that changed.

        For a command that looks once; a loop that may itself have been asleep uses `watch`.
        """
        return lifecycle.expire(self._context)

    def lose_replica(self, replica: str) -> list[str]:
        """Lose at once what a replica that was killed executed, forget it, and return the ids of the runs."""
        lost = lifecycle.lose_replica(self._context, replica)
        replicas.leave(self._context, replica)
        self.step_down(replica)
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
        return lifecycle.not_ended(self._context, attempt_ids)

    def lose(self, attempt_id: str, reason: str) -> None:
        """Mark an attempt as lost at once: its executor knows that the runner is dead."""
        lifecycle.lose(self._context, attempt_id, reason)

    def requeue(self, attempt_id: str, reason: str) -> None:
        """End an attempt whose runner was asked to end and could not report it; requeue the run."""
        lifecycle.requeue(self._context, attempt_id, reason)

    def suspend(self, actor: Actor, run_id: str, reason: str) -> Run:
        """Let a run that runs wait for a person, without an attempt; see `suspended_runs.suspend`.

        Args:
            actor: who asks; needs `run` in the job's namespace.
            run_id: the run's id.
            reason: what it waits for.
        """
        return suspended_runs.suspend(self._context, actor, run_id, reason)

    def release(self, actor: Actor, run_id: str) -> Run:
        """Queue a suspended run again, from its last kept state; see `suspended_runs.release`."""
        return suspended_runs.release(self._context, actor, run_id)

    def report_replica(
        self, replica: str, *, host: str, slots: int, busy: int, draining: bool, health: dict[str, str]
    ) -> None:
        """Note the state of a replica of the service; see `capacity.replicas.report`.

        Args:
            replica: its id.
            host: the machine that it runs on.
            slots: how many runs it may execute at once.
            busy: how many it executes.
            draining: whether it takes no new runs because it is being stopped.
            health: the states of its loops.
        """
        replicas.report(
            self._context, replica, host=host, slots=slots, busy=busy, draining=draining, health=health
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
        return verification.check(self._context, [head for head in kept if head is not None])

    def signed_head(self) -> SignedHead | None:
        """Return the audit trail's last record as it is kept elsewhere; None where there is none yet."""
        return signed_heads.signed_head(self._context)

    def store_check(self, *, deep: bool = False) -> StoreCheck:
        """Return what checks records against blobs; `deep` reads all bytes."""
        return StoreCheck(self._context, deep=deep)

    def key_file(self) -> Keyring:
        """Return the service's own keys. Raises `InvalidInput` where there are none."""
        return rotation.ring_of(self._context)

    def rotate_key(self, purpose: Purpose, keep: timedelta, actor: str) -> Key:
        """Replace one of the service's own keys; the one before it is accepted for as long as `keep` says.

        Args:
            purpose: which key.
            keep: for how long the one before it is accepted.
            actor: name of who does it.
        """
        return rotation.rotate(self._context, purpose, keep, actor)

    def old_hooks(self) -> list[OldHook]:
        """Return the webhooks whose secret comes from a key that was replaced."""
        return rotation.old_hooks(self._context)

    def close(self) -> None:
        """Close all connections."""
        self.database.close()
