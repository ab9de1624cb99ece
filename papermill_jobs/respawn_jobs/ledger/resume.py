"""Resume and restart: a run goes on from where another stopped, or starts over with a fixed notebook."""

from __future__ import annotations

import json
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.errors import Conflict
from respawn_jobs.handing_over import kept_boundaries, mapped_checkpoint, reused_records
from respawn_jobs.ledger import artifacts, audit
from respawn_jobs.ledger.context import Context
from respawn_jobs.ledger.convert import checkpoint_of, ref_of, run_of
from respawn_jobs.ledger.following import Next, Past, next_of, past_of
from respawn_jobs.ledger.holdings import name_in_checkpoints, store
from respawn_jobs.ledger.jobs import add_version
from respawn_jobs.ledger.records import INHERITED
from respawn_jobs.ledger.registry import secure
from respawn_jobs.ledger.runs import new_run
from respawn_jobs.models import Artifact, CellState, Checkpoint, Plan, PlanAction, Run
from respawn_jobs.notebooks import cell_tags, code_cells, source_hash, write_notebook
from respawn_jobs.plan import Agreed, plan_resume
from respawn_jobs.protocol import ResumeFrom, ReusedCell
from respawn_jobs.service import ResumeRequest
from respawn_jobs.store.tables import CellRow, CheckpointRow, JobRow, RunRow


def plan(context: Context, actor: Actor, run_id: str, request: ResumeRequest) -> Plan:
    """Tell what `resume` would do; changes nothing."""
    past = past_of(context, actor, run_id, "read")
    return _plan(context, past, next_of(context, past, request), request)


def resume(context: Context, actor: Actor, run_id: str, request: ResumeRequest) -> Run:
    """Queue a run that goes on from where this one stopped; see `Service.resume`.

    Raises `Conflict` when the run was resumed before (naming the run that did) or the plan has problems.
    """
    past = past_of(context, actor, run_id, "run" if request.notebook is None else "edit")
    if past.resumed_by is not None:
        raise _resumed(run_id, past.resumed_by)
    following = next_of(context, past, request)
    planned = _plan(context, past, following, request)
    if planned.problems:
        raise Conflict("; ".join(planned.problems), run=run_id, problems=planned.problems)
    _put_version(context, past, following)
    skeleton = store(context, past.job.namespace, write_notebook(following.executed))
    seeded = _seed(past, following, planned)
    more = {
        "resume_of": run_id,
        "resume_from": planned.first,
        "resume": _resume_from(past, following, planned, seeded).model_dump(mode="json"),
        "skeleton": skeleton,
        "cells_total": len(seeded),
        "cells_done": sum(cell.state == CellState.REUSED.value for cell in seeded),
    }
    try:
        with context.database.session(write=True) as session:
            row = _insert(context, session, actor, past, following, "resume", more)
            handed_on = _artifacts(past, following, planned)[0]
            parts = {part.digest for artifact in handed_on for part in artifact.parts}
            secure(session, {skeleton, *parts, *(cell.outputs for cell in seeded if cell.outputs)})
            for cell in seeded:
                cell.run_id = row.id
                session.add(cell)
            inherited = _inherited(past, following, planned, row.id)
            session.add_all(inherited)
            # The state that it starts from is not always inherited: it may lie below cells that run again.
            started = [found for found in [_chosen(past, planned)] if found is not None]
            named = {digest for found in (*inherited, *started) for digest in (found.manifest, *found.blobs)}
            name_in_checkpoints(session, row.id, named)
            artifacts.hand_on(session, handed_on, row.id)
            session.flush()
            return run_of(session, row)
    except IntegrityError as error:
        with context.database.session() as session:
            other = session.scalar(select(RunRow.id).where(RunRow.resume_of == run_id))
        if other is None:
            raise Conflict(f"the job of {run_id} was changed at the same moment; try again") from error
        raise _resumed(run_id, other) from error


def restart(context: Context, actor: Actor, run_id: str, request: ResumeRequest) -> Run:
    """Queue a run from the top, with the same parameters; see `Service.restart`."""
    past = past_of(context, actor, run_id, "run" if request.notebook is None else "edit")
    following = next_of(context, past, request)
    _put_version(context, past, following)
    try:
        with context.database.session(write=True) as session:
            return run_of(session, _insert(context, session, actor, past, following, "restart", {}))
    except IntegrityError as error:
        raise Conflict(f"the job of {run_id} was changed at the same moment; try again") from error


def _put_version(context: Context, past: Past, following: Next) -> None:
    if following.content is not None:
        store(context, past.job.namespace, following.text)


def _plan(context: Context, past: Past, following: Next, request: ResumeRequest) -> Plan:
    planned = plan_resume(
        past.basis.ended(context),
        following.executed,
        kernel=following.kernel,
        lock=following.lock,
        language=following.language,
        parameters=following.parameters,
        agreed=Agreed(rerun_once=request.rerun_once, rerun_makers=request.rerun_makers),
    )
    notices = [*planned.notices, *_artifacts(past, following, planned)[1]]
    if past.basis.run.id != past.run.id:
        notices.append(
            f"{past.run.id} ended before all that it had to run again had run: "
            f"this goes on from the states of {past.basis.run.id}"
        )
    if following.content is not None and past.job.version != past.version.number:
        notices.append(
            f"{ref_of(past.job)} has moved on to version {past.job.version}, which its new runs keep using: "
            "the fixed notebook serves this run alone"
        )
    problems = list(planned.problems)
    if past.resumed_by is not None:
        problems.append(_resumed(past.run.id, past.resumed_by).message)
    return planned.model_copy(update={"run": past.run.id, "notices": notices, "problems": problems})


def _artifacts(past: Past, following: Next, planned: Plan) -> tuple[list[Artifact], list[str]]:
    """Return the artifacts that the new run is given, and why others are left behind."""
    reused = {cell.index for cell in planned.cells if cell.action is PlanAction.REUSE}
    cells = [
        artifacts.NextCell(index, str(cell.id), source_hash(cell.source), reused=index in reused)
        for index, cell in code_cells(following.executed)
    ]
    same_kernel = (past.run.kernel, past.run.lock) == (following.kernel, following.lock)
    return artifacts.valid_after(past.artifacts, past.cells, cells, same_kernel=same_kernel)


def _insert(
    context: Context,
    session: Session,
    actor: Actor,
    past: Past,
    following: Next,
    trigger: Literal["resume", "restart", "retry"],
    more: dict[str, Any],
) -> RunRow:
    job = session.scalars(select(JobRow).where(JobRow.id == past.job.id).with_for_update()).one()
    version = past.version
    if following.content is not None:
        before = version.number
        version = add_version(
            context, session, actor, job, following.content,
            directory=past.version.directory, git=None, parent=before,
        )  # fmt: skip
        if job.version == before:
            job.version = version.number
        audit.write(
            context, session, actor.name, "promote", job.namespace, ref_of(job),
            version=version.number, parent=before, notebook=version.notebook, kernel=version.kernel,
        )  # fmt: skip
    row = new_run(
        context, session, job, version, actor.name, trigger,
        parameters=following.parameters, lock=following.lock, origin=past.run.id,
        logical_at=past.run.logical_at, **more,
    )  # fmt: skip
    audit.write(
        context, session, actor.name, trigger, job.namespace, row.id,
        job=ref_of(job), origin=past.run.id, version=version.number,
    )  # fmt: skip
    return row


def _seed(past: Past, following: Next, planned: Plan) -> list[CellRow]:
    """Return the cells of attempt 0: what is reused, as it was recorded, and the rest as pending."""
    reused = reused_records(past.basis.cells, following.executed, planned)
    rows: list[CellRow] = []
    for index, cell in code_cells(following.executed):
        row = CellRow(
            attempt=INHERITED,
            index=index,
            cell_id=str(cell.id),
            state=CellState.PENDING.value,
            source_hash=source_hash(cell.source),
            tags=cell_tags(cell),
        )
        if index in reused:
            old = reused[index]
            row.state = CellState.REUSED.value
            row.outputs, row.execution_count, row.seconds = old.outputs, old.execution_count, old.seconds
            row.parameters_hash, row.lock = old.parameters_hash, old.lock
        rows.append(row)
    return rows


def _resume_from(past: Past, following: Next, planned: Plan, seeded: list[CellRow]) -> ResumeFrom:
    checkpoint = _chosen(past, planned)
    return ResumeFrom(
        first=len(following.executed.cells) if planned.first is None else planned.first,
        rerun=planned.rerun,
        stale=planned.stale,
        manifest=checkpoint.manifest if checkpoint else None,
        blobs=checkpoint.blobs if checkpoint else [],
        reused=[
            ReusedCell(
                index=row.index,
                outputs=row.outputs,
                execution_count=row.execution_count,
                seconds=row.seconds,
            )
            for row in seeded
            if row.state == CellState.REUSED.value
        ],
    )


def _chosen(past: Past, planned: Plan) -> CheckpointRow | None:
    if planned.checkpoint is None:
        return None
    manifest = planned.checkpoint.manifest
    return next(row for row in past.basis.checkpoints if row.manifest == manifest)


def _inherited(past: Past, following: Next, planned: Plan, run_id: str) -> list[CheckpointRow]:
    """Return the checkpoints above all that runs or is gone, as the new run's own.

    Those below hold what the new run makes anew.
    """
    places = kept_boundaries(past.basis.cells, following.executed, planned)
    rows: list[CheckpointRow] = []
    for row in past.basis.checkpoints:
        if row.cell not in places:
            continue
        moved: Checkpoint = mapped_checkpoint(checkpoint_of(row), places)
        document = json.loads(moved.model_dump_json())
        rows.append(CheckpointRow(run_id=run_id, attempt=INHERITED, blobs=row.blobs, **document))
    return rows


def _resumed(run_id: str, other: str) -> Conflict:
    return Conflict(f"{run_id} was resumed already, by {other}", run=run_id, resumed_by=other)
