"""A person's *try again*: now, where a run waits for its next try; else a new run that goes on."""

from __future__ import annotations

from respawn_jobs.access import Actor
from respawn_jobs.errors import Conflict
from respawn_jobs.ledger import audit, once
from respawn_jobs.ledger.changes import RETRY_NOW, check_unchanged, turn, what_happened
from respawn_jobs.ledger.context import Context, find_run
from respawn_jobs.ledger.convert import ref_of, run_of
from respawn_jobs.ledger.following import Next, Past, next_of, past_of
from respawn_jobs.ledger.resume import go_on, gone_on, plan_of
from respawn_jobs.ledger.taken_over import taken_over
from respawn_jobs.models import Plan, Run, RunState
from respawn_jobs.service import ResumeRequest, Seen
from respawn_jobs.store.tables import RunRow


def retry(context: Context, actor: Actor, run_id: str, seen: Seen) -> Run:
    """Try a run again; see `Service.retry`."""
    with context.database.session() as session:
        run, _ = find_run(session, actor, run_id, "run")
        check_unchanged(session, run, seen.revision)
    state = RunState(run.state)
    if state is RunState.QUEUED:
        return _now(context, actor, run_id, seen)
    if not state.resumable:
        told = "succeeded" if state is RunState.SUCCEEDED else f"is still {run.state}"
        raise Conflict(f"{run_id} {told}: there is nothing to try again", run=run_id, state=run.state)
    past = past_of(context, actor, run_id, "run", seen.revision)
    if past.resumed_by is not None:
        raise gone_on(run_id, past.resumed_by)
    following = next_of(context, past, ResumeRequest())
    return go_on(context, actor, past, following, _whence(context, past, following), "retry")


def _now(context: Context, actor: Actor, run_id: str, seen: Seen) -> Run:
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
        turn(session, run_id)
        audit.write(context, session, actor.name, RETRY_NOW, job.namespace, run_id, job=ref_of(job))
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
        again = once.executed_again(past.cells, start)
        if again is None:
            return planned
    else:
        again = once.executed_again([*past.cells, *past.basis.cells], None)
        if again is None:
            return None
    problems = planned.problems or [f"{once.told(again)}: it would be executed again"]
    raise Conflict(
        f"{past.run.id} is not tried again: {'; '.join(problems)}; resume it to decide what runs again",
        run=past.run.id,
        problems=problems,
    )
