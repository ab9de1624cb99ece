"""Resume and restart: a run goes on from where another stopped, or starts over with a fixed notebook."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from respawn_jobs.access import Action, Actor
from respawn_jobs.errors import Conflict, InvalidInput
from respawn_jobs.ledger import artifacts, audit
from respawn_jobs.ledger.context import Context, find_run
from respawn_jobs.ledger.convert import cell_of, checkpoint_of, ref_of, run_of
from respawn_jobs.ledger.holdings import name_in_checkpoints, store
from respawn_jobs.ledger.jobs import add_version, describe, named_kernel
from respawn_jobs.ledger.records import INHERITED, cells_of, checkpoints_of
from respawn_jobs.ledger.runs import check_parameters, new_run
from respawn_jobs.models import Artifact, CellRecord, CellState, Checkpoint, Plan, PlanAction, Run, RunState
from respawn_jobs.notebooks import (
    cell_tags,
    code_cells,
    injected_cell,
    parameterize,
    read_notebook,
    source_hash,
    strip_debug,
    without_outputs,
    write_notebook,
)
from respawn_jobs.plan import Ended, mapped_checkpoint, plan_resume
from respawn_jobs.protocol import ResumeFrom, ReusedCell
from respawn_jobs.service import ResumeRequest
from respawn_jobs.store.tables import CellRow, CheckpointRow, JobRow, RunRow, VersionRow

if TYPE_CHECKING:
    from nbformat import NotebookNode


@dataclass
class _Past:
    """What is known of the run that is resumed or restarted."""

    run: RunRow
    job: JobRow
    version: VersionRow
    cells: list[CellRecord]
    checkpoints: list[CheckpointRow]
    artifacts: list[Artifact]
    """The latest of each name."""
    resumed_by: str | None


@dataclass
class _Next:
    """The version that goes on: the run's own, or a new one made from a fixed notebook."""

    content: dict[str, Any] | None
    """Columns of the new version; None when the run's own version is used."""
    text: str
    """The new version's bytes."""
    kernel: str
    language: str
    lock: str | None
    executed: NotebookNode
    """The notebook in its executed form, without outputs."""


def plan(context: Context, actor: Actor, run_id: str, request: ResumeRequest) -> Plan:
    """Tell what `resume` would do; changes nothing."""
    past = _past(context, actor, run_id, "read")
    return _plan(context, past, _next(context, past, request), request)


def resume(context: Context, actor: Actor, run_id: str, request: ResumeRequest) -> Run:
    """Queue a run that goes on from where this one stopped; see `Service.resume`.

    Raises `Conflict` when the run was resumed before (naming the run that did) or the plan has problems.
    """
    past = _past(context, actor, run_id, "run" if request.notebook is None else "edit")
    if past.resumed_by is not None:
        raise _resumed(run_id, past.resumed_by)
    following = _next(context, past, request)
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
            for cell in seeded:
                cell.run_id = row.id
                session.add(cell)
            inherited = _inherited(past, planned, row.id)
            session.add_all(inherited)
            named = {
                digest for checkpoint in inherited for digest in (checkpoint.manifest, *checkpoint.blobs)
            }
            name_in_checkpoints(session, row.id, named)
            artifacts.hand_on(session, _artifacts(past, following, planned)[0], row.id)
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
    past = _past(context, actor, run_id, "run" if request.notebook is None else "edit")
    following = _next(context, past, request)
    _put_version(context, past, following)
    try:
        with context.database.session(write=True) as session:
            return run_of(session, _insert(context, session, actor, past, following, "restart", {}))
    except IntegrityError as error:
        raise Conflict(f"the job of {run_id} was changed at the same moment; try again") from error


def _put_version(context: Context, past: _Past, following: _Next) -> None:
    if following.content is not None:
        store(context, past.job.namespace, following.text)


def _past(context: Context, actor: Actor, run_id: str, action: Action) -> _Past:
    with context.database.session() as session:
        run, job = find_run(session, actor, run_id, action)
        if not RunState(run.state).resumable:
            told = "succeeded" if run.state == RunState.SUCCEEDED.value else f"is still {run.state}"
            raise Conflict(f"{run_id} {told}: there is nothing to resume", run=run_id, state=run.state)
        checkpoints = checkpoints_of(session, run)
        manifests = {row.cell: row.manifest for row in checkpoints}
        return _Past(
            run=run,
            job=job,
            version=session.get_one(VersionRow, run.version_id),
            cells=[cell_of(cell, manifests.get(cell.index)) for cell in cells_of(session, run)],
            checkpoints=checkpoints,
            artifacts=artifacts.latest(session, run.id),
            resumed_by=session.scalar(select(RunRow.id).where(RunRow.resume_of == run_id)),
        )


def _next(context: Context, past: _Past, request: ResumeRequest) -> _Next:
    version, given = past.version, past.run.parameters
    original = read_notebook(context.blobs.get(version.notebook).decode())
    own = parameterize(without_outputs(original), given, version.kernel, version.language)
    _keep_injected(context, past, own)
    unchanged = _Next(
        content=None,
        text="",
        kernel=version.kernel,
        language=version.language,
        lock=context.lock_now(version.kernel, version.lock),
        executed=own,
    )
    if request.notebook is None:
        return unchanged
    opened = read_notebook(request.notebook)
    _refuse_edited_parameters(opened, own)
    fixed = strip_debug(opened)
    named = named_kernel(fixed)
    kernel = version.kernel if named in (None, named_kernel(original)) else str(named)
    if kernel == version.kernel and _same_cells(fixed, strip_debug(original)):
        return unchanged
    text = write_notebook(fixed)
    content = describe(context, fixed, text, kernel)
    check_parameters(VersionRow(language=content["language"], parameters=content["parameters"]), given)
    executed = parameterize(fixed, given, kernel, content["language"])
    _keep_injected(context, past, executed)
    return _Next(
        content=content,
        text=text,
        kernel=kernel,
        language=content["language"],
        lock=content["lock"],
        executed=executed,
    )


def _keep_injected(context: Context, past: _Past, executed: NotebookNode) -> None:
    """Give the injected cell the source that ran: a formatter that papermill uses may differ by place."""
    new = injected_cell(executed)
    if new is None or past.run.skeleton is None:
        return
    ran = injected_cell(read_notebook(context.blobs.get(past.run.skeleton).decode()))
    if ran is not None:
        new.source = ran.source


def _refuse_edited_parameters(opened: NotebookNode, own: NotebookNode) -> None:
    edited, ran = injected_cell(opened), injected_cell(own)
    if edited is None or (ran is not None and edited.source.strip() == ran.source.strip()):
        return
    raise InvalidInput(
        "the cell with the injected parameters was edited, but a resume or restart keeps the run's "
        "parameters; start a new run of the job to give it others",
        cell_id=edited.get("id"),
    )


def _same_cells(one: NotebookNode, other: NotebookNode) -> bool:
    def essence(notebook: NotebookNode) -> list[tuple[str, str, list[str]]]:
        return [(cell.cell_type, cell.source, cell_tags(cell)) for cell in notebook.cells]

    return essence(one) == essence(other)


def _plan(context: Context, past: _Past, following: _Next, request: ResumeRequest) -> Plan:
    planned = plan_resume(
        Ended(
            run=past.run.id,
            kernel=past.run.kernel,
            lock=past.run.lock,
            cells=past.cells,
            checkpoints=[checkpoint_of(row) for row in past.checkpoints],
        ),
        following.executed,
        kernel=following.kernel,
        lock=following.lock,
        language=following.language,
        rerun_once=request.rerun_once,
    )
    notices = [*planned.notices, *_artifacts(past, following, planned)[1]]
    if following.content is not None and past.job.version != past.version.number:
        notices.append(
            f"{ref_of(past.job)} has moved on to version {past.job.version}, which its new runs keep using: "
            "the fixed notebook serves this run alone"
        )
    problems = list(planned.problems)
    if past.resumed_by is not None:
        problems.append(_resumed(past.run.id, past.resumed_by).message)
    return planned.model_copy(update={"notices": notices, "problems": problems})


def _artifacts(past: _Past, following: _Next, planned: Plan) -> tuple[list[Artifact], list[str]]:
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
    past: _Past,
    following: _Next,
    trigger: str,
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
        parameters=past.run.parameters, lock=following.lock, origin=past.run.id, **more,
    )  # fmt: skip
    audit.write(
        context, session, actor.name, trigger, job.namespace, row.id,
        job=ref_of(job), origin=past.run.id, version=version.number,
    )  # fmt: skip
    return row


def _seed(past: _Past, following: _Next, planned: Plan) -> list[CellRow]:
    """Return the cells of attempt 0: what is reused, as it was recorded, and the rest as pending."""
    reuse = {cell.index for cell in planned.cells if cell.action is PlanAction.REUSE}
    rows: list[CellRow] = []
    for place, (index, cell) in enumerate(code_cells(following.executed)):
        row = CellRow(
            attempt=INHERITED,
            index=index,
            cell_id=str(cell.id),
            state=CellState.PENDING.value,
            source_hash=source_hash(cell.source),
            tags=cell_tags(cell),
        )
        if index in reuse:
            old = past.cells[place]
            row.state = CellState.REUSED.value
            row.outputs, row.execution_count, row.seconds = old.outputs, old.execution_count, old.seconds
        rows.append(row)
    return rows


def _resume_from(past: _Past, following: _Next, planned: Plan, seeded: list[CellRow]) -> ResumeFrom:
    checkpoint = _chosen(past, planned)
    return ResumeFrom(
        first=len(following.executed.cells) if planned.first is None else planned.first,
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


def _chosen(past: _Past, planned: Plan) -> CheckpointRow | None:
    if planned.checkpoint is None:
        return None
    manifest = planned.checkpoint.manifest
    return next(row for row in past.checkpoints if row.manifest == manifest)


def _inherited(past: _Past, planned: Plan, run_id: str) -> list[CheckpointRow]:
    """Return the checkpoints at reused cells as the new run's own, at their places in its notebook."""
    reused = [cell.index for cell in planned.cells if cell.action is PlanAction.REUSE]
    places = {old.index: new for old, new in zip(past.cells, reused, strict=False)}
    rows: list[CheckpointRow] = []
    for row in past.checkpoints:
        if row.cell not in places:
            continue
        moved: Checkpoint = mapped_checkpoint(checkpoint_of(row), places)
        document = json.loads(moved.model_dump_json())
        rows.append(CheckpointRow(run_id=run_id, attempt=INHERITED, blobs=row.blobs, **document))
    return rows


def _resumed(run_id: str, other: str) -> Conflict:
    return Conflict(f"{run_id} was resumed already, by {other}", run=run_id, resumed_by=other)
