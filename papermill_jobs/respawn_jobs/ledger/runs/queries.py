"""Runs: queued by people, listed, shown, cancelled, opened for debugging.

What takes the id of a run raises `NotFound` or `Forbidden` as `find_run` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.api.service import RunRequest
from respawn_jobs.errors import Conflict, InvalidInput, NotFound
from respawn_jobs.ids import new_id
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.capacity.suspension import check_at_work, check_not_archived, locked_job
from respawn_jobs.ledger.context.context import Context, find_job, find_run, find_version
from respawn_jobs.ledger.context.job_places import place_of
from respawn_jobs.ledger.context.text_limits import check_digest
from respawn_jobs.ledger.runs import artifacts, authorship, paging
from respawn_jobs.ledger.runs.cell_records import DONE, assemble, cells_of, checkpoints_of
from respawn_jobs.ledger.runs.executed_notebook import outputs_of
from respawn_jobs.ledger.runs.rows import (
    attempt_of,
    cell_of,
    checkpoint_of,
    ref_of,
    run_of,
    runs_of,
    version_of,
)
from respawn_jobs.ledger.runs.run_parameters import check_parameters, with_due
from respawn_jobs.ledger.runs.work_directory import own_directory_of
from respawn_jobs.model.debug_bundle import DebugBundle
from respawn_jobs.model.jobs import Version
from respawn_jobs.model.runs import CellRecord, Run, RunDetail, RunState, Trigger
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.store.tables import (
    AttemptRow,
    CellRow,
    CheckpointBlobRow,
    CheckpointRow,
    JobRow,
    RunRow,
    VersionRow,
)

_MAX = 2**31 - 1


def new_run(
    context: Context,
    session: Session,
    job: JobRow,
    version: VersionRow,
    by: str,
    trigger: Trigger,
    **more: Any,
) -> RunRow:
    """Insert a queued run of a version, with the job's settings as they are now.

    A notebook that declares `respawn_logical_date` and is given none gets the run's logical date. The caller
    has locked the job's row, and knows that the job is not archived.

    Args:
        context: the ledger's surroundings.
        session: the transaction that has locked the job; it writes.
        job: the job.
        version: the version that the run executes.
        by: name of who is behind the run.
        trigger: what makes the run.
        **more: other columns; `parameters` is needed, and `due_at` gives the logical date unless that is
            given. `memory_bytes` is a memory limit in place of the job's.
    """
    now = context.clock()
    settings = JobSettings.model_validate(job.settings)
    memory = more.pop("memory_bytes", None)
    limits = context.limits_of(version.kernel, settings.limits, memory, place_of(job))
    values: dict[str, Any] = {
        "state": RunState.QUEUED.value,
        "lock": version.lock,
        "priority": settings.priority,
        "queue": settings.queue,
        "logical_date": more.get("due_at") or now,
        "authors": authorship.of_run(version, by),
        **more,
    }
    values["parameters"] = with_due(version, values["parameters"], values["logical_date"])
    run = RunRow(
        id=new_id("run"),
        job_id=job.id,
        namespace=job.namespace,
        version_id=version.id,
        version=version.number,
        kernel=version.kernel,
        settings=settings.limited(limits).model_dump(mode="json"),
        trigger=trigger,
        created_by=by,
        created_at=now,
        **values,
    )
    session.add(run)
    session.flush()
    job.last_run = run.id
    return run


def run(context: Context, actor: Actor, request: RunRequest) -> Run:
    """Queue a run; see `Service.run`.

    Args:
        context, actor: the ledger's surroundings, and who asks, with `run` in the job's namespace.
        request: the job, its version (None for the current one), and parameters by name.

    Raises:
        Conflict: the job is archived, or its namespace is not active.
        QuotaExceeded: too many runs of the namespace wait.
        NotFound, Forbidden: see `find_job`.
        InvalidInput: parameters do not fit the version, or its kernel is not installed.
    """
    with context.database.session() as session:
        job = find_job(session, actor, request.job, "run")
        version = find_version(session, job, request.version)
        given = check_parameters(version, request.parameters)
    context.check_kernel(version.kernel, version.lock, place_of(job))
    lock = context.lock_for(version.kernel, version.lock, place_of(job))
    with context.database.session(write=True) as session:
        job = locked_job(session, job.id)
        check_at_work(session, job.namespace)
        check_not_archived(job)
        version = find_version(session, job, version.number)
        context.quotas.check_waiting(session, job.namespace)
        row = new_run(context, session, job, version, actor.name, "person", parameters=given, lock=lock)
        trail.write(
            context, session, actor.name, "run", job.namespace, row.id, job=ref_of(job), version=row.version
        )
        return run_of(session, row, context)


def runs(
    context: Context,
    actor: Actor,
    job: str | None,
    states: Sequence[RunState],
    limit: int,
    before: datetime | str | None,
    version: int | None = None,
) -> list[Run]:
    """Return runs that the actor may read, newest first; see `Service.runs`.

    Args:
        context, actor: the ledger's surroundings, and who asks.
        job: the job, as `find_job` takes it; None for the runs of all jobs that the actor may read.
        states: only runs in one of these; empty for all.
        limit: the most runs; below zero counts as zero.
        before: a time, its ISO 8601 text, or the id of the last run of the page before; None for the newest.
        version: only runs of this version of the job; None for all.

    Raises:
        InvalidInput: a version is given without a job, or `before` is no time with a zone and no run's id.
        NotFound, Forbidden: see `find_job`.
    """
    limit = min(max(0, limit), _MAX)
    with context.database.session() as session:
        place = paging.place_of(session, actor, before)
        parts: list[dict[str, str]] = [{}]
        if job is not None:
            row = find_job(session, actor, job)
            parts = [{"job_id": row.id}]
            if version is not None:
                parts = [{"version_id": find_version(session, row, version).id}]
        elif version is not None:
            raise InvalidInput("a version is one of a job: name the job as well")
        elif (readable := actor.readable()) is not None:
            parts = [{"namespace": namespace} for namespace in sorted(readable)]
        return runs_of(session, paging.newest(session, parts, states, place, limit), context)


def first_of_version(context: Context, actor: Actor, ref: str, number: int) -> Run | None:
    """Return the oldest run of a version that is kept; None where there is none.

    Args:
        context, actor: the ledger's surroundings, and who asks, with `read` in the job's namespace.
        ref: the job, as `find_job` takes it.
        number: the version's number.

    Raises:
        NotFound: there is no such job or version.
    """
    with context.database.session() as session:
        version = find_version(session, find_job(session, actor, ref), number)
        its = select(RunRow).where(RunRow.version_id == version.id)
        first = session.scalar(its.order_by(RunRow.created_at, RunRow.id).limit(1))
        return None if first is None else run_of(session, first)


def show(context: Context, actor: Actor, run_id: str) -> RunDetail:
    """Return a run with its cells; see `Service.show`.

    Args:
        context, actor: the ledger's surroundings, and who asks, with `read` in the job's namespace.
        run_id: the run's id.
    """
    with context.database.session() as session:
        row, _ = find_run(session, actor, run_id)
        checkpoints = checkpoints_of(session, row)
        attempts = session.scalars(
            select(AttemptRow).where(AttemptRow.run_id == run_id).order_by(AttemptRow.number)
        )
        restarted = session.scalars(
            select(RunRow.id)
            .where(RunRow.origin == run_id, RunRow.trigger == "restart")
            .order_by(RunRow.created_at)
        )
        return RunDetail(
            run=run_of(session, row, context),
            cells=_cell_records(session, row, checkpoints, evidence=False),
            checkpoints=[checkpoint_of(checkpoint) for checkpoint in checkpoints],
            attempts=[attempt_of(attempt) for attempt in attempts],
            restarted_by=list(restarted),
        )


def outputs(context: Context, actor: Actor, run_id: str, cell: int) -> list[dict[str, Any]]:
    """Return the nbformat outputs of one cell as far as they came.

    Args:
        context, actor: the ledger's surroundings, and who asks, with `read` in the job's namespace.
        run_id: the run's id.
        cell: the cell's index.

    Raises:
        NotFound: there is no such run, or it has no such code cell.
    """
    found = outputs_of_cells(context, actor, run_id, {cell})
    if not found:
        raise NotFound(f"{run_id} has no code cell {cell}", run=run_id, cell=cell)
    return found[cell]


def outputs_of_cells(
    context: Context, actor: Actor, run_id: str, cells: Set[int]
) -> dict[int, list[dict[str, Any]]]:
    """Return the outputs of those of `cells` that the run has, by index, as far as they came.

    Args:
        context, actor: the ledger's surroundings, and who asks, with `read` in the job's namespace.
        run_id: the run's id.
        cells: indexes of cells.
    """
    with context.database.session() as session:
        row, _ = find_run(session, actor, run_id)
        found = {record.index: record.outputs for record in cells_of(session, row) if record.index in cells}
    return {index: outputs_of(context.blobs, digest) for index, digest in found.items()}


def version(context: Context, actor: Actor, run_id: str) -> Version:
    """Return the version that a run executes.

    Args:
        context, actor: the ledger's surroundings, and who asks, with `read` in the job's namespace.
        run_id: the run's id.
    """
    with context.database.session() as session:
        row, job = find_run(session, actor, run_id)
        return version_of(session.get_one(VersionRow, row.version_id), job, context)


def notebook(context: Context, actor: Actor, run_id: str) -> str:
    """Return the text of the executed notebook as far as it came; the version's when nothing began.

    Args:
        context, actor: the ledger's surroundings, and who asks, with `read` in the job's namespace.
        run_id: the run's id.
    """
    with context.database.session() as session:
        row, _ = find_run(session, actor, run_id)
        return _notebook(context, session, row)


def stream_notebook(context: Context, actor: Actor, run_id: str) -> Iterator[bytes]:
    """Return what `notebook` does, in pieces, where it is stored as a whole; access is checked at once.

    Args:
        context, actor: the ledger's surroundings, and who asks, with `read` in the job's namespace.
        run_id: the run's id.
    """
    with context.database.session() as session:
        row, _ = find_run(session, actor, run_id)
        if row.notebook is None:
            return iter([_notebook(context, session, row).encode()])
    return context.blobs.stream(row.notebook)


def blob(context: Context, actor: Actor, run_id: str, digest: str) -> bytes:
    """Return a blob that belongs to the run. Raises `NotFound` for any other.

    Args:
        context, actor: the ledger's surroundings, and who asks, with `read` in the job's namespace.
        run_id: the run's id.
        digest: the blob's BLAKE3 digest.
    """
    _check_blob(context, actor, run_id, digest)
    return context.blobs.get(digest)


def stream_blob(context: Context, actor: Actor, run_id: str, digest: str) -> Iterator[bytes]:
    """Return what `blob` does, in pieces; access is checked at once.

    Args:
        context, actor: the ledger's surroundings, and who asks, with `read` in the job's namespace.
        run_id: the run's id.
        digest: the blob's BLAKE3 digest.
    """
    _check_blob(context, actor, run_id, digest)
    return context.blobs.stream(digest)


def _check_blob(context: Context, actor: Actor, run_id: str, digest: str) -> None:
    with context.database.session() as session:
        row, _ = find_run(session, actor, run_id)
        version = session.get_one(VersionRow, row.version_id)
        check_digest(digest)
        output = select(CellRow.run_id).where(CellRow.run_id == run_id, CellRow.outputs == digest).limit(1)
        belongs = (
            digest in (version.notebook, version.bundle, row.notebook, row.skeleton)
            or session.get(CheckpointBlobRow, (run_id, digest)) is not None
            or session.scalar(output) is not None
            or artifacts.names(session, run_id, digest)
        )
    if not belongs:
        raise NotFound(f"blob {digest} does not belong to {run_id}", run=run_id, digest=digest)


def debug(context: Context, actor: Actor, run_id: str) -> DebugBundle:
    """Return what opens a failure in a notebook; see `Service.debug`.

    Args:
        context, actor: the ledger's surroundings, and who asks, with `read` in the job's namespace.
        run_id: the run's id.

    Raises:
        Conflict: the run has no failure to debug, and does not run.
    """
    with context.database.session(write=True) as session:
        row, job = find_run(session, actor, run_id)
        if not (RunState(row.state).resumable or row.state == RunState.RUNNING.value):
            ended = "succeeded" if row.state == RunState.SUCCEEDED.value else f"is still {row.state}"
            raise Conflict(f"{run_id} {ended}: there is no failure to debug", run=run_id, state=row.state)
        trail.write(context, session, actor.name, "debug", job.namespace, run_id, job=ref_of(job))
    with context.database.session() as session:
        checkpoints = checkpoints_of(session, row)
        cells = _cell_records(session, row, checkpoints, evidence=True)
        before = _last_before(checkpoints, _failing(row, cells))
        version = version_of(session.get_one(VersionRow, row.version_id), job, context)
        return DebugBundle(
            run=run_of(session, row, context),
            version=version,
            cells=cells,
            notebook=_notebook(context, session, row),
            checkpoint=checkpoint_of(before) if before else None,
            blobs=before.blobs if before else [],
            artifacts=artifacts.latest(session, run_id),
            worked_in=own_directory_of(session, row),
        )


def _notebook(context: Context, session: Session, row: RunRow) -> str:
    if row.notebook is not None:
        return context.blobs.get(row.notebook).decode(errors="replace")
    text = assemble(session, context.blobs, row)
    if text is None:
        text = context.blobs.get(session.get_one(VersionRow, row.version_id).notebook).decode()
    return text


def _cell_records(
    session: Session, row: RunRow, checkpoints: Sequence[CheckpointRow], *, evidence: bool
) -> list[CellRecord]:
    manifests = {checkpoint.cell: checkpoint.manifest for checkpoint in checkpoints}
    cells = cells_of(session, row, evidence=evidence)
    return [cell_of(cell, manifests.get(cell.index), evidence=evidence) for cell in cells]


def _failing(row: RunRow, cells: Sequence[CellRecord]) -> int | None:
    """Return the index of the cell at which the run stopped; None when all of them are done."""
    if row.error and row.error.get("cell") is not None:
        return int(row.error["cell"])
    return next((cell.index for cell in cells if cell.state not in DONE), None)


def _last_before(checkpoints: Sequence[CheckpointRow], index: int | None) -> CheckpointRow | None:
    return next((row for row in reversed(checkpoints) if index is None or row.cell < index), None)
