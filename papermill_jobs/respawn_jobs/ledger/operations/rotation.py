"""Rotating the service's own keys: a new one signs from now on, the one before it is accepted for a while."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from respawn_jobs.errors import Conflict, InvalidInput
from respawn_jobs.keyring import Key, Keyring, Purpose
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.runs.rows import ref_of
from respawn_jobs.store.tables import AuditHeadRow, AuditRow, JobRow
from respawn_jobs.store.trigger_tables import HookRow

KEPT: dict[Purpose, timedelta] = {
    "cookies": timedelta(days=14),
    "webhooks": timedelta(days=30),
    "audit": timedelta(days=1),
    "hub-token": timedelta(days=7),
}
"""For how long a key is accepted after it was replaced, unless somebody says otherwise."""


@dataclass(frozen=True)
class OldHook:
    """A webhook whose secret is derived from a key that is not the current one."""

    id: str
    job: str
    created_by: str
    accepted_until: datetime | None
    """Until when calls with its secret are taken; None when its key is not known any more."""


def rotate(context: Context, purpose: Purpose, keep: timedelta, actor: str) -> Key:
    """Replace a key, and leave an audit record of it.

    Args:
        context: the ledger's.
        purpose: which key.
        keep: for how long the one before it is accepted.
        actor: who does it.

    Returns:
        The new key.

    Raises:
        Conflict: the keys are not those of the store's service, or come from `RESPAWN_COOKIE_SECRET`.
    """
    ring = ring_of(context)
    _check_own(context, ring)
    before = ring.all(purpose)
    with context.database.session(write=True) as session:
        # Who writes an audit record has this row: none is being signed with the old key after its time.
        session.scalars(select(AuditHeadRow).where(AuditHeadRow.id == 1).with_for_update()).one()
        until = context.clock() + keep
        new = ring.rotate(purpose, until)
        trail.write(
            context, session, actor, "rotate-key", "", purpose,
            key=new.id, before=before[0].id if before else None, accepted_until=until.isoformat(),
        )  # fmt: skip
    return new


def check_there(context: Context) -> None:
    """Raise `Conflict` where a store has signed records, and this machine no keys: it would make others."""
    ring = ring_of(context)
    if not ring.path.exists() and _last_signer(context) is not None:
        raise _others(ring, "does not exist, and the service has keys")


def _check_own(context: Context, ring: Keyring) -> None:
    """Raise `Conflict` when these keys are not those by which the store's last audit record is signed."""
    check_there(context)
    last = _last_signer(context)
    if last is not None and last not in {key.id for key in ring.all("audit")}:
        raise _others(ring, "has other keys than the service")


def _last_signer(context: Context) -> str | None:
    query = select(AuditRow.key).where(AuditRow.key.is_not(None)).order_by(AuditRow.seq.desc()).limit(1)
    with context.database.session() as session:
        return session.scalar(query)


def _others(ring: Keyring, what: str) -> Conflict:
    return Conflict(
        f"{ring.path} {what}: set RESPAWN_DATA or RESPAWN_KEYS_FILE as the service has them",
        file=str(ring.path),
    )


def old_hooks(context: Context) -> list[OldHook]:
    """Return the webhooks that need another secret, those that are refused first before the others."""
    keys = ring_of(context).all("webhooks")
    known = {key.id: key for key in keys}
    found: list[OldHook] = []
    with context.database.session() as session:
        rows = session.execute(select(HookRow, JobRow).join(JobRow, JobRow.id == HookRow.job_id))
        for hook, job in rows.all():
            name = hook.key or keys[-1].id
            if name != keys[0].id:
                until = known[name].accepted_until if name in known else None
                found.append(OldHook(hook.id, ref_of(job), hook.created_by, until))
    return sorted(
        found, key=lambda one: (one.accepted_until is not None, one.accepted_until, one.job, one.id)
    )


def ring_of(context: Context) -> Keyring:
    """Return the service's own keys. Raises `InvalidInput` where there are none."""
    if context.keyring is None:
        raise InvalidInput("this store has no keys: open it with its data directory")
    return context.keyring
