"""The service as one person sees it, in-process: `Service` over the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from datetime import datetime
from typing import Any

from respawn_jobs import cron as schedules
from respawn_jobs.api.service import MAX_FIRES, ResumeRequest, RunRequest, ScheduleRequest, SeenRun
from respawn_jobs.api.versions import ScheduleChange
from respawn_jobs.errors import InvalidInput
from respawn_jobs.ledger.attempts import cancellation, state_requests
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.capacity import job_servers
from respawn_jobs.ledger.jobs import catalog, environments, kernel_places
from respawn_jobs.ledger.people.backfill_service import ActorBackfills
from respawn_jobs.ledger.people.history_service import ActorHistory
from respawn_jobs.ledger.people.job_life_service import ActorJobLife
from respawn_jobs.ledger.people.namespace_service import ActorNamespaces
from respawn_jobs.ledger.people.queueing_service import ActorQueueing
from respawn_jobs.ledger.people.trigger_service import ActorTriggers
from respawn_jobs.ledger.people.version_service import ActorVersions
from respawn_jobs.ledger.resume import manual_retry, resume_run
from respawn_jobs.ledger.runs import artifacts, cell_records, queries
from respawn_jobs.ledger.triggers import scheduling
from respawn_jobs.model.artifacts import Artifact, ArtifactReader
from respawn_jobs.model.audit import AuditRecord
from respawn_jobs.model.debug_bundle import DebugBundle
from respawn_jobs.model.evidence import CellFiles
from respawn_jobs.model.jobs import Job, Schedule, Version
from respawn_jobs.model.kernels import EnvironmentDetail, Kernel
from respawn_jobs.model.plans import Plan
from respawn_jobs.model.runs import Run, RunDetail, RunState


class ActorService(
    ActorVersions,
    ActorHistory,
    ActorTriggers,
    ActorBackfills,
    ActorQueueing,
    ActorNamespaces,
    ActorJobLife,
):
    """What one actor can do; each method is described in `respawn_jobs.api.service.Service`."""

    def whoami(self) -> str:
        """Return the caller's name."""
        return self.actor.name

    def jobs(self, namespace: str | None = None, *, archived: bool = False) -> list[Job]:
        """Return the jobs that the caller may see, by name."""
        found = catalog.jobs(self._context, self.actor, namespace, archived=archived)
        return [job.model_copy(update={"last_run": job.last_run and job.last_run.listed()}) for job in found]

    def job(self, job: str) -> Job:
        """Return one job."""
        return catalog.job(self._context, self.actor, job)

    def versions(self, job: str) -> list[Version]:
        """Return a job's versions, newest first."""
        return catalog.versions(self._context, self.actor, job)

    def run(self, request: RunRequest) -> Run:
        """Queue a run."""
        return queries.run(self._context, self.actor, request)

    def runs(
        self,
        *,
        job: str | None = None,
        states: Sequence[RunState] = (),
        limit: int = 50,
        before: datetime | str | None = None,
        version: int | None = None,
    ) -> list[Run]:
        """Return runs, newest first.

        Args:
            job: the job, as `find_job` takes it; None for the runs of all jobs that the actor may read.
            states: only runs in one of these; empty for all.
            limit: the most runs.
            before: a time, its ISO 8601 text, or the id of the last run of the page before; None for the
                newest.
            version: only runs of this version of the job; None for all.
        """
        found = queries.runs(self._context, self.actor, job, states, limit, before, version)
        return [run.listed() for run in found]

    def show(self, run: str) -> RunDetail:
        """Return a run with its cells."""
        detail = queries.show(self._context, self.actor, run)
        living = job_servers.living_kernel(self._context, run) if detail.run.state.resumable else None
        return detail.model_copy(update={"living": living}) if living is not None else detail

    def outputs(self, run: str, cell: int) -> list[dict[str, Any]]:
        """Return the nbformat outputs of one cell as far as they came."""
        return queries.outputs(self._context, self.actor, run, cell)

    def outputs_of_cells(self, run: str, cells: Set[int]) -> dict[int, list[dict[str, Any]]]:
        """Return the outputs of several cells, by index, as far as they came."""
        return queries.outputs_of_cells(self._context, self.actor, run, cells)

    def version(self, run: str) -> Version:
        """Return the version that a run executes."""
        return queries.version(self._context, self.actor, run)

    def notebook(self, run: str) -> str:
        """Return the text of the executed notebook as far as it came."""
        return queries.notebook(self._context, self.actor, run)

    def stream_notebook(self, run: str) -> Iterator[bytes]:
        """Return the executed notebook in pieces; access is checked at once."""
        return queries.stream_notebook(self._context, self.actor, run)

    def plan(self, run: str, request: ResumeRequest) -> Plan:
        """Tell what `resume` would do; changes nothing."""
        return resume_run.plan(self._context, self.actor, run, request)

    def resume(self, run: str, request: ResumeRequest) -> Run:
        """Queue a run that goes on from where this one stopped."""
        return resume_run.resume(self._context, self.actor, run, request)

    def restart(self, run: str, request: ResumeRequest) -> Run:
        """Queue a run from the top, with the same parameters."""
        return resume_run.restart(self._context, self.actor, run, request)

    def retry(self, run: str, request: SeenRun | None = None) -> Run:
        """Start a run that waits for its next try now, or queue one that goes on."""
        return manual_retry.retry(self._context, self.actor, run, request or SeenRun())

    def cancel(self, run: str, request: SeenRun | None = None) -> Run:
        """Ask a queued or running run to stop."""
        return cancellation.cancel(self._context, self.actor, run, request or SeenRun())

    def request_state(self, run: str) -> Run:
        """Have the state before the cell that runs stored."""
        return state_requests.request_state(self._context, self.actor, run)

    def debug(self, run: str) -> DebugBundle:
        """Return what opens the failure in a notebook."""
        return queries.debug(self._context, self.actor, run)

    def blob(self, run: str, digest: str) -> bytes:
        """Return a blob that belongs to the run."""
        return queries.blob(self._context, self.actor, run, digest)

    def stream_blob(self, run: str, digest: str) -> Iterator[bytes]:
        """Return a blob that belongs to the run in pieces; access is checked at once."""
        return queries.stream_blob(self._context, self.actor, run, digest)

    def artifacts(self, run: str) -> list[Artifact]:
        """Return what the run keeps, by name, newest first."""
        return artifacts.artifacts(self._context, self.actor, run)

    def readers(self, run: str) -> list[ArtifactReader]:
        """Return the runs of other jobs that have read what the run keeps."""
        return artifacts.readers(self._context, self.actor, run)

    def files(self, run: str) -> list[CellFiles]:
        """Return the files that the run's cells were seen to use."""
        return cell_records.files(self._context, self.actor, run)

    def stream_artifact(
        self, run: str, name: str, number: int | None = None
    ) -> tuple[Artifact, Iterator[bytes]]:
        """Return an artifact and its bytes in pieces; access is checked at once.

        Args:
            run: the run's id.
            name: the artifact's name.
            number: which save of that name; None for the latest.
        """
        return artifacts.stream(self._context, self.actor, run, name, number)

    def schedule(self, request: ScheduleRequest) -> Schedule:
        """Add a schedule to a job."""
        return scheduling.schedule(self._context, self.actor, request)

    def preview(self, cron: str, tz: str, count: int = 5) -> list[datetime]:
        """Return the next fires of a schedule, in its zone.

        Args:
            cron: the five fields of a cron expression.
            tz: an IANA time zone.
            count: how many fires.

        Raises:
            InvalidInput: the expression, the zone or the count cannot be used.
        """
        if not 0 < count <= MAX_FIRES:
            raise InvalidInput(f"count must be from 1 to {MAX_FIRES}, not {count}", count=count)
        return schedules.next_fires(cron, tz, self._context.clock(), count)

    def pause(self, schedule: str, *, paused: bool) -> Schedule:
        """Pause a schedule or let it go on."""
        return self.change_schedule(schedule, ScheduleChange(paused=paused))

    def unschedule(self, schedule: str) -> None:
        """Remove a schedule; its runs stay."""
        scheduling.unschedule(self._context, self.actor, schedule)

    def audit(self, limit: int = 100) -> list[AuditRecord]:
        """Return the newest audit records that the caller may see."""
        return trail.newest(self._context, self.actor, limit)

    def environments(self) -> list[EnvironmentDetail]:
        """Return the environments of kernels with their builds."""
        return environments.environments(self._context, self.actor)

    def kernels(self) -> list[Kernel]:
        """Return the kernels that jobs can use; every caller may know them."""
        return kernel_places.kernels(self._context, self.actor)

    def close(self) -> None:
        """Release nothing: the ledger owns the connections."""
