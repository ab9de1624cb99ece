"""Owners of namespaces, by the hub's identity of each user and not by the name alone.

`admit` is asked for each person who comes in; it knows the usual case from one row. Everything else is for
`settle`, which has the list of all users of the hub: whose user is gone, is suspended; who has another
identity than the namespace of their name, starts with an empty one; who has another name, takes theirs along.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from respawn_jobs.api.namespaces import same_identity
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.capacity.suspension import ACTIVE, SUSPENDED, state_text
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.namespaces import leavers, namespaces
from respawn_jobs.ledger.namespaces.leavers import BY
from respawn_jobs.ledger.notices.suspension_notices import add_notices
from respawn_jobs.store.service_tables import NamespaceRow
from respawn_jobs.store.tables import JobRow

logger = logging.getLogger(__name__)
_USER = "user/"
_SERVICE = "user/service:"
"""Of the hub's services, which are none of its users; they come and go by its configuration."""
_MANY = 3
"""Fewer that are gone at once are believed in any case."""


@dataclass
class Settled:
    """What a comparison with the hub's users has changed."""

    suspended: list[str] = field(default_factory=list)
    moved: dict[str, str] = field(default_factory=dict)
    """Namespaces that followed their user's new name."""
    set_aside: dict[str, str] = field(default_factory=dict)
    """Namespaces of an earlier user of the name, and where what they held lies now."""
    active_again: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    """Namespaces that users who are gone have left, and why nothing of them is to execute."""
    stopped: list[str] = field(default_factory=list)
    """Runs that executed there and are cancelled."""
    doubted: int = 0
    """How many owners seem to be gone: too many at once to be believed, so that nothing was suspended."""

    @property
    def changed(self) -> bool:
        """Whether anything has."""
        return bool(self.suspended or self.moved or self.set_aside or self.active_again)


def admit(context: Context, name: str, identity: str) -> bool:
    """Tie the namespace of a user who comes in to their identity.

    Args:
        context: the ledger's surroundings.
        name: the user's name in the hub.
        identity: the hub's identity of the user.

    Returns:
        Whether it is theirs. If not, `settle` has to look first: the name was another user's, or the user
        had another name.
    """
    try:
        return _admit(context, _USER + name, identity)
    except IntegrityError:  # Race: another request of the same user was first.
        return _admit(context, _USER + name, identity)


def _admit(context: Context, namespace: str, identity: str) -> bool:
    with context.database.session() as session:
        row = session.get(NamespaceRow, namespace)
        if row is not None and row.identity is not None:
            return row.state == ACTIVE and same_identity(row.identity, identity)
        if row is not None and row.state != ACTIVE:
            return False
        elsewhere = select(NamespaceRow.namespace).where(
            NamespaceRow.identity == identity, NamespaceRow.namespace != namespace
        )
        if session.scalar(elsewhere.limit(1)) is not None:
            return False
    with context.database.session(write=True) as session:
        row = session.get(NamespaceRow, namespace, with_for_update=True)
        if row is None:
            session.add(NamespaceRow(namespace=namespace, identity=identity, state=ACTIVE))
        elif row.identity is None:
            row.identity = identity
        return True


def missing(context: Context, users: Mapping[str, str | None]) -> list[str]:
    """Return the names of owners of namespaces that are not among the hub's users.

    Of those that were suspended before only where a run still executes, which would be cancelled.
    """
    with context.database.session() as session:
        owned = _owned(session)
        names = [
            _name(row)
            for row in owned.values()
            if row.state == ACTIVE or leavers.count(session, row.namespace)
        ]
    return [name for name in names if name not in users]


def settle(context: Context, users: Mapping[str, str | None]) -> Settled:
    """Compare owners with all users of the hub, and act on what differs.

    Args:
        context: the ledger's surroundings.
        users: the identity of each user of the hub by name, None where the hub does not tell; of all users,
            or nobody would be safe. An empty list suspends nobody.
    """
    done = Settled()
    if not users:
        return done
    with context.database.session(write=True) as session:
        owned = _owned(session, lock=True)
        heirs = _heirs(owned, users)
        gone = [
            row
            for space, row in owned.items()
            if row.state == ACTIVE and space not in heirs and not _is_owner(row, users)
        ]
        active = sum(row.state == ACTIVE for row in owned.values())
        if len(gone) >= _MANY and 2 * len(gone) > active:
            done.doubted = len(gone)
            return done
        # First those that leave their name, so that it is free for who has it now.
        _follow_all(context, session, owned, heirs, users, done)
        for row in _owned(session, lock=True).values():
            _settle(context, session, row, users, done)
        done.left = _left(session, heirs, users)
    return done


def _left(session: Session, heirs: Mapping[str, str], users: Mapping[str, str | None]) -> dict[str, str]:
    """Return the namespaces whose user is gone, and neither renamed nor made anew, and why each is idle."""
    query = select(NamespaceRow).where(NamespaceRow.state != ACTIVE)
    return {
        row.namespace: row.reason or "its user is gone"
        for row in session.scalars(query)
        if row.former is not None
        or (_of_user(row.namespace) and row.namespace not in heirs and _name(row) not in users)
    }


def _of_user(namespace: str) -> bool:
    return namespace.startswith(_USER) and not namespace.startswith(_SERVICE)


def _owned(session: Session, *, lock: bool = False) -> dict[str, NamespaceRow]:
    """Return the rows of all users' namespaces, also of those that have jobs and no row yet."""
    mine = NamespaceRow.namespace.startswith(_USER, autoescape=True)
    others = NamespaceRow.namespace.startswith(_SERVICE, autoescape=True)
    query = select(NamespaceRow).where(mine, ~others).order_by(NamespaceRow.namespace)
    rows = {row.namespace: row for row in session.scalars(query.with_for_update() if lock else query)}
    with_jobs = select(JobRow.namespace).distinct()
    for namespace in session.scalars(with_jobs):
        if _of_user(namespace) and namespace not in rows:
            rows[namespace] = NamespaceRow(namespace=namespace, state=ACTIVE, audit_from=0)
            if lock:
                session.add(rows[namespace])
    if lock:
        session.flush()
    return rows


def _name(row: NamespaceRow) -> str:
    return row.namespace.removeprefix(_USER)


def _is_owner(row: NamespaceRow, users: Mapping[str, str | None]) -> bool:
    """Return whether the user of the namespace's name is its owner, as far as is known."""
    name = _name(row)
    if name not in users:
        return False
    return row.identity is None or users[name] is None or same_identity(row.identity, users[name])


class _Moments:
    """Names by identity, found also where one of two is rounded to a second."""

    def __init__(self, names: Iterable[tuple[str, str | None]]) -> None:
        self._names: dict[int, list[tuple[str, str]]] = {}
        for name, identity in names:
            if identity is not None:
                self._names.setdefault(_second(identity), []).append((name, identity))

    def of(self, identity: str) -> set[str]:
        """Return the names that have an identity."""
        near = range(_second(identity) - 1, _second(identity) + 2)
        return {
            name
            for second in near
            for name, other in self._names.get(second, ())
            if same_identity(other, identity)
        }


def _second(identity: str) -> int:
    try:
        return int(datetime.fromisoformat(identity).timestamp())
    except ValueError:  # not a time: it is equal to itself alone
        return hash(identity)


def _heirs(owned: Mapping[str, NamespaceRow], users: Mapping[str, str | None]) -> dict[str, str]:
    """Return the new name of the owner of each namespace whose user the hub has renamed, as far as proven."""
    by_name = _Moments(users.items())
    by_owner = _Moments((_name(row), row.identity) for row in owned.values())
    found: dict[str, str] = {}
    for space, row in owned.items():
        if row.identity is None or _is_owner(row, users):
            continue
        heirs = by_name.of(row.identity)
        others = by_owner.of(row.identity) - {space.removeprefix(_USER)} - heirs
        if len(heirs) == 1 and not others:
            found[space] = heirs.pop()
    return found


def _follow_all(
    context: Context,
    session: Session,
    owned: Mapping[str, NamespaceRow],
    heirs: Mapping[str, str],
    users: Mapping[str, str | None],
    done: Settled,
) -> None:
    """Let namespaces follow their owners' new names, as far as no jobs of others are there."""
    left = dict(heirs)
    while free := [space for space, heir in left.items() if not namespaces.holds_jobs(session, _USER + heir)]:
        _follow(context, session, owned[free[0]], left.pop(free[0]), done)
    for space, heir in left.items():
        row = owned[space]
        if row.state == ACTIVE and namespaces.holds_jobs(session, space) and _name(row) not in users:
            # Jobs of both names: which of them are whose is for an administrator to say.
            reason = f"its user is called {heir} now, and {_USER}{heir} holds jobs already"
            namespaces.suspend(context, row, reason)
            _record(context, session, row, done, gone=False)


def _follow(context: Context, session: Session, row: NamespaceRow, heir: str, done: Settled) -> None:
    """Let a namespace follow its owner's new name, where no job is."""
    new, old = _USER + heir, row.namespace
    target = session.get(NamespaceRow, new)
    held = namespaces.holds_jobs(session, old)
    identity, audit_from = row.identity, row.audit_from
    was_active = row.state == ACTIVE
    namespaces.transfer(session, old, new)
    session.delete(session.get_one(NamespaceRow, old))
    session.flush()
    if target is None:
        target = NamespaceRow(namespace=new, state=ACTIVE)
        session.add(target)
    target.identity = identity
    target.audit_from = max(audit_from, namespaces.next_audit(session))
    if target.state != ACTIVE or not was_active:
        namespaces.activate(context, session, target)
    if held:
        done.moved[old] = new
        trail.write(context, session, BY, "move", new, new, before=old, reason="the hub renamed its user")
        logger.warning("%s is %s now: the hub renamed its user", old, new)


def _settle(
    context: Context, session: Session, row: NamespaceRow, users: Mapping[str, str | None], done: Settled
) -> None:
    name = _name(row)
    if name not in users:
        if row.state != ACTIVE:
            return
        if not namespaces.holds_jobs(session, row.namespace):
            session.delete(row)  # whoever gets the name next begins with nothing anyway
            return
        namespaces.suspend(context, row, f"the hub has no user {name} any more")
        _record(context, session, row, done)
    elif row.identity is None and row.state == ACTIVE:
        row.identity = users[name]
    elif same_identity(row.identity, users[name]):
        if row.state == SUSPENDED:
            namespaces.activate(context, session, row)
            done.active_again.append(row.namespace)
            trail.write(context, session, BY, "unsuspend", row.namespace, row.namespace)
    elif users[name] is not None:
        _begin_anew(context, session, row, users[name], done)


def _begin_anew(
    context: Context, session: Session, row: NamespaceRow, identity: str | None, done: Settled
) -> None:
    """Give a name to its new user, with nothing of the one who had it before."""
    namespace, name = row.namespace, _name(row)
    if namespaces.holds_jobs(session, namespace):
        reason = f"the hub has made a new user {name}: this is what an earlier one of that name left"
        before = row.identity
        aside = namespaces.set_aside(context, session, namespace, reason)
        aside.identity = before
        done.set_aside[namespace] = aside.namespace
        _record(context, session, aside, done)
        row = session.get_one(NamespaceRow, namespace)
    row.identity, row.state, row.reason, row.since = identity, ACTIVE, None, None
    row.audit_from = namespaces.next_audit(session)


def _record(
    context: Context, session: Session, row: NamespaceRow, done: Settled, *, gone: bool = True
) -> None:
    done.suspended.append(row.namespace)
    trail.write(
        context, session, BY, "suspend", row.namespace, row.namespace, reason=row.reason, before=row.former
    )
    add_notices(context, session, row, leavers.count(session, row.namespace) if gone else 0)
    logger.warning("%s", state_text(row))
