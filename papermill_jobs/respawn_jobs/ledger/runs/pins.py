"""Pins: runs that retention leaves alone."""

from __future__ import annotations

from respawn_jobs.access import Actor
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.context.context import Context, find_run, touch
from respawn_jobs.ledger.runs.rows import ref_of, run_of
from respawn_jobs.model.runs import Run


def pin(context: Context, actor: Actor, run_id: str, *, pinned: bool) -> Run:
    """Keep a run whatever its job's retention says, or let it go; see `HistoryService.pin`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `run` in the job's namespace.
        run_id: the run's id.
        pinned: whether it is kept.

    Raises:
        NotFound, Forbidden: see `find_run`.
    """
    with context.database.session(write=True) as session:
        run, job = find_run(session, actor, run_id, "run", lock=True)
        if run.pinned != pinned:
            run.pinned = pinned
            action = "pin" if pinned else "unpin"
            trail.write(context, session, actor.name, action, job.namespace, run_id, job=ref_of(job))
            touch(session, run_id)
            session.flush()
            session.refresh(run)
        return run_of(session, run)
