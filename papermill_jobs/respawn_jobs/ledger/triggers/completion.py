"""Periods that are complete make their downstream runs: what follows from the end of a run.

Each end is looked at after it was committed, so whoever looks last sees all of them; a dependency's row is
locked while its run is made, and the run's idempotency key makes it once. Looking twice is harmless.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.orm import Session

from respawn_jobs.api.triggers import Source, TriggerRule
from respawn_jobs.blobs.artifact_parts import opened
from respawn_jobs.errors import Conflict, Corrupt, InvalidInput, NotFound
from respawn_jobs.ledger.capacity.suspension import at_work
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.runs import artifacts, outbox
from respawn_jobs.ledger.triggers.dependencies import upstream_of
from respawn_jobs.ledger.triggers.periods import span_of
from respawn_jobs.ledger.triggers.trigger_run import TriggerEvent, made, queue
from respawn_jobs.model.artifacts import Artifact
from respawn_jobs.model.runs import RunState
from respawn_jobs.store.service_tables import RunOutboxRow
from respawn_jobs.store.tables import JobRow, RunRow
from respawn_jobs.store.trigger_tables import DependencyRow, UpstreamJobRow
from respawn_kernels.sizes import how_large

logger = logging.getLogger(__name__)
MAX_BYTES = 64 << 10
"""Bytes of an artifact that is taken as a parameter."""
_VALUES = ("json", "text")
_TRIES = 5


@dataclass(frozen=True)
class Complete:
    """A period of a dependency that has what it needs."""

    key: str
    logical_date: datetime
    runs: dict[str, str]
    """The run that decides for each upstream job that has one which ended, by the job's id."""


def trigger_downstream_of(context: Context, run_id: str) -> list[str]:
    """Make the downstream runs that the end of a run completes, and return their ids.

    Raises what kept a dependency from being looked at, after all others were; the end is kept then.
    """
    with context.database.session() as session:
        run = session.get(RunRow, run_id)
        dependencies = [] if run is None else list(session.scalars(_dependencies_on(run)))
    queued: list[str] = []
    trouble: Exception | None = None
    for dependency in dependencies:
        try:
            following = _trigger(context, dependency, run_id)
        except Exception as error:  # noqa: BLE001  whatever one holds, the others must follow; raised below
            trouble = error
        else:
            queued += [following] if following else []
    if trouble is not None:
        raise trouble
    with context.database.session(write=True) as session:
        outbox.claim(session, "downstream", run_id)
    return queued


def postpone(context: Context, run_id: str) -> None:
    """Put an end that made trouble behind all others."""
    with context.database.session(write=True) as session:
        session.execute(
            update(RunOutboxRow)
            .where(RunOutboxRow.consumer == "downstream", RunOutboxRow.run_id == run_id)
            .values(at=context.clock())
        )


def _dependencies_on(run: RunRow) -> Any:
    return (
        select(DependencyRow.id)
        .join(UpstreamJobRow, UpstreamJobRow.dependency_id == DependencyRow.id)
        .where(UpstreamJobRow.job_id == run.job_id)
        .order_by(DependencyRow.id)
    )


def _trigger(context: Context, dependency_id: str, run_id: str) -> str | None:
    """Make a dependency's run for the period of an ended run, once it is complete."""
    for _ in range(_TRIES):
        with context.database.session() as session:
            complete = _complete(session, session.get(DependencyRow, dependency_id), run_id)
            if complete is None:
                return None
            sources = session.get_one(DependencyRow, dependency_id).sources
        # Values come from the blob store, which may be slow: no row is locked meanwhile.
        values, problem = _values(context, sources, complete.runs)
        with context.database.session(write=True) as session:
            dependency = session.scalar(
                select(DependencyRow).where(DependencyRow.id == dependency_id).with_for_update()
            )
            if (
                dependency is None
                or _complete(session, dependency, run_id) != complete
                or dependency.sources != sources
            ):
                continue
            job = session.get_one(JobRow, dependency.job_id)
            event = TriggerEvent(
                "dependency", dependency.id, complete.key, dependency.created_by,
                parameters={**dependency.parameters, **values},
                logical_date=complete.logical_date,
                problem=problem,
            )  # fmt: skip
            following = queue(context, session, job, event)
            return None if following is None else following.id
    raise Conflict(
        f"the runs that {dependency_id} waits for go on changing; it is looked at again",
        dependency=dependency_id,
    )


def _complete(session: Session, dependency: DependencyRow | None, run_id: str) -> Complete | None:
    """Return the period of an ended run when it has what the dependency needs and has made no run yet."""
    run = session.get(RunRow, run_id)
    if dependency is None or dependency.paused or run is None:
        return None
    if (
        session.scalar(
            select(DependencyRow.id).where(DependencyRow.id == dependency.id, at_work(DependencyRow.job_id))
        )
        is None
    ):
        return None
    span = span_of(dependency.period, dependency.tz, run.logical_date)  # type: ignore[arg-type]
    upstream = upstream_of(session, dependency.id)
    if made(session, dependency.id, span.key) is not None:
        return None
    newest = {job: _newest(session, job, span.start, span.end) for job in upstream}
    over = {job: one for job, one in newest.items() if one is not None and RunState(one.state).final}
    rule = TriggerRule(dependency.trigger_rule)
    wanted = {str(s) for s in RunState} if rule.accepts_failures else {RunState.SUCCEEDED.value}
    done = [one for one in over.values() if one.state in wanted]
    if len(done) < (len(upstream) if rule.needs_all else 1):
        return None
    at = max(one.logical_date for one in done)
    return Complete(span.key, at, {job: one.id for job, one in over.items()})


def _newest(session: Session, job: str, start: datetime, end: datetime) -> RunRow | None:
    """Return the run that decides for a job's period: its newest, the one that resumes or repeats another.

    One that was cancelled before it began, such as a run that others were in the way of, counts for nothing.
    """
    began = or_(RunRow.state != RunState.CANCELLED.value, RunRow.started_at.is_not(None))
    query = select(RunRow).where(
        and_(RunRow.job_id == job, RunRow.logical_date >= start, RunRow.logical_date < end, began)
    )
    return session.scalar(query.order_by(RunRow.created_at.desc(), RunRow.id.desc()).limit(1))


def _values(
    context: Context, sources: dict[str, Any], runs: dict[str, str]
) -> tuple[dict[str, Any], str | None]:
    """Return the parameters that come from upstream runs, and why one of them cannot be had.

    A job without an ended run in the period, as `one_success` allows, gives nothing: the notebook's default
    holds.
    """
    values: dict[str, Any] = {}
    for name, document in sources.items():
        source = Source.model_validate(document)
        run_id = runs.get(source.job)
        if run_id is None:
            continue
        try:
            values[name] = _value(context, source, run_id)
        except (InvalidInput, NotFound, Corrupt) as error:
            return values, f"parameter {name!r} cannot be taken from {run_id}: {error.message}"
    return values, None


def _value(context: Context, source: Source, run_id: str) -> Any:
    with context.database.session() as session:
        run = session.get_one(RunRow, run_id)
        found = {one.name: one for one in artifacts.latest(session, run_id)}
    if source.take == "run":
        return run.id
    if source.take == "state":
        return run.state
    name = source.name or ""
    if source.take == "parameter":
        if name not in run.parameters:
            known = ", ".join(run.parameters) or "none"
            raise NotFound(f"it was given no parameter {name!r}; it was given {known}")
        return run.parameters[name]
    if name not in found:
        raise NotFound(f"it has no artifact {name!r}; it has {', '.join(sorted(found)) or 'none'}")
    return _read(context, found[name])


def _read(context: Context, artifact: Artifact) -> Any:
    """Return the value of an artifact. Raises `InvalidInput` for one that is no parameter."""
    if artifact.kind not in _VALUES:
        raise InvalidInput(
            f"artifact {artifact.name!r} is of kind {artifact.kind}; numbers, texts, lists and mappings can "
            "be parameters. Save such a one, or take the run's id and load the artifact in the notebook"
        )
    if artifact.size > MAX_BYTES:
        raise InvalidInput(
            f"artifact {artifact.name!r} has {how_large(artifact.size)}; "
            f"a parameter takes {how_large(MAX_BYTES)} at most"
        )
    try:
        text = b"".join(bytes(opened(context.blobs.get(part.digest))) for part in artifact.parts).decode()
        return text if artifact.kind == "text" else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"artifact {artifact.name!r} cannot be read: {error}") from error


def trigger_downstream(context: Context, limit: int = 100) -> tuple[list[str], list[str]]:
    """Act on ended runs, oldest first.

    One that makes trouble is logged, put behind the others and looked at again.

    Returns:
        Ids of the downstream runs, and of the ended runs that made trouble.
    """
    queued: list[str] = []
    troubled: list[str] = []
    for run_id in _followed(context, outbox.ended(context, "downstream", limit)):
        try:
            queued += trigger_downstream_of(context, run_id)
        except Exception:  # whatever follows from one run, the others must be followed too
            logger.exception("what follows %s could not be queued; it is tried again", run_id)
            postpone(context, run_id)
            troubled.append(run_id)
    return queued, troubled


def _followed(context: Context, run_ids: list[str]) -> list[str]:
    """Forget the ends of runs that no job waits for, at once; return the others."""
    if not run_ids:
        return []
    waited_for = select(RunRow.id).join(UpstreamJobRow, UpstreamJobRow.job_id == RunRow.job_id)
    with context.database.session(write=True) as session:
        followed = set(session.scalars(waited_for.where(RunRow.id.in_(run_ids))))
        forgotten = [one for one in run_ids if one not in followed]
        session.execute(
            delete(RunOutboxRow).where(
                RunOutboxRow.consumer == "downstream", RunOutboxRow.run_id.in_(forgotten)
            )
        )
    return [one for one in run_ids if one in followed]
