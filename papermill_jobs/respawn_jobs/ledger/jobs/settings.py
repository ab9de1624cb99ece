"""What is set without a new version: settings of jobs, and the limits of namespaces, users and queues."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor, check_namespace
from respawn_jobs.api.queueing import EACH, Limit, LimitRequest
from respawn_jobs.errors import InvalidInput, NotFound
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.capacity.concurrency import occupancy
from respawn_jobs.ledger.context.context import Context, find_job
from respawn_jobs.ledger.context.job_places import check_profile
from respawn_jobs.ledger.context.limit_ceiling import check_settings
from respawn_jobs.ledger.context.text_limits import NAME, check_text
from respawn_jobs.ledger.notices.deadlines import settings_changed
from respawn_jobs.ledger.runs.rows import jobs_of, ref_of
from respawn_jobs.model.jobs import Job
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.model.settings_patch import with_changes
from respawn_jobs.store.service_tables import LimitRow
from respawn_jobs.store.tables import JobRow


def configure(context: Context, actor: Actor, ref: str, changes: dict[str, Any]) -> Job:
    """Change settings of a job; see `QueueingService.configure`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `edit` in the job's namespace.
        ref: the job, as `find_job` takes it.
        changes: new values by the name of the setting.

    Raises:
        NotFound, Forbidden: see `find_job`.
        InvalidInput: a setting is unknown, its value cannot be used, a limit is above the deployment's, or
            there is no such profile for the job's namespace.
    """
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
        check_settings(context, after, changes)
        check_profile(context.places, job.namespace, after, changes)
        if after != before:
            job.settings = after.model_dump(mode="json")
            settings_changed(context, job, before)
            changed = {name: value for name, value in job.settings.items() if name in changes}
            trail.write(
                context, session, actor.name, "configure", job.namespace, ref_of(job), settings=changed
            )  # fmt: skip
        return jobs_of(session, [job])[0]


def limits(context: Context, actor: Actor) -> list[Limit]:
    """Return the limits that bind an actor, by kind and name; see `QueueingService.limits`."""
    with context.database.session() as session:
        return _limits(session, actor)


def set_limit(context: Context, actor: Actor, request: LimitRequest) -> list[Limit]:
    """Set or remove a limit; see `QueueingService.limit`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `admin` in all namespaces.
        request: kind and name of what is limited, and how many runs may execute at once; None removes the
            limit.

    Raises:
        NotFound: there is no limit to remove.
        InvalidInput: nothing of that kind can have this name.
        Forbidden: the actor is no administrator of all namespaces.
    """
    actor.require_everywhere("admin")
    name = check_text("name", request.name, NAME)
    if request.kind == "namespace" and name != EACH:
        check_namespace(name)
    if not name or name != name.strip():
        raise InvalidInput(f"{name!r} is not the name of a {request.kind}", name=name)
    with context.database.session(write=True) as session:
        query = select(LimitRow).where(LimitRow.kind == request.kind, LimitRow.name == name)
        row = session.scalar(query.with_for_update())
        if request.max_running is None:
            if row is None:
                raise NotFound(f"there is no limit for {request.kind} {name}", kind=request.kind, name=name)
            session.delete(row)
        elif row is None:
            row = LimitRow(
                kind=request.kind,
                name=name,
                max_running=request.max_running,
                set_by=actor.name,
                set_at=context.clock(),
            )
            session.add(row)
        else:
            row.max_running, row.set_by, row.set_at = request.max_running, actor.name, context.clock()
        session.flush()
        trail.write(
            context, session, actor.name, "limit", _namespace(request.kind, name),
            f"{request.kind} {name}", max_running=request.max_running,
        )  # fmt: skip
        return _limits(session, actor)


def _limits(session: Session, actor: Actor) -> list[Limit]:
    now = occupancy(session)
    rows = session.scalars(select(LimitRow).order_by(LimitRow.kind, LimitRow.name))
    return [
        Limit(
            kind=row.kind,  # type: ignore[arg-type]  # the store holds only what the model allows
            name=row.name,
            max_running=row.max_running,
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
