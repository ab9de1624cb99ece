"""Resume and restart: a run goes on from where another stopped, or starts over with a fixed notebook."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.consent import archives
from respawn_jobs.errors import Conflict
from respawn_jobs.ledger import artifacts, audit, authors
from respawn_jobs.ledger.context import Context
from respawn_jobs.ledger.convert import ref_of, run_of
from respawn_jobs.ledger.following import (
    Next,
    Past,
    ended_of,
    gone_on_by,
    let_go,
    next_of,
    past_of,
    seen_since,
)
from respawn_jobs.ledger.holdings import name_in_checkpoints, store
from respawn_jobs.ledger.jobs import add_version
from respawn_jobs.ledger.records import INHERITED
from respawn_jobs.ledger.registry import secure
from respawn_jobs.ledger.runs import new_run
from respawn_jobs.ledger.suspension import check_at_work, check_not_archived, said_of_archive
from respawn_jobs.ledger.taken_over import TakenOver, chosen_state, taken_over
from respawn_jobs.models import Artifact, JobSettings, Plan, PlanAction, Run, Trigger
from respawn_jobs.notebooks import code_cells, source_hash, write_notebook
from respawn_jobs.plan import Agreed, plan_resume
from respawn_jobs.secret_parameters import masked, secret_names, without_secrets
from respawn_jobs.service import ResumeRequest
from respawn_jobs.store.tables import JobRow, RunRow


def plan(context: Context, actor: Actor, run_id: str, request: ResumeRequest) -> Plan:
    """Tell what `resume` would do; changes nothing."""
    past = past_of(context, actor, run_id, "read")
    following = next_of(context, past, request)
    planned = plan_of(context, past, following, request)
    declared = following.content["parameters"] if following.content else past.version.parameters
    secrets = secret_names(declared, planned.parameters)
    return planned.model_copy(update={"parameters": masked(planned.parameters, secrets)})


def resume(context: Context, actor: Actor, run_id: str, request: ResumeRequest) -> Run:
    """Queue a run that goes on from where this one stopped; see `Service.resume`.

    Raises `Conflict` when the run was resumed before (naming the run that did) or the plan has problems.
    """
    past = past_of(context, actor, run_id, "run" if request.notebook is None else "edit", request.revision)
    if past.resumed_by is not None:
        raise gone_on(run_id, past.resumed_by)
    following = next_of(context, past, request)
    planned = plan_of(context, past, following, request)
    if planned.problems:
        raise Conflict("; ".join(planned.problems), run=run_id, problems=planned.problems)
    return go_on(context, actor, past, following, planned, "resume", _agreed(past, request))


def go_on(
    context: Context,
    actor: Actor,
    past: Past,
    following: Next,
    planned: Plan | None,
    trigger: Trigger,
    agreed: Agreed | None = None,
) -> Run:
    """Queue the one run that may go on from a run.

    Args:
        context: the ledger's surroundings.
        actor: who asked for it.
        past: the run that it goes on from.
        following: the notebook that goes on.
        planned: what is reused; None starts over.
        trigger: how it is asked for.
        agreed: what was agreed to.

    Raises:
        Conflict: another one goes on from it; the message says which, who asked for it, and when.
    """
    _put_version(context, past, following)
    taken = taken_over(past.basis, following.executed, planned, agreed) if planned is not None else None
    more: dict[str, Any] = {"resume_of": past.run.id}
    if planned is not None and taken is not None:
        more |= {
            "resume_from": planned.first,
            "resume": taken.start.model_dump(mode="json"),
            "skeleton": store(
                context, past.job.namespace, write_notebook(without_secrets(following.executed))
            ),
            "cells_total": len(taken.cells),
            "cells_done": taken.done,
        }
        more["authors"] = authors.of_resumed(past.run, past.version, actor.name)
    try:
        with context.database.session(write=True) as session:
            _take_up(session, past)
            row = _insert(context, session, actor, past, following, trigger, more)
            if planned is not None and taken is not None:
                _take_over(session, past, following, planned, taken, row)
            session.flush()
            return run_of(session, row)
    except IntegrityError as error:
        with context.database.session() as session:
            other = gone_on_by(session, session.get_one(RunRow, past.run.id))
        if other is None:
            raise Conflict(f"the job of {past.run.id} was changed at the same moment; try again") from error
        raise gone_on(past.run.id, other) from error


def _take_up(session: Session, past: Past) -> None:
    """Let the run hold on again to the one that it went on from; a unique constraint tells who came first."""
    session.scalars(select(JobRow).where(JobRow.id == past.job.id).with_for_update()).one()
    run = session.scalars(select(RunRow).where(RunRow.id == past.run.id).with_for_update()).one()
    if let_go(run):
        run.resume_of = run.origin
        session.flush()


def _take_over(
    session: Session, past: Past, following: Next, planned: Plan, taken: TakenOver, row: RunRow
) -> None:
    """Make what a new run takes over its own."""
    handed_on = _artifacts(past, following, planned)[0]
    parts = {part.digest for artifact in handed_on for part in artifact.parts}
    outputs = {cell.outputs for cell in taken.cells if cell.outputs}
    secure(session, {*([row.skeleton] if row.skeleton else []), *parts, *outputs})
    taken.put(session, row.id, INHERITED)
    # The state that it starts from is not always inherited: it may lie below cells that run again.
    chosen = chosen_state(past.basis, planned)
    states = [*taken.checkpoints, *([chosen] if chosen is not None else [])]
    named = {digest for state in states for digest in (state.manifest, *state.blobs)}
    name_in_checkpoints(session, row.id, named)
    artifacts.hand_on(session, handed_on, row.id)


def restart(context: Context, actor: Actor, run_id: str, request: ResumeRequest) -> Run:
    """Queue a run from the top, with the same parameters; see `Service.restart`."""
    past = past_of(context, actor, run_id, "run" if request.notebook is None else "edit", request.revision)
    following = next_of(context, past, request)
    if following.problems:
        raise Conflict("; ".join(following.problems), run=run_id, problems=following.problems)
    _put_version(context, past, following)
    try:
        with context.database.session(write=True) as session:
            return run_of(session, _insert(context, session, actor, past, following, "restart", {}))
    except IntegrityError as error:
        raise Conflict(f"the job of {run_id} was changed at the same moment; try again") from error


def _put_version(context: Context, past: Past, following: Next) -> None:
    if following.content is not None:
        context.quotas.check_room(context, past.job.namespace, len(following.text))
        store(context, past.job.namespace, following.text)


def plan_of(context: Context, past: Past, following: Next, request: ResumeRequest) -> Plan:
    """Return what a resume with this notebook would do; problems, where it would be refused."""
    planned = plan_resume(
        ended_of(context, past.basis),
        following.executed,
        kernel=following.kernel,
        lock=following.lock,
        language=following.language,
        parameters=following.parameters,
        agreed=_agreed(past, request),
        seen=seen_since(past, following.executed),
        look=context.look,
        newer=context.newer,
    )
    notices = [*planned.notices, *following.notices, *_artifacts(past, following, planned)[1]]
    if past.basis.run.id != past.run.id:
        notices.append(
            f"{past.run.id} ended before it had a state of its own to go on from: "
            f"this goes on from the states of {past.basis.run.id}"
        )
    if following.content is not None and past.job.version != past.version.number:
        notices.append(
            f"{ref_of(past.job)} has moved on to version {past.job.version}, which its new runs keep using: "
            "the fixed notebook serves this run alone"
        )
    imported = archives(past.run.authors or []) if planned.checkpoint is not None else []
    problems = [*planned.problems, *following.problems]
    if imported and not request.load_imported:
        problems.append(
            f"the state of {past.basis.run.id} was made elsewhere ({'; '.join(imported)}): loading it runs "
            "the code in it with the rights of the job; agree to that (--yes), or restart the run"
        )
    if (archived := said_of_archive(past.job)) is not None:
        problems.append(archived)
    if past.resumed_by is not None:
        problems.append(gone_on(past.run.id, past.resumed_by).message)
    return planned.model_copy(
        update={
            "run": past.run.id,
            "notices": notices,
            "problems": problems,
            "new": following.new,
            "imported": imported,
        }
    )


def _agreed(past: Past, request: ResumeRequest) -> Agreed:
    strict = request.strict
    if strict is None:
        strict = JobSettings.model_validate(past.job.settings).strict_resume
    return Agreed(rerun_once=request.rerun_once, rerun_makers=request.rerun_makers, strict=strict)


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
    trigger: Trigger,
    more: dict[str, Any],
) -> RunRow:
    job = session.scalars(select(JobRow).where(JobRow.id == past.job.id).with_for_update()).one()
    check_at_work(session, job.namespace)
    check_not_archived(job)
    version = past.version
    if following.content is not None:
        before = version.number
        version = add_version(
            context, session, actor, job, following.content,
            directory=past.version.directory, git=None, parent=before,
            authors=authors.of_fixed(past.version, actor.name),
        )  # fmt: skip
        if job.version == before:
            job.version = version.number
        audit.write(
            context, session, actor.name, "promote", job.namespace, ref_of(job),
            version=version.number, parent=before, notebook=version.notebook, kernel=version.kernel,
        )  # fmt: skip
    context.quotas.check_waiting(session, job.namespace)
    row = new_run(
        context, session, job, version, actor.name, trigger,
        parameters=following.parameters, lock=following.lock, origin=past.run.id,
        logical_at=past.run.logical_at, **more,
    )  # fmt: skip
    loaded = archives(row.authors or []) if (row.resume or {}).get("manifest") else []
    audit.write(
        context, session, actor.name, trigger, job.namespace, row.id,
        job=ref_of(job), origin=past.run.id, version=version.number, **({"loads": loaded} if loaded else {}),
    )  # fmt: skip
    return row


def gone_on(run_id: str, other: RunRow) -> Conflict:
    """Return what is told to those who come too late to go on from a run."""
    how = "tried again" if other.trigger == "retry" else "resumed"
    return Conflict(
        f"{run_id} was {how} already, by {other.created_by} at {other.created_at:%Y-%m-%d %H:%M:%S} UTC: "
        f"{other.id} goes on from it",
        run=run_id,
        resumed_by=other.id,
    )
