"""What a run reads of other jobs: an artifact of another run, which from then on is its own as well.

The run keeps it under its address, `job/name`, with the run that made it. So it is there for a retry, a
resume and a debug notebook, whatever becomes of the other run, and says what the run was made from.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs.access import Actor
from respawn_jobs.errors import InvalidInput, NotFound
from respawn_jobs.ledger.blobs.registry import secure
from respawn_jobs.ledger.context.context import find_job, touch
from respawn_jobs.ledger.runs import artifacts
from respawn_jobs.ledger.runs.rows import ref_of
from respawn_jobs.model.artifacts import Artifact
from respawn_jobs.model.runs import RunState
from respawn_jobs.store.tables import ArtifactRow, AttemptRow, JobRow, RunRow
from respawn_kernels.exchange.artifact_records import ArtifactError, check_address


def read(session: Session, run: RunRow, attempt: AttemptRow, address: str, cell: int | None) -> Artifact:
    """Return another job's artifact for a run, which has it from then on; the caller has locked the run.

    Args:
        session: the caller's transaction; it writes.
        run: the run.
        attempt: the attempt that asks.
        address: a job of the run's namespace and a name, with `/` between them.
        cell: the cell that asks, by its place in the notebook; None where that is not known.

    Raises:
        NotFound: there is no such job, or no successful run of it that kept it and that is still there.
        InvalidInput: the address is none, or the job is one of another namespace.
    """
    try:
        ref, name = check_address(address)
    except ArtifactError as error:
        raise InvalidInput(str(error)) from error
    before = next((one for one in artifacts.latest(session, run.id) if one.name == address), None)
    if before is not None:
        return before
    found = _newest(session, _source(session, run, ref), name)
    secure(session, [part.digest for part in found.parts])
    taken = found.model_copy(update={"name": address, "attempt": attempt.number, "cell": cell})
    artifacts.insert(session, taken, run.id)
    touch(session, run.id)
    return taken


def _source(session: Session, run: RunRow, ref: str) -> JobRow:
    """Return the job that a run asks of, which is of its namespace: those of others run as somebody else."""
    namespace = session.get_one(JobRow, run.job_id).namespace
    asked = ref.rpartition("/")[0]
    if asked not in ("", namespace):
        raise InvalidInput(
            f"the job {ref} is of another namespace than this run, which is of {namespace}; a run reads what "
            "jobs of its own namespace kept",
            job=ref,
        )
    return find_job(session, Actor.owner(namespace), ref if asked else f"{namespace}/{ref}")


def _newest(session: Session, job: JobRow, name: str) -> Artifact:
    ended = (RunRow.job_id == job.id, RunRow.state == RunState.SUCCEEDED.value, ArtifactRow.name == name)
    query = select(ArtifactRow).join(RunRow, RunRow.id == ArtifactRow.run_id).where(*ended)
    newest = (RunRow.finished_at.desc(), RunRow.created_at.desc(), ArtifactRow.number.desc())
    row = session.scalar(query.order_by(*newest).limit(1))
    if row is None:
        raise NotFound(
            f"no successful run of {ref_of(job)} has kept an artifact {name!r}",
            job=ref_of(job),
            name=name,
        )
    return artifacts.artifact_of(row).model_copy(update={"made_in": row.run_id})
