"""Resume and restart: a run goes on from where another stopped, or starts over with a fixed notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.api.service import ResumeRequest
from respawn_jobs.api.versions import PromotionQuestion
from respawn_jobs.errors import Conflict
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.blobs.ownership import name_in_checkpoints, store
from respawn_jobs.ledger.blobs.registry import secure
from respawn_jobs.ledger.capacity.suspension import (
    archive_message,
    check_at_work,
    check_not_archived,
    suspension_message,
)
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.context.job_places import place_of
from respawn_jobs.ledger.context.limit_ceiling import check_memory
from respawn_jobs.ledger.jobs.catalog import add_version, next_number, store_content
from respawn_jobs.ledger.jobs.trigger_compatibility import broken_by_fix, broken_question, check_agreed
from respawn_jobs.ledger.resume.carry_over import TakenOver, chosen_state, taken_over
from respawn_jobs.ledger.resume.request import (
    Next,
    Past,
    action_of,
    ended_of,
    gone_on_by,
    let_go,
    next_of,
    past_of,
    seen_since,
)
from respawn_jobs.ledger.runs import artifacts, authorship
from respawn_jobs.ledger.runs.cell_records import INHERITED
from respawn_jobs.ledger.runs.queries import new_run
from respawn_jobs.ledger.runs.rows import ref_of, run_of
from respawn_jobs.model.artifacts import Artifact
from respawn_jobs.model.code_authors import archives
from respawn_jobs.model.plans import Plan, PlanAction
from respawn_jobs.model.runs import Run, Trigger
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.notebook.document import code_cells, source_hash, write_notebook
from respawn_jobs.notebook.masking import without_secrets
from respawn_jobs.notebook.secret_parameters import masked, secret_names
from respawn_jobs.resume.draft import Agreed
from respawn_jobs.resume.plan import plan_resume
from respawn_jobs.store.service_tables import NamespaceRow
from respawn_jobs.store.tables import JobRow, RunRow


def plan(context: Context, actor: Actor, run_id: str, request: ResumeRequest) -> Plan:
    """Tell what `resume` would do; changes nothing.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `read` in the job's namespace.
        run_id: the run's id.
        request: the same as for `resume`.

    Raises:
        Conflict: there is nothing to resume, or the run is not as it was seen.
        NotFound, Forbidden: see `find_run`.
    """
    past = past_of(context, actor, run_id, "read")
    following = next_of(context, past, request)
    planned = plan_of(context, past, following, request)
    declared = following.content["parameters"] if following.content else past.version.parameters
    secrets = secret_names(declared, planned.parameters)
    return planned.model_copy(update={"parameters": masked(planned.parameters, secrets)})


def resume(context: Context, actor: Actor, run_id: str, request: ResumeRequest) -> Run:
    """Queue a run that goes on from where this one stopped; see `Service.resume`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `run` in the job's namespace, and `edit` for another notebook.
        run_id: the run's id.
        request: the fixed notebook, if any, the parameters that change, and what the person agrees to.

    Raises:
        Conflict: the run was resumed before (the message names the run that did), or the plan has problems.
        InvalidInput: it wants more memory than the deployment allows.
        NotFound, Forbidden: see `find_run`.
    """
    past = past_of(context, actor, run_id, action_of(request), request.revision)
    check_memory(context, request.memory_bytes)
    if past.resumed_by is not None:
        raise gone_on(run_id, past.resumed_by)
    following = next_of(context, past, request)
    planned = plan_of(context, past, following, request)
    if planned.problems:
        _, question = _breaks(context, past, following)
        asks = question is not None and question.code not in request.agreed
        fields = {"questions": [question.model_dump(mode="json")]} if question is not None and asks else {}
        raise Conflict("; ".join(planned.problems), run=run_id, problems=planned.problems, **fields)
    consent = Consent(_agreed(past, request), request.agreed, request.memory_bytes)
    return go_on(context, actor, past, following, planned, "resume", consent)


@dataclass(frozen=True)
class Consent:
    """What a person agreed to who lets a run go on."""

    plan: Agreed | None = None
    triggers: Sequence[str] = ()
    """`break_triggers`, or nothing; see `ResumeRequest.agreed`."""
    memory_bytes: int | None = None
    """The memory limit that is wanted; see `ResumeRequest.memory_bytes`."""


def go_on(
    context: Context,
    actor: Actor,
    past: Past,
    following: Next,
    planned: Plan | None,
    trigger: Trigger,
    agreed: Consent = Consent(),
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
    taken = taken_over(past.basis, following.executed, planned, agreed.plan) if planned is not None else None
    more: dict[str, Any] = {
        "resume_of": past.run.id,
        "memory_bytes": _memory_limit(context, past, agreed.memory_bytes),
    }
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
        more["authors"] = authorship.of_resumed(past.run, past.version, actor.name)
    try:
        with context.database.session(write=True) as session:
            _take_up(session, past)
            row = _insert(context, session, actor, past, following, trigger, more, agreed.triggers)
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
    carried = _artifacts(past, following, planned)[0]
    parts = {part.digest for artifact in carried for part in artifact.parts}
    outputs = {cell.outputs for cell in taken.cells if cell.outputs}
    secure(session, {*([row.skeleton] if row.skeleton else []), *parts, *outputs})
    taken.put(session, row.id, INHERITED)
    # The state that it starts from is not always inherited: it may lie below cells that run again.
    chosen = chosen_state(past.basis, planned)
    states = [*taken.checkpoints, *([chosen] if chosen is not None else [])]
    named = {digest for state in states for digest in (state.manifest, *state.blobs)}
    name_in_checkpoints(session, row.id, named)
    artifacts.carry_over(session, carried, row.id)


def restart(context: Context, actor: Actor, run_id: str, request: ResumeRequest) -> Run:
    """Queue a run from the top, with the same parameters; see `Service.restart`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `run` in the job's namespace, and `edit` for another notebook.
        run_id: the run's id.
        request: the fixed notebook, if any, and the parameters that change.

    Raises:
        Conflict: the run did not fail, is not as it was seen, or cannot run without its scratch cells; or the
            job was changed at the same moment.
        InvalidInput: it wants more memory than the deployment allows.
        NotFound, Forbidden: see `find_run`.
    """
    past = past_of(context, actor, run_id, action_of(request), request.revision)
    check_memory(context, request.memory_bytes)
    following = next_of(context, past, request)
    if following.problems:
        raise Conflict("; ".join(following.problems), run=run_id, problems=following.problems)
    _put_version(context, past, following)
    try:
        with context.database.session(write=True) as session:
            more = {"memory_bytes": _memory_limit(context, past, request.memory_bytes)}
            row = _insert(context, session, actor, past, following, "restart", more, request.agreed)
            return run_of(session, row)
    except IntegrityError as error:
        raise Conflict(f"the job of {run_id} was changed at the same moment; try again") from error


def _put_version(context: Context, past: Past, following: Next) -> None:
    if following.content is not None:
        archive = following.carrying.archive
        context.quotas.check_room(context, past.job.namespace, len(following.text) + len(archive or b""))
        store_content(context, past.job.namespace, following.text, archive)


def plan_of(context: Context, past: Past, following: Next, request: ResumeRequest) -> Plan:
    """Return what a resume with this notebook would do; problems, where it would be refused.

    Args:
        context: the ledger's surroundings.
        past: the run that is resumed.
        following: what goes on.
        request: what the person agrees to.
    """
    planned = plan_resume(
        ended_of(context, past.basis, following.carrying),
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
            f"{past.run.id} ended before it had a state of its own to continue from: "
            f"this continues from the states of {past.basis.run.id}"
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
    breaks, question = _breaks(context, past, following)
    if question is not None:
        (notices if question.code in request.agreed else problems).append(
            f"{question.message} Change these triggers first, or agree to that (--agree {question.code})."
        )
    with context.database.session() as session:
        suspended = suspension_message(session.get(NamespaceRow, past.job.namespace))
    problems += [problem for problem in (suspended, archive_message(past.job)) if problem is not None]
    if past.resumed_by is not None:
        problems.append(gone_on(past.run.id, past.resumed_by).message)
    return planned.model_copy(
        update={
            "run": past.run.id,
            "notices": notices,
            "problems": problems,
            "new": following.new,
            "imported": imported,
            "breaks": breaks,
        }
    )


def _breaks(context: Context, past: Past, following: Next) -> tuple[list[str], PromotionQuestion | None]:
    """Return the triggers that a fix would leave with parameters it does not take, and what is asked then."""
    if following.content is None:
        return [], None
    with context.database.session() as session:
        job = session.get_one(JobRow, past.job.id)
        broken = broken_by_fix(session, job, past.version.number, following.content)
        return broken, broken_question(ref_of(job), next_number(session, job), broken) if broken else None


def _agreed(past: Past, request: ResumeRequest) -> Agreed:
    strict = request.strict
    if strict is None:
        strict = JobSettings.model_validate(past.job.settings).strict_resume
    return Agreed(rerun_once=request.rerun_once, rerun_producers=request.rerun_producers, strict=strict)


def _memory_limit(context: Context, past: Past, wanted: int | None) -> int | None:
    """Return the memory limit of a run that goes on, where it is not what new runs of the job have.

    A run that was given more keeps that: with theirs it would end where others have before.
    """
    own = JobSettings.model_validate(past.job.settings).limits
    usual = context.limits_of(past.run.kernel, own, None, place_of(past.job)).memory_bytes
    had = JobSettings.model_validate(past.run.settings).memory_limit_bytes
    if wanted is not None or had is None or usual is None:
        return wanted
    return had if had > usual else None


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
    agreed: Sequence[str],
) -> RunRow:
    job = session.scalars(select(JobRow).where(JobRow.id == past.job.id).with_for_update()).one()
    check_at_work(session, job.namespace)
    check_not_archived(job)
    version = past.version
    if following.content is not None:
        before = version.number
        broken = broken_by_fix(session, job, before, following.content)
        check_agreed(ref_of(job), next_number(session, job), broken, agreed, run=past.run.id)
        version = add_version(
            context, session, actor, job, following.content,
            directory=past.version.directory, git=None, parent=before,
            authors=authorship.of_fixed(past.version, actor.name),
        )  # fmt: skip
        if job.version == before:
            job.version = version.number
        trail.write(
            context, session, actor.name, "promote", job.namespace, ref_of(job),
            version=version.number, parent=before, notebook=version.notebook, kernel=version.kernel,
            **({"agreed": list(agreed)} if broken else {}),
        )  # fmt: skip
    context.quotas.check_waiting(session, job.namespace)
    row = new_run(
        context, session, job, version, actor.name, trigger,
        parameters=following.parameters, lock=following.lock, origin=past.run.id,
        logical_date=past.run.logical_date, **more,
    )  # fmt: skip
    memory = more.get("memory_bytes")
    loaded = archives(row.authors or []) if (row.resume or {}).get("manifest") else []
    trail.write(
        context, session, actor.name, trigger, job.namespace, row.id,
        job=ref_of(job), origin=past.run.id, version=version.number, **({"loads": loaded} if loaded else {}),
        **({"memory_bytes": memory} if memory is not None else {}),
    )  # fmt: skip
    return row


def gone_on(run_id: str, other: RunRow) -> Conflict:
    """Return the refusal for those who come too late to go on from a run."""
    how = "tried again" if other.trigger == "retry" else "resumed"
    return Conflict(
        f"{run_id} was {how} already, by {other.created_by} at {other.created_at:%Y-%m-%d %H:%M:%S} UTC: "
        f"{other.id} continues from it",
        run=run_id,
        resumed_by=other.id,
    )
