"""What is set without a new version: settings of jobs, and the limits of namespaces, users and queues."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor, check_namespace
from respawn_jobs.changing import with_changes
from respawn_jobs.errors import InvalidInput, NotFound
from respawn_jobs.ledger import audit
from respawn_jobs.ledger.context import Context, find_job
from respawn_jobs.ledger.convert import jobs_of, ref_of
from respawn_jobs.ledger.deadlines import settings_changed
from respawn_jobs.ledger.limits import NAME, check_text
from respawn_jobs.ledger.limits_of_runs import occupancy
from respawn_jobs.models import Job, JobSettings
from respawn_jobs.service_queueing import EACH, Limit, LimitRequest
from respawn_jobs.store.service_tables import LimitRow
from respawn_jobs.store.tables import JobRow


def configure(context: Context, actor: Actor, ref: str, changes: dict[str, Any]) -> Job:
    """Change settings of a job; see `QueueingService.configure`."""
    with context.database.session(write=True) as session:
        found = find_job(session, actor, ref, "edit")
        job = session.scalars(
            select(JobRow)
            .where(JobRow.id == found.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        ).one()
        before = JobSettings.model_validate(job.settings)
        after = with_changes(before, changes)
        if after != before:
            job.settings = after.model_dump(mode="json")
            settings_changed(context, job, before)
            told = {name: value for name, value in job.settings.items() if name in changes}
            audit.write(
                context, session, actor.name, "configure", job.namespace, ref_of(job), settings=told
            )  # fmt: skip
        return jobs_of(session, [job])[0]


def limits(context: Context, actor: Actor) -> list[Limit]:
    """Return the limits that bind an actor, by kind and name; see `QueueingService.limits`."""
    with context.database.session() as session:
        return _limits(session, actor)


def set_limit(context: Context, actor: Actor, request: LimitRequest) -> list[Limit]:
    """Set or remove a limit; see `QueueingService.limit`. Raises `NotFound` when there is none to remove."""
    actor.require_everywhere("admin")
    name = check_text("name", request.name, NAME)
    if request.kind == "namespace" and name != EACH:
        check_namespace(name)
    if not name or name != name.strip():
        raise InvalidInput(f"{name!r} is not the name of a {request.kind}", name=name)
    with context.database.session(write=True) as session:
        query = select(LimitRow).where(LimitRow.kind == request.kind, LimitRow.name == name)
        row = session.scalar(query.with_for_update())
        if request.most is None:
            if row is None:
                raise NotFound(f"there is no limit for {request.kind} {name}", kind=request.kind, name=name)
            session.delete(row)
        elif row is None:
            row = LimitRow(
                kind=request.kind, name=name, most=request.most, set_by=actor.name, set_at=context.clock()
            )
            session.add(row)
        else:
            row.most, row.set_by, row.set_at = request.most, actor.name, context.clock()
        session.flush()
        audit.write(
            context, session, actor.name, "limit", _namespace(request.kind, name),
            f"{request.kind} {name}", most=request.most,
        )  # fmt: skip
        return _limits(session, actor)


def _limits(session: Session, actor: Actor) -> list[Limit]:
    now = occupancy(session)
    rows = session.scalars(select(LimitRow).order_by(LimitRow.kind, LimitRow.name))
    return [
        Limit(
            kind=row.kind,  # type: ignore[arg-type]  # the store holds only what the model allows
            name=row.name,
            most=row.most,
            running=None if row.name == EACH else now.counts[row.kind, row.name],
            set_by=row.set_by,
            set_at=row.set_at,
        )
        for row in rows
        if _binds(actor, row)
    ]


def _binds(actor: Actor, row: LimitRow) -> bool:
    namespace = _namespace(row.kind, row.name)
    return not namespace or actor.allows("read", namespace) or row.name == actor.name


def _namespace(kind: str, name: str) -> str:
    """Return whose affair a limit is; empty for everybody's."""
    if name == EACH or kind == "queue":
        return ""
    return name if kind == "namespace" else f"user/{name}"
