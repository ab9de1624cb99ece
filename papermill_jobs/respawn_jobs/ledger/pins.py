"""Pins: runs that retention leaves alone."""

from __future__ import annotations

from respawn_jobs.access import Actor
from respawn_jobs.ledger import audit
from respawn_jobs.ledger.context import Context, find_run, touch
from respawn_jobs.ledger.convert import ref_of, run_of
from respawn_jobs.models import Run


def pin(context: Context, actor: Actor, run_id: str, *, pinned: bool) -> Run:
    """Keep a run whatever its job's retention says, or let it go; see `HistoryService.pin`."""
    with context.database.session(write=True) as session:
        run, job = find_run(session, actor, run_id, "run", lock=True)
        if run.pinned != pinned:
            run.pinned = pinned
            action = "pin" if pinned else "unpin"
            audit.write(context, session, actor.name, action, job.namespace, run_id, job=ref_of(job))
            touch(session, run_id)
            session.flush()
            session.refresh(run)
        return run_of(session, run)
