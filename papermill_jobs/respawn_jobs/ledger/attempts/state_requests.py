"""Asking for the state of a run that goes on: its runner stores it beside the cell that runs."""

from __future__ import annotations

from respawn_jobs.access import Actor
from respawn_jobs.errors import Conflict
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.context.context import Context, find_run
from respawn_jobs.ledger.runs.rows import ref_of, run_of
from respawn_jobs.model.runs import Run, RunState
from respawn_jobs.store.tables import AttemptRow


def request_state(context: Context, actor: Actor, run_id: str) -> Run:
    """Have the state before the running cell of a run stored; see `Service.request_state`.

    Args:
        context: the ledger's surroundings.
        actor: who asks; needs `run` in the job's namespace.
        run_id: the run's id.

    Raises:
        Conflict: the run does not run.
        NotFound, Forbidden: see `find_run`.
    """
    with context.database.session(write=True) as session:
        row, job = find_run(session, actor, run_id, "run")
        if row.state != RunState.RUNNING.value or row.current is None:
            raise Conflict(
                f"{run_id} is {row.state}: only the state of a run that is executing can be asked for",
                run=run_id,
                state=row.state,
            )
        session.get_one(AttemptRow, row.current).state_wanted = True
        trail.write(context, session, actor.name, "request_state", job.namespace, run_id, job=ref_of(job))
        session.flush()
        return run_of(session, row, context)
