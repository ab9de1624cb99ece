"""What namespaces use of what they may, for people; and the sizes of blobs that nobody has measured."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.api.queueing import EACH, Usage
from respawn_jobs.ledger.capacity.concurrency import occupancy
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.context.quotas import stored_bytes
from respawn_jobs.model.runs import RunState
from respawn_jobs.store.service_tables import LimitRow
from respawn_jobs.store.tables import JobRow, NamespaceBlobRow, RunRow
from respawn_kernels.digest import digest_of

_EMPTY = digest_of(b"")
_AT_ONCE = 500


def usage(context: Context, actor: Actor) -> list[Usage]:
    """Return what the namespaces use that an actor may read; see `QueueingService.usage`."""
    readable = actor.readable()
    with context.database.session() as session:
        names = _holding(session) if readable is None else readable
        stored, unmeasured = stored_bytes(session), _counted(session, _unmeasured())
        waiting = _waiting(session)
        counts = occupancy(session).counts
        rows = session.scalars(select(LimitRow).where(LimitRow.kind == "namespace"))
        limits = {row.name: row.max_running for row in rows}
    return [
        Usage(
            namespace=name,
            stored_bytes=stored.get(name, 0),
            stored_limit=context.quotas.stored_bytes,
            unmeasured=unmeasured.get(name, 0),
            waiting=waiting.get(name, 0),
            waiting_limit=context.quotas.waiting_runs,
            executing=counts[("namespace", name)],
            executing_limit=limits.get(name, limits.get(EACH)),
        )
        for name in sorted(names)
    ]


def measure(context: Context, after: str) -> str | None:
    """Measure some of the blobs that were stored before sizes were counted.

    A blob whose bytes are not there is passed over: `respawn admin verify` tells of it.

    Args:
        context: the ledger's.
        after: the digest up to which was measured before; nothing to begin.

    Returns:
        The digest up to which is measured now; None when all are.
    """
    query = select(NamespaceBlobRow.digest).where(_unmeasured(), NamespaceBlobRow.digest > after)
    with context.database.session() as session:
        found = session.scalars(query.distinct().order_by(NamespaceBlobRow.digest).limit(_AT_ONCE)).all()
    sizes = dict(zip(found, context.blobs.sizes(found), strict=True))
    if any(sizes.values()):
        with context.database.session(write=True) as session:
            for digest, size in sizes.items():
                if size:
                    row = update(NamespaceBlobRow).where(NamespaceBlobRow.digest == digest, _unmeasured())
                    session.execute(row.values(size=size).execution_options(synchronize_session=False))
    return found[-1] if len(found) == _AT_ONCE else None


def _unmeasured() -> ColumnElement[bool]:
    return and_(NamespaceBlobRow.size == 0, NamespaceBlobRow.digest != _EMPTY)


def _holding(session: Session) -> set[str]:
    """Return the namespaces that have a job or hold a blob."""
    jobs, blobs = select(JobRow.namespace).distinct(), select(NamespaceBlobRow.namespace).distinct()
    return {*session.scalars(jobs), *session.scalars(blobs)}


def _counted(session: Session, which: ColumnElement[bool]) -> dict[str, int]:
    query = select(NamespaceBlobRow.namespace, func.count()).where(which)
    found = session.execute(query.group_by(NamespaceBlobRow.namespace))
    return {name: int(count) for name, count in found}


def _waiting(session: Session) -> dict[str, int]:
    query = select(RunRow.namespace, func.count()).where(RunRow.state == RunState.QUEUED.value)
    found = session.execute(query.group_by(RunRow.namespace))
    return {name: int(count) for name, count in found}
