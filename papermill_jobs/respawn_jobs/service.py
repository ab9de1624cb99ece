"""The service as people and their tools see it: one interface, embedded or over HTTP.

`respawn_jobs.ledger.Ledger.as_actor(...)` serves it in-process; `respawn_jobs.remote.RemoteService` speaks
to a hub's service. The command and the server extension are written against this interface only.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Protocol

from pydantic import Field

from respawn_jobs.models import (
    Artifact,
    AuditRecord,
    DebugBundle,
    GitState,
    Job,
    JobSettings,
    Missed,
    Model,
    Plan,
    Run,
    RunDetail,
    RunState,
    Schedule,
    Version,
)
from respawn_jobs.service_backfills import BackfillService
from respawn_jobs.service_history import HistoryService
from respawn_jobs.service_namespaces import NamespaceService
from respawn_jobs.service_queueing import QueueingService
from respawn_jobs.service_triggers import TriggerService
from respawn_jobs.service_versions import Agreement, JobLifeService, VersionService

MISSED_MOST = 100
"""Missed times that a schedule makes up for, unless it says otherwise."""


ScratchId = Annotated[str, Field(max_length=200)]


class Promotion(Model):
    """A request to make a notebook a version of a job."""

    name: str
    namespace: str | None = None
    """None: the caller's own, `user/<name>`."""
    notebook: str
    """Text of the notebook, byte for byte."""
    kernel: str | None = None
    """None: the one that the notebook names."""
    directory: str | None = None
    source: str | None = None
    """The file that it comes from: an absolute path where there is one, else one on its Jupyter server. By it
    a promotion tells one notebook from another."""
    git: GitState | None = None
    settings: JobSettings | None = None
    """None: keep those of the job, or the defaults for a new one."""
    seen: int | None = None
    """The current version as the person saw it, 0 for a job that was not there; None acts in any case."""
    agreed: list[Agreement] = Field(default=[], max_length=10)
    """What the person agreed to of the questions that `preview_promotion` tells."""


class RunRequest(Model):
    """A request to run a job now."""

    job: str
    parameters: dict[str, Any] = {}
    version: int | None = None


class Seen(Model):
    """What a person saw of a run when they decided to act on it."""

    revision: int | None = None
    """The run's revision. When its state has changed since, nothing is done, and the refusal says what
    happened; None acts in any case."""


class ResumeRequest(Seen):
    """A request to go on from where a run stopped, or to start over."""

    notebook: str | None = None
    """Text of the fixed notebook; None: the run's own version."""
    parameters: dict[str, Any] = {}
    """Parameters that get another value; the others keep the run's."""
    rerun_once: bool = False
    """Agree that cells tagged `respawn:once` which had finished run again."""
    rerun_makers: bool = False
    """Agree that cells run again to make what could not be stored, as the plan lists them."""
    load_imported: bool = False
    """Agree to load a state that came in an archive, as `Plan.imported` lists: that runs the code in it."""
    scratch: list[ScratchId] = Field(default=[], max_length=1000)
    """Ids of added cells that are left out, as if they were tagged `respawn:scratch`."""
    strict: bool | None = None
    """Run again everything from the first change on; None: as the job's settings say."""


class ScheduleRequest(Model):
    """A request for a new schedule of a job."""

    job: str
    cron: str
    tz: str
    parameters: dict[str, Any] = {}
    missed: Missed = "latest"
    """Which due times make runs that passed while no service ran; see `Schedule.missed`."""
    missed_most: int = Field(default=MISSED_MOST, ge=1, le=1000)


class Service(
    VersionService,
    HistoryService,
    TriggerService,
    BackfillService,
    QueueingService,
    NamespaceService,
    JobLifeService,
    Protocol,
):
    """What a person can do, within their scopes; every method may raise `RespawnError`s."""

    def whoami(self) -> str:
        """Return the caller's name."""

    def promote(self, request: Promotion) -> Version:
        """Make a version. The same content and kernel as the current version give that one again.

        Raises:
            Conflict: the current version is not the one that the person saw (`Promotion.seen`), or the person
                did not agree to what `preview_promotion` asks; then its field `questions` lists that.
        """

    def jobs(self, namespace: str | None = None, *, archived: bool = False) -> list[Job]:
        """Return the jobs that the caller may see, by name: those at work, or the archived ones."""

    def job(self, ref: str) -> Job:
        """Return one job by `namespace/name`, by bare name in the caller's own namespace, or by id.

        A job that was renamed is found by its former name too, until another job takes that.
        """

    def versions(self, ref: str) -> list[Version]:
        """Return a job's versions, newest first."""

    def run(self, request: RunRequest) -> Run:
        """Queue a run."""

    def runs(
        self,
        *,
        job: str | None = None,
        states: Sequence[RunState] = (),
        limit: int = 50,
        before: datetime | str | None = None,
        version: int | None = None,
    ) -> list[Run]:
        """Return runs, newest first; `before` pages: older than a time, or below a run (its id).

        With a job, `version` leaves only the runs of one of its versions.
        """

    def show(self, run: str) -> RunDetail:
        """Return a run with its cells."""

    def outputs(self, run: str, cell: int) -> list[dict[str, Any]]:
        """Return the nbformat outputs of one cell as far as they came."""

    def notebook(self, run: str) -> str:
        """Return the text of the executed notebook as far as it came."""

    def plan(self, run: str, request: ResumeRequest) -> Plan:
        """Tell what `resume` would do; changes nothing."""

    def resume(self, run: str, request: ResumeRequest) -> Run:
        """Queue a run that goes on from the state before the first cell that must execute."""

    def restart(self, run: str, request: ResumeRequest) -> Run:
        """Queue a run from the top, with the same parameters."""

    def retry(self, run: str, request: Seen | None = None) -> Run:
        """Try a run again: start one that waits for its next try now, or queue a run that goes on.

        An ended run is gone on from as far as its states allow, else from the top; nobody agrees to load a
        state that came in an archive, so what came of one starts from the top. Raises `Conflict` when
        a cell tagged `respawn:once` would be executed again, or another run goes on from it already.
        """

    def cancel(self, run: str, request: Seen | None = None) -> Run:
        """Ask a queued or running run to stop. Raises `Conflict` when somebody else has done so."""

    def debug(self, run: str) -> DebugBundle:
        """Return what opens the failure in a notebook. Raises `Conflict` for a run that has no failure."""

    def blob(self, run: str, digest: str) -> bytes:
        """Return a blob that belongs to the run."""

    def artifacts(self, run: str) -> list[Artifact]:
        """Return what the run keeps, by name; of each name the newest first, two at most."""

    def schedule(self, request: ScheduleRequest) -> Schedule:
        """Add a schedule to a job."""

    def preview(self, cron: str, tz: str, count: int = 5) -> list[datetime]:
        """Return the next fires of a schedule, in its zone."""

    def pause(self, schedule: str, *, paused: bool) -> Schedule:
        """Pause a schedule or let it go on."""

    def unschedule(self, schedule: str) -> None:
        """Remove a schedule; its runs stay."""

    def audit(self, limit: int = 100) -> list[AuditRecord]:
        """Return the newest audit records that the caller may see."""

    def close(self) -> None:
        """Release connections and files."""
