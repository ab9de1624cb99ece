"""The service as people and their tools see it: one interface, embedded or over HTTP.

`respawn_jobs.ledger.Ledger.as_actor(...)` serves it in-process; `respawn_jobs.remote.client.RemoteService`
speaks to a hub's service. The command and the server extension are written against this interface only.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from respawn_jobs.api.backfills import BackfillService
from respawn_jobs.api.carried_files import MAX_FILES, NewFile
from respawn_jobs.api.history import HistoryService
from respawn_jobs.api.namespaces import NamespaceService
from respawn_jobs.api.operation import operation
from respawn_jobs.api.queueing import QueueingService
from respawn_jobs.api.triggers import TriggerService
from respawn_jobs.api.versions import (
    Agreement,
    JobLifeService,
    PromotionPreview,
    ScheduleChange,
    VersionService,
)
from respawn_jobs.model.artifacts import Artifact, ArtifactReader
from respawn_jobs.model.audit import AuditRecord
from respawn_jobs.model.base import Many, Model
from respawn_jobs.model.debug_bundle import DebugBundle
from respawn_jobs.model.evidence import CellFiles
from respawn_jobs.model.jobs import GitState, Job, Missed, Schedule, Version
from respawn_jobs.model.kernels import EnvironmentDetail, Kernel
from respawn_jobs.model.limits import MemoryBytes
from respawn_jobs.model.plans import Plan
from respawn_jobs.model.runs import Run, RunDetail, RunState
from respawn_jobs.model.settings import JobSettings

MAX_MISSED_RUNS = 100
"""Missed times that a schedule makes up for, unless it says otherwise."""
MAX_FIRES = 100
"""The most next fires of a schedule in one answer."""


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
    files: Annotated[Many[NewFile], Field(max_length=MAX_FILES)] | None = None
    """What the version carries beside the notebook: its runs work in a directory of their own, with these in
    it. None: they work in `directory`, where it is there."""
    settings: JobSettings | None = None
    """None: keep those of the job, or the defaults for a new one."""
    drift: Many[Annotated[str, Field(max_length=1000)]] = Field(
        default=[], max_length=100, exclude_if=operator.not_
    )
    """In what the notebook's kernel is unlike the lock of its build, a sentence each; who sends the promotion
    looks, for the service does not see the kernel."""
    seen: int | None = None
    """The current version as the person saw it, 0 for a job that was not there; None acts in any case."""
    agreed: list[Agreement] = Field(default=[], max_length=10)
    """What the person agreed to of the questions that `preview_promotion` tells."""


class RunRequest(Model):
    """A request to run a job now."""

    job: str
    parameters: dict[str, Any] = {}
    version: int | None = None


class SeenRun(Model):
    """What a person saw of a run when they decided to act on it."""

    revision: int | None = None
    """The run's revision. When its state has changed since, nothing is done, and the refusal says what
    happened; None acts in any case."""


class ResumeRequest(SeenRun):
    """A request to go on from where a run stopped, or to start over."""

    notebook: str | None = None
    """Text of the fixed notebook; None: the run's own version."""
    files: Annotated[Many[NewFile], Field(max_length=MAX_FILES)] | None = None
    """All that the fixed version carries beside its notebook; None: what the run's own version does."""
    parameters: dict[str, Any] = {}
    """Parameters that get another value; the others keep the run's."""
    rerun_once: bool = False
    """Agree that cells tagged `respawn:once` which had finished run again."""
    rerun_producers: bool = False
    """Agree that cells run again to make what could not be stored, as the plan lists them."""
    load_imported: bool = False
    """Agree to load a state that came in an archive, as `Plan.imported` lists: that runs the code in it."""
    scratch: list[ScratchId] = Field(default=[], max_length=1000)
    """Ids of added cells that are left out, as if they were tagged `respawn:scratch`."""
    strict: bool | None = None
    """Run again everything from the first change on; None: as the job's settings say."""
    memory_bytes: MemoryBytes | None = None
    """The memory limit of the new run; None: that of the job, or of this run where that is higher."""
    agreed: list[Literal["break_triggers"]] = Field(default=[], max_length=10)
    """What the person agrees to: that runs of triggers fail, whose parameters the fix does not take."""


class ScheduleRequest(Model):
    """A request for a new schedule of a job."""

    job: str
    cron: str
    tz: str
    parameters: dict[str, Any] = {}
    missed: Missed = "latest"
    """Which due times make runs that passed while no service ran; see `Schedule.missed`."""
    max_missed: int = Field(default=MAX_MISSED_RUNS, ge=1, le=1000)


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

    @operation("GET", "whoami")
    def whoami(self) -> str:
        """Return the caller's name."""

    @operation("POST", "versions", status=201)
    def promote(self, request: Promotion) -> Version:
        """Make a version. The same content and kernel as the current version give that one again.

        Raises:
            Conflict: the current version is not the one that the person saw (`Promotion.seen`), or the person
                did not agree to what `preview_promotion` asks; then its field `questions` lists that.
        """

    @operation("POST", "versions/preview")
    def preview_promotion(self, request: Promotion) -> PromotionPreview:
        """Tell what `promote` would do, and what must be agreed to; changes nothing.

        Raises what `promote` would raise for bad input.
        """

    @operation("GET", "jobs")
    def jobs(self, namespace: str | None = None, *, archived: bool = False) -> list[Job]:
        """Return the jobs that the caller may see, by name: those at work, or the archived ones.

        Their last runs are as `runs` lists them.
        """

    @operation("GET", "jobs/{job:path}")
    def job(self, job: str) -> Job:
        """Return one job by `namespace/name`, by bare name in the caller's own namespace, or by id.

        A job that was renamed is found by its former name too, until another job takes that.
        """

    @operation("GET", "versions")
    def versions(self, job: str) -> list[Version]:
        """Return a job's versions, newest first."""

    @operation("POST", "runs", status=201, wakes=True)
    def run(self, request: RunRequest) -> Run:
        """Queue a run of a job."""

    @operation("GET", "runs", renamed={"states": "state"})
    def runs(
        self,
        *,
        job: str | None = None,
        states: Sequence[RunState] = (),
        limit: Annotated[int, Field(ge=1, le=1000)] = 50,
        before: datetime | str | None = None,
        version: Annotated[int, Field(ge=1)] | None = None,
    ) -> list[Run]:
        """Return runs, newest first; `before` pages: those made before a time, or before the last that came.

        Tracebacks are empty in lists: they may be long, and `show` has them.

        Args:
            job: a job (`namespace/name`, name or id) whose runs are wanted; None for all that may be read.
            states: only runs in one of these; empty for all states.
            limit: how many runs at most.
            before: pages: runs made before a time, which has a zone, or older than the run with this id; None
                begins with the newest.
            version: number of a version of the job, to leave only its runs; None for all versions.

        Raises:
            InvalidInput: `before` is neither a time with a zone nor a run's id, or `version` comes without a
                job.
            NotFound: there is no such job, version or run.
            Forbidden: the job, or the run that `before` names, may not be read.
        """

    @operation("GET", "runs/{run}")
    def show(self, run: str) -> RunDetail:
        """Return a run with its cells, checkpoints and attempts."""

    @operation("GET", "runs/{run}/cells/{cell}/outputs")
    def outputs(self, run: str, cell: int) -> list[dict[str, Any]]:
        """Return the nbformat outputs of one cell as far as they came."""

    @operation("GET", "runs/{run}/notebook")
    def notebook(self, run: str) -> str:
        """Return the text of the executed notebook as far as it came."""

    @operation("POST", "runs/{run}/plan")
    def plan(self, run: str, request: ResumeRequest) -> Plan:
        """Tell what `resume` would do; changes nothing."""

    @operation("POST", "runs/{run}/resume", status=201, wakes=True)
    def resume(self, run: str, request: ResumeRequest) -> Run:
        """Queue a run that goes on from the state before the first cell that must execute."""

    @operation("POST", "runs/{run}/restart", status=201, wakes=True)
    def restart(self, run: str, request: ResumeRequest) -> Run:
        """Queue a run from the top, with the same parameters."""

    @operation("POST", "runs/{run}/retry", wakes=True)
    def retry(self, run: str, request: SeenRun | None = None) -> Run:
        """Try a run again: start one that waits for its next try now, or queue a run that goes on.

        An ended run is gone on from as far as its states allow, else from the top; nobody agrees to load a
        state that came in an archive, so what came of one starts from the top. Raises `Conflict` when
        a cell tagged `respawn:once` would be executed again, or another run goes on from it already.
        """

    @operation("POST", "runs/{run}/cancel", wakes=True)
    def cancel(self, run: str, request: SeenRun | None = None) -> Run:
        """Ask a run that has not ended to stop. Raises `Conflict` when somebody else has done so."""

    @operation("POST", "runs/{run}/state")
    def request_state(self, run: str) -> Run:
        """Have the state before the running cell stored, beside the run, for a look at it; it takes seconds.

        Raises `Conflict` for a run that does not run.
        """

    @operation("GET", "runs/{run}/debug")
    def debug(self, run: str) -> DebugBundle:
        """Return what opens the failure in a notebook, or a run that goes on as far as it is stored.

        Raises `Conflict` for a run that has not begun or has succeeded.
        """

    @operation("GET", "runs/{run}/blobs/{digest}")
    def blob(self, run: str, digest: str) -> bytes:
        """Return a blob that belongs to the run."""

    @operation("GET", "runs/{run}/artifacts")
    def artifacts(self, run: str) -> list[Artifact]:
        """Return what the run keeps, by name; of each name the newest first, two at most."""

    @operation("GET", "runs/{run}/readers")
    def readers(self, run: str) -> list[ArtifactReader]:
        """Return the runs of other jobs that read what the run keeps, the newest first; 100 at most."""

    @operation("GET", "runs/{run}/files")
    def files(self, run: str) -> list[CellFiles]:
        """Return the files that its cells were seen to read and to change, for each cell that used any.

        Those of Python and of its packages are left out. A cell that a resume took over has those of the run
        in which it was executed.
        """

    @operation("POST", "schedules", status=201, wakes=True)
    def schedule(self, request: ScheduleRequest) -> Schedule:
        """Add a schedule to a job."""

    @operation("GET", "schedules/preview")
    def preview(
        self, cron: str, tz: str, count: Annotated[int, Field(ge=1, le=MAX_FIRES)] = 5
    ) -> list[datetime]:
        """Return the next fires of a schedule, in its zone.

        Args:
            cron: an expression of five fields, or a nickname such as `@daily`.
            tz: name of an IANA time zone, such as `Europe/Berlin`.
            count: how many fires, from 1 to 100.

        Raises:
            InvalidInput: the expression cannot be read or never fires, the zone is unknown, or `count` is out
                of its range.
        """

    def pause(self, schedule: str, *, paused: bool) -> Schedule:
        """Pause a schedule or let it go on."""
        return self.change_schedule(schedule, ScheduleChange(paused=paused))

    @operation("DELETE", "schedules/{schedule}")
    def unschedule(self, schedule: str) -> None:
        """Remove a schedule; its runs stay."""

    @operation("GET", "audit")
    def audit(self, limit: Annotated[int, Field(ge=1, le=1000)] = 100) -> list[AuditRecord]:
        """Return the newest audit records that the caller may see."""

    @operation("GET", "environments")
    def environments(self) -> list[EnvironmentDetail]:
        """Return the environments of kernels with their builds, by name; every caller may know them.

        Which jobs and runs pin a build is told of those that the caller may read.
        """

    @operation("GET", "kernels")
    def kernels(self) -> list[Kernel]:
        """Return the kernels that jobs can use, by name: those of the machine where versions are made."""

    def close(self) -> None:
        """Release connections and files."""
