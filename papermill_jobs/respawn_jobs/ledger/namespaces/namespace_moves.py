"""What administrators decide about a namespace: that another name gets it, or that it is over."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.api.namespaces import Namespace, same_identity
from respawn_jobs.errors import Conflict, InvalidInput, NotFound
from respawn_jobs.ledger.attempts import cancellation
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.capacity.suspension import ACTIVE, RETIRED, state_text
from respawn_jobs.ledger.context.context import Context, known_namespace
from respawn_jobs.ledger.namespaces import namespaces
from respawn_jobs.store.service_tables import NamespaceRow
from respawn_jobs.store.tables import JobRow, RunRow

_NAMED = 5


def retire(context: Context, actor: Actor, namespace: str) -> Namespace:
    """Close a namespace for good; see `NamespaceService.retire`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `admin` in all namespaces.
        namespace: what is closed.

    Raises:
        Forbidden: the actor is no administrator of all namespaces.
    """
    actor.require_everywhere("admin")
    known_namespace(namespace)
    with context.database.session(write=True) as session:
        row = _existing(session, namespace)
        if row is not None and row.state == RETIRED:
            return namespaces.shown_of(session, namespace, row)
        if row is not None and row.former is not None:
            namespaces.suspend(context, row, f"retired by {actor.name}", RETIRED)
        else:
            aside = namespaces.set_aside(context, session, namespace, f"retired by {actor.name}", RETIRED)
            row = session.get(NamespaceRow, namespace)
            if row is not None:
                aside.identity = row.identity
                row.state, row.reason, row.since = ACTIVE, None, None
                row.audit_from = namespaces.next_audit(session)
            row = aside
        trail.write(context, session, actor.name, "retire", row.namespace, row.namespace, before=namespace)
        name = row.namespace
    cancellation.cancel_open(context, actor, RunRow.namespace == name)
    with context.database.session() as session:
        return namespaces.shown_of(session, name, session.get(NamespaceRow, name))


def move(context: Context, actor: Actor, namespace: str, new: str, identity: str | None) -> Namespace:
    """Give all that a namespace holds to another one; see `NamespaceService.move`.

    Args:
        context: the ledger's surroundings.
        actor: an administrator of all namespaces.
        namespace: what is moved.
        new: its new name; the same one gives it to the user who has that name now.
        identity: the hub's identity of the new owner; None for a team, or where there is no hub.

    Raises:
        InvalidInput: the new name is no namespace's, or lies under `former/`.
        Conflict: the target is not active, or both have a job of one name.
        Forbidden: the actor is no administrator of all namespaces.
    """
    actor.require_everywhere("admin")
    known_namespace(namespace)
    if known_namespace(new).startswith("former/"):
        raise InvalidInput(f"{new} is nobody's: move it to user/<name> or team/<group>", namespace=new)
    with context.database.session(write=True) as session:
        row = _existing(session, namespace)
        target = session.get(NamespaceRow, new, with_for_update=True)
        if new != namespace:
            if target is not None and target.state != ACTIVE:
                raise Conflict(f"{state_text(target)}. Move or retire it first", namespace=new)
            _check_names(session, namespace, new)
        if not same_identity(row.identity if row is not None else None, identity):
            namespaces.disown(session, namespaces.jobs_of(session, namespace), namespace)
        if new != namespace:
            namespaces.transfer(session, namespace, new)
        target = session.get(NamespaceRow, new)
        if target is None and identity is not None:
            target = NamespaceRow(namespace=new, state=ACTIVE)
            session.add(target)
        if target is not None:
            target.identity = identity or target.identity
            target.state, target.reason, target.since = ACTIVE, None, None
        row = session.get(NamespaceRow, namespace)
        if row is not None and namespace != new and row.former is not None:
            session.delete(row)
        elif row is not None and namespace != new:
            row.state, row.reason, row.since = ACTIVE, None, None
        session.flush()
        namespaces.restart_clocks(context, session, JobRow.namespace == new)
        trail.write(context, session, actor.name, "move", new, new, before=namespace)
        return namespaces.shown_of(session, new, session.get(NamespaceRow, new))


def _existing(session: Session, namespace: str) -> NamespaceRow | None:
    """Return the row of a namespace, if it has one. Raises `NotFound` when nothing is there."""
    row = session.get(NamespaceRow, namespace, with_for_update=True)
    if row is None and not namespaces.holds_jobs(session, namespace):
        raise NotFound(f"there is no namespace {namespace}: it has no jobs", namespace=namespace)
    return row


def _check_names(session: Session, namespace: str, new: str) -> None:
    taken = select(JobRow.name).where(JobRow.namespace == new)
    both = session.scalars(
        select(JobRow.name).where(JobRow.namespace == namespace, JobRow.name.in_(taken)).order_by(JobRow.name)
    ).all()
    if both:
        more = f" and {len(both) - _NAMED} more" if len(both) > _NAMED else ""
        raise Conflict(
            f"{namespace} and {new} both hold jobs named {', '.join(both[:_NAMED])}{more}; nothing was moved",
            jobs=list(both),
        )
