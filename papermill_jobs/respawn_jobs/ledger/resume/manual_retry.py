"""A person's *try again*: now, where a run waits for its next try; else a new run that goes on."""

from __future__ import annotations

from respawn_jobs.access import Actor
from respawn_jobs.api.service import ResumeRequest, SeenRun
from respawn_jobs.errors import Conflict
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.context.context import Context, find_run
from respawn_jobs.ledger.resume import side_effects
from respawn_jobs.ledger.resume.carry_over import taken_over
from respawn_jobs.ledger.resume.request import Next, Past, next_of, past_of
from respawn_jobs.ledger.resume.resume_run import go_on, gone_on, plan_of
from respawn_jobs.ledger.runs.revisions import RETRY_NOW, check_unchanged, mark_state_change, what_happened
from respawn_jobs.ledger.runs.rows import ref_of, run_of
from respawn_jobs.model.plans import Plan
from respawn_jobs.model.runs import Run, RunState
from respawn_jobs.store.tables import RunRow


def retry(context: Context, actor: Actor, run_id: str, seen: SeenRun) -> Run:
    """Try a run again; see `Service.retry`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `run` in the job's namespace.
        run_id: the run's id.
        seen: what the person saw of the run.

    Raises:
        Conflict: there is nothing to try again, the run was resumed already, or it is not as it was seen.
        NotFound, Forbidden: see `find_run`.
    """
    with context.database.session() as session:
        run, _ = find_run(session, actor, run_id, "run")
        check_unchanged(session, run, seen.revision)
    state = RunState(run.state)
    if state is RunState.QUEUED:
        return _now(context, actor, run_id, seen)
    if not state.resumable:
        state_text = "succeeded" if state is RunState.SUCCEEDED else f"is still {run.state}"
        raise Conflict(f"{run_id} {state_text}: there is nothing to try again", run=run_id, state=run.state)
    past = past_of(context, actor, run_id, "run", seen.revision)
    if past.resumed_by is not None:
        raise gone_on(run_id, past.resumed_by)
    following = next_of(context, past, ResumeRequest())
    return go_on(context, actor, past, following, _whence(context, past, following), "retry")


def _now(context: Context, actor: Actor, run_id: str, seen: SeenRun) -> Run:
    """Let a run that waits for the time of its next try start now."""
    with context.database.session(write=True) as session:
        run, job = find_run(session, actor, run_id, "run", lock=True)
        check_unchanged(session, run, seen.revision)
        if not _waits_for_its_time(run):
            raise Conflict(
                f"{run_id} does not wait for its next try: {what_happened(session, run)}",
                run=run_id,
                state=run.state,
            )
        run.not_before = None
        session.flush()
        mark_state_change(session, run_id)
        trail.write(context, session, actor.name, RETRY_NOW, job.namespace, run_id, job=ref_of(job))
    with context.database.session() as session:
        return run_of(session, session.get_one(RunRow, run_id))


def _waits_for_its_time(run: RunRow) -> bool:
    return run.state == RunState.QUEUED.value and run.current is None and run.not_before is not None


def _whence(context: Context, past: Past, following: Next) -> Plan | None:
    """Return the plan to go on by; None to start over, where going on is not possible.

    Raises `Conflict` when either would execute a cell tagged `respawn:once` again that has begun.
    """
    planned = plan_of(context, past, following, ResumeRequest())
    if not planned.problems:
        start = taken_over(past.basis, following.executed, planned).start
        again = side_effects.executed_again(past.cells, start)
        if again is None:
            return planned
    else:
        again = side_effects.executed_again([*past.cells, *past.basis.cells], None)
        if again is None:
            return None
    problems = planned.problems or [f"{side_effects.describe_cell(again)}: it would be executed again"]
    raise Conflict(
        f"{past.run.id} is not tried again: {'; '.join(problems)}; resume it to decide what runs again",
        run=past.run.id,
        problems=problems,
    )
