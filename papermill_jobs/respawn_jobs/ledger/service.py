"""The service as one person sees it, in-process: `Service` over the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from datetime import datetime
from typing import Any

from respawn_jobs import schedules
from respawn_jobs.errors import InvalidInput
from respawn_jobs.ledger import artifacts, audit, cancelling, jobs, resume, runs, scheduling, trying
from respawn_jobs.ledger.actor_backfills import ActorBackfills
from respawn_jobs.ledger.actor_history import ActorHistory
from respawn_jobs.ledger.actor_job_life import ActorJobLife
from respawn_jobs.ledger.actor_namespaces import ActorNamespaces
from respawn_jobs.ledger.actor_queueing import ActorQueueing
from respawn_jobs.ledger.actor_triggers import ActorTriggers
from respawn_jobs.ledger.actor_versions import ActorVersions
from respawn_jobs.models import (
    Artifact,
    AuditRecord,
    DebugBundle,
    Job,
    Plan,
    Run,
    RunDetail,
    RunState,
    Schedule,
    Version,
)
from respawn_jobs.service import ResumeRequest, RunRequest, ScheduleRequest, Seen
from respawn_jobs.service_versions import ScheduleChange

_MOST_FIRES = 100


class ActorService(
    ActorVersions,
    ActorHistory,
    ActorTriggers,
    ActorBackfills,
    ActorQueueing,
    ActorNamespaces,
    ActorJobLife,
):
    """What one actor can do; each method is told in `respawn_jobs.service.Service`."""

    def whoami(self) -> str:
        """Return the caller's name."""
        return self.actor.name

    def jobs(self, namespace: str | None = None, *, archived: bool = False) -> list[Job]:
        """Return the jobs that the caller may see, by name."""
        return jobs.jobs(self._context, self.actor, namespace, archived=archived)

    def job(self, ref: str) -> Job:
        """Return one job."""
        return jobs.job(self._context, self.actor, ref)

    def versions(self, ref: str) -> list[Version]:
        """Return a job's versions, newest first."""
        return jobs.versions(self._context, self.actor, ref)

    def run(self, request: RunRequest) -> Run:
        """Queue a run."""
        return runs.run(self._context, self.actor, request)

    def runs(
        self,
        *,
        job: str | None = None,
        states: Sequence[RunState] = (),
        limit: int = 50,
        before: datetime | str | None = None,
        version: int | None = None,
    ) -> list[Run]:
        """Return runs, newest first."""
        return runs.runs(self._context, self.actor, job, states, limit, before, version)

    def show(self, run: str) -> RunDetail:
        """Return a run with its cells."""
        return runs.show(self._context, self.actor, run)

    def outputs(self, run: str, cell: int) -> list[dict[str, Any]]:
        """Return the nbformat outputs of one cell as far as they came."""
        return runs.outputs(self._context, self.actor, run, cell)

    def outputs_of_cells(self, run: str, cells: Set[int]) -> dict[int, list[dict[str, Any]]]:
        """Return the outputs of several cells, by index, as far as they came."""
        return runs.outputs_of_cells(self._context, self.actor, run, cells)

    def version(self, run: str) -> Version:
        """Return the version that a run executes."""
        return runs.version(self._context, self.actor, run)

    def notebook(self, run: str) -> str:
        """Return the text of the executed notebook as far as it came."""
        return runs.notebook(self._context, self.actor, run)

    def stream_notebook(self, run: str) -> Iterator[bytes]:
        """Return the executed notebook in pieces; access is checked at once."""
        return runs.stream_notebook(self._context, self.actor, run)

    def plan(self, run: str, request: ResumeRequest) -> Plan:
        """Tell what `resume` would do; changes nothing."""
        return resume.plan(self._context, self.actor, run, request)

    def resume(self, run: str, request: ResumeRequest) -> Run:
        """Queue a run that goes on from where this one stopped."""
        return resume.resume(self._context, self.actor, run, request)

    def restart(self, run: str, request: ResumeRequest) -> Run:
        """Queue a run from the top, with the same parameters."""
        return resume.restart(self._context, self.actor, run, request)

    def retry(self, run: str, request: Seen | None = None) -> Run:
        """Start a run that waits for its next try now, or queue one that goes on."""
        return trying.retry(self._context, self.actor, run, request or Seen())

    def cancel(self, run: str, request: Seen | None = None) -> Run:
        """Ask a queued or running run to stop."""
        return cancelling.cancel(self._context, self.actor, run, request or Seen())

    def debug(self, run: str) -> DebugBundle:
        """Return what opens the failure in a notebook."""
        return runs.debug(self._context, self.actor, run)

    def blob(self, run: str, digest: str) -> bytes:
        """Return a blob that belongs to the run."""
        return runs.blob(self._context, self.actor, run, digest)

    def stream_blob(self, run: str, digest: str) -> Iterator[bytes]:
        """Return a blob that belongs to the run in pieces; access is checked at once."""
        return runs.stream_blob(self._context, self.actor, run, digest)

    def artifacts(self, run: str) -> list[Artifact]:
        """Return what the run keeps, by name, newest first."""
        return artifacts.artifacts(self._context, self.actor, run)

    def stream_artifact(
        self, run: str, name: str, number: int | None = None
    ) -> tuple[Artifact, Iterator[bytes]]:
        """Return an artifact and its bytes in pieces; access is checked at once."""
        return artifacts.stream(self._context, self.actor, run, name, number)

    def schedule(self, request: ScheduleRequest) -> Schedule:
        """Add a schedule to a job."""
        return scheduling.schedule(self._context, self.actor, request)

    def preview(self, cron: str, tz: str, count: int = 5) -> list[datetime]:
        """Return the next fires of a schedule, in its zone."""
        if not 0 < count <= _MOST_FIRES:
            raise InvalidInput(f"count must be from 1 to {_MOST_FIRES}, not {count}", count=count)
        return schedules.next_fires(cron, tz, self._context.clock(), count)

    def pause(self, schedule: str, *, paused: bool) -> Schedule:
        """Pause a schedule or let it go on."""
        return self.change_schedule(schedule, ScheduleChange(paused=paused))

    def unschedule(self, schedule: str) -> None:
        """Remove a schedule; its runs stay."""
        scheduling.unschedule(self._context, self.actor, schedule)

    def audit(self, limit: int = 100) -> list[AuditRecord]:
        """Return the newest audit records that the caller may see."""
        return audit.newest(self._context, self.actor, limit)

    def close(self) -> None:
        """Release nothing: the ledger owns the connections."""
