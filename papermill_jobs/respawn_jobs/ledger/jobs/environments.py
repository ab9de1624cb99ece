"""Kernel environments with who pins their builds, as far as the reader may see jobs."""

from __future__ import annotations

from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from respawn_jobs.access import Actor
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.model.kernels import MAX_JOBS, EnvironmentBuild, EnvironmentDetail, EnvironmentPackage
from respawn_jobs.model.runs import RunState
from respawn_jobs.store.pieces import in_pieces
from respawn_jobs.store.tables import JobRow, RunRow, VersionRow

if TYPE_CHECKING:
    from respawn_environments.shown.overview import KnownBuild, KnownEnvironment

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_RESOURCES = {"memory": "memory_bytes", "cpus": "cpus", "processes": "processes", "disk": "disk_bytes"}


@dataclass
class _Pins:
    """What pins one build."""

    jobs: set[str] = field(default_factory=set)
    runs: int = 0


def environments(context: Context, actor: Actor) -> list[EnvironmentDetail]:
    """Return all environments, by name; of what pins their builds only what the actor may read.

    A build that is not on this machine is told where something that the actor may read pins it.
    """
    from respawn_environments.shown.icons import drawn
    from respawn_environments.shown.overview import PREFIX, KnownEnvironment

    pins = _pins(context, actor)
    known = {one.kernel: one for one in context.known_environments()}
    for kernel in {kernel for kernel, _ in pins if kernel.startswith(PREFIX)} - known.keys():
        name = kernel.removeprefix(PREFIX)
        known[kernel] = KnownEnvironment(name, name, drawn(name, name))
    return [
        _environment(one, {lock: found for (name, lock), found in pins.items() if name == kernel})
        for kernel, one in sorted(known.items())
    ]


def _environment(one: KnownEnvironment, pins: Mapping[str, _Pins]) -> EnvironmentDetail:
    here = {build.built.record.hash: build for build in one.builds}
    builds = [_build(digest, here.get(digest), pins.get(digest), one.current) for digest in {**here, **pins}]
    builds.sort(key=lambda build: (build.newest, build.built_at or _LONG_AGO), reverse=True)
    resources = {_RESOURCES[name]: value for name, value in one.resources.items() if name in _RESOURCES}
    return EnvironmentDetail(
        name=one.name,
        kernel=one.kernel,
        display_name=one.display_name,
        icon=f"data:image/svg+xml;base64,{b64encode(one.icon).decode()}",
        description=one.description,
        python=one.python,
        requirements=list(one.requirements),
        labels=dict(one.labels),
        preload=list(one.preload),
        not_preloaded=dict(one.not_preloaded),
        problem=one.problem,
        installed=one.current is not None,
        builds=builds,
        **resources,
    )


def _build(
    digest: str, known: KnownBuild | None, pins: _Pins | None, current: str | None
) -> EnvironmentBuild:
    there: dict[str, Any] = {}
    if known is not None:
        record = known.built.record
        there = {
            "warm": known.warm,
            "python": record.python,
            "respawn": record.own_version,
            "built_at": record.built_at,
            "last_used": known.built.last_used,
            "size": record.size,
            "packages": [
                EnvironmentPackage(name=name, version=version, main=name in known.main)
                for name, version in sorted(known.packages.items())
            ],
        }
    jobs = sorted(pins.jobs) if pins else []
    return EnvironmentBuild(
        hash=digest,
        newest=digest == current,
        here=known is not None,
        jobs=len(jobs),
        some_jobs=jobs[:MAX_JOBS],
        runs=pins.runs if pins else 0,
        **there,
    )


def _pins(context: Context, actor: Actor) -> dict[tuple[str, str], _Pins]:
    """Return what pins builds, by the kernel's name and the build's hash.

    Versions of jobs that are archived do not count, nor runs that succeeded and are not pinned: the same
    as for the removal of builds (`ledger.operations.pinned_environments`).
    """
    versions = (
        select(VersionRow.kernel, VersionRow.lock, JobRow.namespace, JobRow.name)
        .join(JobRow, JobRow.id == VersionRow.job_id)
        .where(VersionRow.lock.is_not(None), JobRow.archived_at.is_(None))
        .distinct()
    )
    runs = (
        select(RunRow.kernel, RunRow.lock, func.count())
        .where(RunRow.lock.is_not(None), or_(RunRow.state != RunState.SUCCEEDED.value, RunRow.pinned))
        .group_by(RunRow.kernel, RunRow.lock)
    )
    found: dict[tuple[str, str], _Pins] = defaultdict(_Pins)
    with context.database.session() as session:
        for kernel, lock, namespace, name in _readable(session, versions, JobRow.namespace, actor):
            found[kernel, lock].jobs.add(f"{namespace}/{name}")
        for kernel, lock, count in _readable(session, runs, RunRow.namespace, actor):
            found[kernel, lock].runs += count
    return found


def _readable(
    session: Session, query: Select[*tuple[Any, ...]], namespace: InstrumentedAttribute[str], actor: Actor
) -> Iterator[Any]:
    """Yield the rows of a query in the namespaces that an actor may read."""
    readable = actor.readable()
    if readable is None:
        yield from session.execute(query)
        return
    for names in in_pieces(sorted(readable)):
        yield from session.execute(query.where(namespace.in_(names)))
