"""The job servers that were asked of the hub: one of a kind at most, whichever replica asks.

A job server registers with a nonce that was made for its start and holds once. It is given a key, which any
replica knows it by: servers outlive the process that asked for them. Only hashes are kept of both.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from respawn_jobs.api.job_server_protocol import PREFIX, KeptKernelReport, KnownJobServer
from respawn_jobs.errors import Unauthenticated
from respawn_jobs.ids import new_id
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.context.job_places import ServerKind
from respawn_jobs.ledger.context.text_limits import cleaned
from respawn_jobs.model.kernels import JobPlace, LivingKernel, ServerKernel
from respawn_jobs.store.service_tables import (
    JobServerRow,
    MissingPlaceRow,
    ServerKernelsRow,
    UnwantedServerRow,
)


class PlannedServer(NamedTuple):
    """A job server to ask the hub for."""

    name: str
    nonce: str


def plan(context: Context, account: str, profile: str | None = None) -> PlannedServer | None:
    """Note that an account is to have a job server of a profile, and return it; None where it has one.

    Args:
        context: the ledger's surroundings.
        account: the hub's user whose server it will be.
        profile: what it will be started with; None for none.
    """
    prefix = f"{PREFIX}{profile}-" if profile else PREFIX
    name, nonce = new_id("srv").replace("srv-", prefix), secrets.token_urlsafe(32)
    kind = {"account": account, "profile": profile or ""}
    row = JobServerRow(name=name, **kind, nonce_hash=_hash(nonce), requested_at=context.clock())
    try:
        with context.database.session(write=True) as session:
            if session.scalar(select(JobServerRow.name).filter_by(**kind)) is not None:
                return None
            session.add(row)
            session.flush()
    except IntegrityError:  # another replica was first
        return None
    return PlannedServer(name, nonce)


def register(context: Context, name: str, account: str, nonce: str) -> str:
    """Take a job server's nonce, and return the key that it proves itself with from then on.

    Args:
        context: the ledger's surroundings.
        name: the server's name at the hub.
        account: the hub's user whose server it is, as the hub says.
        nonce: what it was started with.

    Raises:
        Unauthenticated: it was not asked for, or has registered before.
    """
    key = secrets.token_urlsafe(32)
    with context.database.session(write=True) as session:
        row = session.scalar(select(JobServerRow).where(JobServerRow.name == name).with_for_update())
        known = row is not None and row.account == account and row.nonce_hash is not None
        # One answer for all: which servers there are is not to be found out.
        if row is None or not known or not hmac.compare_digest(row.nonce_hash or "", _hash(nonce)):
            raise Unauthenticated(f"{name} is no job server that was asked for, or it has registered before")
        row.nonce_hash, row.key_hash = None, _hash(key)
    return key


def recognize(context: Context, name: str, key: str) -> str:
    """Return the account of a job server that proves itself with its key.

    Args:
        context: the ledger's surroundings.
        name: the server's name at the hub.
        key: what it was given when it registered.

    Raises:
        Unauthenticated: the key is not that of the server.
    """
    with context.database.session() as session:
        row = session.get(JobServerRow, name)
        if row is None or not hmac.compare_digest(row.key_hash or "", _hash(key)):
            raise Unauthenticated(f"the key of {name} is not valid")
        return row.account


def known(context: Context) -> list[KnownJobServer]:
    """Return all job servers that were asked for and not forgotten."""
    with context.database.session() as session:
        rows = session.scalars(select(JobServerRow).order_by(JobServerRow.requested_at, JobServerRow.name))
        return [
            KnownJobServer(
                name=row.name,
                account=row.account,
                profile=row.profile or None,
                requested_at=row.requested_at,
                registered=row.key_hash is not None,
            )
            for row in rows
        ]


def note_kept(context: Context, name: str, kept: Sequence[KeptKernelReport]) -> None:
    """Keep which kernels of failed runs live on in a job server.

    Args:
        context: the ledger's surroundings.
        name: the server's name at the hub.
        kept: all of them.
    """
    document = [one.model_dump(mode="json") for one in kept]
    with context.database.session(write=True) as session:
        row = session.get(JobServerRow, name)
        if row is not None:
            row.kept = document


def living_kernel(context: Context, run: str) -> LivingKernel | None:
    """Return the kernel of a run that lives on in a job server; None where there is none.

    Args:
        context: the ledger's surroundings.
        run: the run's id.
    """
    with context.database.session() as session:
        rows = session.scalars(select(JobServerRow).where(JobServerRow.kept.is_not(None)))
        found = [(row, KeptKernelReport.model_validate(one)) for row in rows for one in row.kept or ()]
    for row, kept in found:
        if kept.run == run and kept.until > context.clock():
            return LivingKernel(run=run, server=row.name, account=row.account, until=kept.until)
    return None


def give_up(context: Context, name: str) -> None:
    """Know a job server no more, but that the hub is to stop it: its key holds no more.

    There may be another of its kind at once. Nothing happens for one that is not known.

    Args:
        context: the ledger's surroundings.
        name: the server's name at the hub.
    """
    with context.database.session(write=True) as session:
        row = session.get(JobServerRow, name)
        if row is not None:
            session.add(UnwantedServerRow(name=name, account=row.account))
            session.delete(row)


def unwanted(context: Context) -> dict[str, str]:
    """Return the account of each job server, by name, that the hub has yet to stop."""
    with context.database.session() as session:
        return {row.name: row.account for row in session.scalars(select(UnwantedServerRow))}


def stopped(context: Context, name: str) -> None:
    """Forget a job server that was given up, and that the hub has stopped."""
    with context.database.session(write=True) as session:
        session.execute(delete(UnwantedServerRow).where(UnwantedServerRow.name == name))


def note_kernels(context: Context, name: str, kernels: Sequence[ServerKernel]) -> None:
    """Keep which kernels the servers of a kind have, as one of them says.

    Args:
        context: the ledger's surroundings.
        name: the server's name at the hub.
        kernels: all that it has.
    """
    now, kernels = context.clock(), [_storable(one) for one in kernels]
    with context.database.session(write=True) as session:
        server = session.get(JobServerRow, name)
        if server is None:
            return
        kind = ServerKind(server.account, server.profile or None)
        row = session.get(ServerKernelsRow, (server.account, server.profile))
        if row is None:
            row = ServerKernelsRow(account=server.account, profile=server.profile)
            session.add(row)
        row.kernels, row.seen_at = [one.model_dump(mode="json") for one in kernels], now
    context.server_kernels.note(kind, kernels, now)


def _storable(kernel: ServerKernel) -> ServerKernel:
    """Return a kernel without characters that no database keeps: a person's own server names it."""
    words = {name: cleaned(getattr(kernel, name)) for name in ("name", "display_name", "language")}
    return kernel.model_copy(update={**words, "lock": cleaned(kernel.lock) if kernel.lock else None})


def remember_kernels(context: Context) -> None:
    """Know again what servers said of their kernels, in this process or in one before it."""
    with context.database.session() as session:
        for row in session.scalars(select(ServerKernelsRow)):
            kernels = [ServerKernel.model_validate(one) for one in row.kernels]
            context.server_kernels.note(ServerKind(row.account, row.profile or None), kernels, row.seen_at)


def note_places(context: Context, messages: Mapping[JobPlace, str | None]) -> None:
    """Keep why runs have no place, for whoever looks at them.

    Args:
        context: the ledger's surroundings.
        messages: what they wait for, by the place of their jobs; None for those that have places.
    """
    with context.database.session(write=True) as session:
        for (namespace, profile), message in messages.items():
            row = session.get(MissingPlaceRow, (namespace, profile or ""))
            if message is None and row is not None:
                session.delete(row)
            elif message is not None and row is None:
                session.add(MissingPlaceRow(namespace=namespace, profile=profile or "", message=message))
            elif message is not None and row is not None:
                row.message = message


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
