"""The kernels of failed runs that live on in job servers: who is let onto one."""

from __future__ import annotations

from respawn_jobs.access import Actor
from respawn_jobs.errors import Forbidden, NotFound
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.capacity.job_servers import living_kernel
from respawn_jobs.ledger.context.context import Context, find_run
from respawn_jobs.ledger.runs.rows import ref_of
from respawn_jobs.model.kernels import LivingKernel


def enter(context: Context, actor: Actor, run_id: str) -> LivingKernel:
    """Return where the kernel of a run lives, to somebody who goes there; it is audited.

    Args:
        context: the ledger's surroundings.
        actor: who goes there; needs `read` in the job's namespace and, in a team's, `enter`.
        run_id: the run's id.

    Raises:
        NotFound: there is no such run, or its kernel does not live on.
        Forbidden: the actor may not read the run, or not enter the server of its account.
    """
    with context.database.session(write=True) as session:
        _, job = find_run(session, actor, run_id)
        living = living_kernel(context, run_id)
        if living is None:
            raise NotFound(f"the kernel of {run_id} does not live on", run=run_id)
        if not actor.enters(job.namespace):
            raise Forbidden(
                f"you ({actor.name}) may not go to the server of {living.account}, where the kernel of "
                f"{run_id} lives: that needs the scope custom:respawn:enter for {job.namespace}",
                actor=actor.name,
                namespace=job.namespace,
            )
        trail.write(context, session, actor.name, "enter", job.namespace, run_id, job=ref_of(job))
    return living
