"""Which jobs run after which: shown, and kept free of cycles."""

from __future__ import annotations

import graphlib
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.api.triggers import Graph, GraphEdge, GraphNode, TriggerRule
from respawn_jobs.errors import InvalidInput
from respawn_jobs.ledger.context.context import Context, known_namespace
from respawn_jobs.ledger.runs.rows import ref_of
from respawn_jobs.model.runs import RunState
from respawn_jobs.store.pieces import in_pieces
from respawn_jobs.store.tables import JobRow, RunRow, ScheduleRow
from respawn_jobs.store.trigger_tables import DependencyRow, UpstreamJobRow

_HIDDEN = "a job that you may not see"


def check_no_cycle(session: Session, actor: Actor, job: JobRow, upstream: Collection[str]) -> None:
    """Raise `InvalidInput`, naming the cycle, when `job` may not wait for these jobs (ids).

    The caller has made sure that no other dependency changes meanwhile.

    Args:
        session: the transaction that holds back other changes of dependencies.
        actor: who asks; jobs that they may not see are not named.
        job: the job that would wait.
        upstream: ids of the jobs that it would wait for.
    """
    upstreams: dict[str, set[str]] = {job.id: set(upstream)}
    unknown = set(upstream) - {job.id}
    while unknown:
        found: dict[str, set[str]] = {one: set() for one in unknown}
        for downstream, before in _edges_into(session, unknown):
            found[downstream].add(before)
        upstreams |= found
        unknown = set().union(*found.values()) - upstreams.keys()
    try:
        graphlib.TopologicalSorter(upstreams).prepare()
    except graphlib.CycleError as error:
        cycle: list[str] = list(error.args[1])[:-1]
    else:
        return
    if job.id in cycle:
        place = cycle.index(job.id)
        cycle = cycle[place:] + cycle[:place]
    names = [shown_name(session, actor, one) for one in (*cycle, cycle[0])]
    raise InvalidInput(
        f"{ref_of(job)} cannot run after itself: {' → '.join(names)}. Leave one of these out",
        job=ref_of(job),
        cycle=names,
    )


def graph(context: Context, actor: Actor, namespace: str | None, *, archived: bool = False) -> Graph:
    """Return the jobs that follow others or are followed, as far as the actor may read them.

    Archived ones, and the dependencies that name them, are in it only when they are asked for.

    Args:
        context: the ledger's surroundings.
        actor: who asks.
        namespace: only edges that touch it; None for all.
        archived: whether archived jobs are wanted, too.

    Raises:
        Forbidden: the actor may not read that namespace.
    """
    down, up = JobRow.__table__.alias("down"), JobRow.__table__.alias("up")
    query = (
        select(DependencyRow, down.c.id, up.c.id)
        .join(UpstreamJobRow, UpstreamJobRow.dependency_id == DependencyRow.id)
        .join(down, down.c.id == DependencyRow.job_id)
        .join(up, up.c.id == UpstreamJobRow.job_id)
        .order_by(down.c.namespace, down.c.name, up.c.namespace, up.c.name)
    )
    if not archived:
        query = query.where(down.c.archived_at.is_(None), up.c.archived_at.is_(None))
    readable = actor.readable()
    if namespace is not None:
        actor.require("read", known_namespace(namespace))
        query = query.where(or_(down.c.namespace == namespace, up.c.namespace == namespace))
    if readable is not None:
        query = query.where(down.c.namespace.in_(readable), up.c.namespace.in_(readable))
    with context.database.session() as session:
        found = session.execute(query).all()
        nodes = _nodes(session, {job for _, *pair in found for job in pair})
    edges = [
        GraphEdge(
            upstream=nodes[before].job,
            job=nodes[downstream].job,
            dependency=dependency.id,
            trigger_rule=TriggerRule(dependency.trigger_rule),
            period=dependency.period,
            paused=dependency.paused,
        )
        for dependency, downstream, before in found
    ]
    return Graph(nodes=sorted(nodes.values(), key=lambda node: node.job), edges=edges)


def _nodes(session: Session, ids: set[str]) -> dict[str, GraphNode]:
    nodes: dict[str, GraphNode] = {}
    for some in in_pieces(sorted(ids)):
        active = ScheduleRow.job_id.in_(some), ScheduleRow.paused.is_(False)
        first = select(ScheduleRow.job_id, func.min(ScheduleRow.next_due)).where(*active)
        due: dict[str, datetime | None] = {}
        for job_id, at in session.execute(first.group_by(ScheduleRow.job_id)):
            due[job_id] = at
        last = select(JobRow, RunRow.state).join(RunRow, RunRow.id == JobRow.last_run, isouter=True)
        for job, state in session.execute(last.where(JobRow.id.in_(some))):
            nodes[job.id] = GraphNode(
                job=ref_of(job),
                state=RunState(state) if state else None,
                run=job.last_run if state else None,
                next_due=due.get(job.id) if job.archived_at is None else None,
                archived=job.archived_at is not None,
            )
    return nodes


def _edges_into(session: Session, jobs: Collection[str]) -> list[tuple[str, str]]:
    """Return (job, upstream job) for the dependencies of these jobs."""
    found: list[tuple[str, str]] = []
    for some in in_pieces(sorted(jobs)):
        query = (
            select(DependencyRow.job_id, UpstreamJobRow.job_id)
            .join(UpstreamJobRow, UpstreamJobRow.dependency_id == DependencyRow.id)
            .where(DependencyRow.job_id.in_(some))
        )
        found += [(job, before) for job, before in session.execute(query)]
    return found


def shown_name(session: Session, actor: Actor, job_id: str) -> str:
    """Return the full name of a job, or that it is one that the actor may not see.

    Args:
        session: the caller's transaction.
        actor: who is shown the name.
        job_id: id of the job.
    """
    job = session.get_one(JobRow, job_id)
    return ref_of(job) if actor.allows("read", job.namespace) else _HIDDEN
