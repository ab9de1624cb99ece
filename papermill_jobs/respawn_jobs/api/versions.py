"""Versions and the life of jobs, as people and their tools see them: what a promotion would do, what
versions hold and how they differ, which one new runs use, and names, archives and ends of jobs.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Protocol, get_args

from pydantic import Field

from respawn_jobs.api.operation import operation
from respawn_jobs.model.base import Model
from respawn_jobs.model.jobs import Job, Missed, Schedule
from respawn_jobs.model.kernels import OfferedProfile
from respawn_jobs.model.open_values import OPEN
from respawn_jobs.model.settings import JobSettings

Agreement = Literal[
    "replace_fix",
    "take_over",
    "undo_roll_back",
    "break_triggers",
    "take_name",
    "ignore_drift",
    "unknown_kernel",
]
"""What a promotion may do that a person must agree to. replace_fix: the current version holds a fix that
the file lacks. take_over: the job was promoted from another notebook. undo_roll_back: it is a version that
somebody went back from. break_triggers: triggers of the job give what the version does not take.
take_name: another job had the name before it was renamed, and is found by it until a new one takes it.
ignore_drift: the notebook's kernel has packages beside or unlike its lock, which the job will not have.
unknown_kernel: the servers in which the job will run had no such kernel when one of them told last."""
ParameterName = Annotated[str, Field(max_length=1000)]
RUN_ANYHOW: tuple[Agreement, ...] = get_args(Agreement)
"""For a notebook that is only to be run: its scratch job, which files of one name share, keeps its runs."""


class DiffLine(Model):
    """A line of a cell's source in a comparison."""

    kind: Annotated[Literal["same", "added", "removed"], OPEN]
    text: str


class CellChange(Model):
    """What became of one cell between two notebooks."""

    kind: Annotated[Literal["same", "changed", "moved", "added", "removed"], OPEN]
    """moved: it stands elsewhere among the others, and is the same."""
    cell_type: str
    old: int | None
    """Its place in the old notebook, from 0 over all cells; None for one that was added."""
    new: int | None
    """Its place in the new notebook; None for one that was removed."""
    lines: list[DiffLine] = []
    """Its source, line by line; empty when its source did not change."""
    left_out: int = 0
    """How many lines are not given, because the comparison would be too long."""
    tags: list[str] | None = None
    """Its tags in the new notebook, when they are others than in the old one."""
    moved: bool = False
    """Whether it stands elsewhere among the others; it may have changed as well."""


Place = Annotated[Literal["own", "notebook"], OPEN]
"""Where runs of a version work: in a directory of their own, or where its notebook lies."""


class FileChange(Model):
    """What became of a file that versions carry."""

    path: str
    kind: Annotated[Literal["changed", "added", "removed"], OPEN]


class Comparison(Model):
    """How two versions of a job differ, or a version and a file."""

    old: int
    """The number of the older version."""
    new: int | None
    """The number of the newer version; None for a file that is none yet."""
    cells: list[CellChange]
    kernels: tuple[str, str] | None = None
    """The kernels of both, when they differ."""
    files: list[FileChange] = []
    """The files that they carry and that differ."""
    places: tuple[Place, Place] | None = None
    """Where runs of both work, when that differs: in a directory of their own, or where the notebook lies."""

    @property
    def changed(self) -> int:
        """How many cells differ."""
        return sum(cell.kind != "same" for cell in self.cells)


class PromotionQuestion(Model):
    """What a person must agree to before a notebook is promoted."""

    code: Annotated[Agreement, OPEN]
    message: str
    """One or two sentences that name the versions, the people and the cells."""


class OpenedFile(Model):
    """A file beside the notebook that a run has read, and that the version would not carry."""

    path: str
    """From the notebook's directory."""
    run: str
    """The run that has read it."""


class PromotionPreview(Model):
    """What a promotion would do."""

    job: str
    outcome: Annotated[Literal["new_job", "new_version", "unchanged"], OPEN]
    version: int
    """The number that the job's current version has afterwards."""
    current: int | None
    """The current version now, to be given as `Promotion.seen`; None for a job that is not there."""
    same_as: int | None = None
    """The newest other version that holds the same notebook for the same kernel."""
    message: str
    """What will happen, in one sentence."""
    notes: list[str] = []
    """What is not known yet of where its runs execute, or keeps them from starting; a sentence each."""
    same_file: list[str] = []
    """The jobs that the file is already, the one promoted last first; empty if this job is one of them."""
    questions: list[PromotionQuestion] = []
    opened: list[OpenedFile] = []
    """What the last run of this file has read where the notebook lies, and the version would not carry."""
    comparison: Comparison | None = None
    """From the current version to the file; None for a new job."""
    schedules: list[Schedule] = []
    """Those that will run the new version."""
    settings: JobSettings | None = None
    """Those that the job has now; None for a new one."""
    profiles: list[OfferedProfile] = []
    """The profiles that the job may have, without their kernels."""


class CurrentRequest(Model):
    """Which version new runs use from now on."""

    version: int
    seen: int | None = None
    """The current version as the person saw it; None acts in any case."""
    agreed: list[Literal["break_triggers"]] = []
    """What the person agrees to: that runs of triggers fail, whose parameters the version does not take."""


class JobChange(Model):
    """A change of a job itself; what is None stays."""

    name: str | None = None
    archived: bool | None = None


class ScheduleChange(Model):
    """A change of a schedule; what is None stays."""

    paused: bool | None = None
    cron: str | None = None
    tz: str | None = None
    parameters: dict[str, Any] | None = None
    """All that its runs are given from now on, together with what `keep` names."""
    keep: list[ParameterName] = Field(default=[], max_length=1000)
    """With `parameters`: names of those that keep the value that the schedule has. So a secret one, whose
    value nobody is shown, need not be given again."""
    missed: Missed | None = None
    max_missed: int | None = Field(default=None, ge=1, le=1000)


class VersionService(Protocol):
    """The part of `Service` that is about what versions hold and what schedules say."""

    @operation("GET", "versions/{number:version}/notebook")
    def version_notebook(self, job: str, number: int) -> str:
        """Return the text of a version's notebook, byte for byte."""

    @operation("GET", "versions/{number:version}/file")
    def version_file(self, job: str, number: int, path: str) -> bytes:
        """Return the bytes of a file that a version carries.

        Args:
            job: the job: `namespace/name`, name or id.
            number: the version's number.
            path: the file's, as `Version.files` has it.

        Raises:
            NotFound: there is no such job or version, or it carries no such file.
            Forbidden: the job may not be read.
        """

    @operation("GET", "versions/comparison")
    def compare_versions(self, job: str, old: int, new: int) -> Comparison:
        """Tell how two versions of a job differ, cell by cell and line by line.

        Args:
            job: the job: `namespace/name`, name or id.
            old: number of the version that the changes start from.
            new: number of the version that they lead to; it may be the lower one.

        Raises:
            NotFound: there is no such job or version.
            Forbidden: the job may not be read.
        """

    @operation("PATCH", "schedules/{schedule}", wakes=True)
    def change_schedule(self, schedule: str, change: ScheduleChange) -> Schedule:
        """Change a schedule, pause it, or let it go on; what is None stays.

        Raises `Conflict` when the job has one like it already.
        """


class JobLifeService(Protocol):
    """The part of `Service` that is about which version runs, and names, archives and ends of jobs."""

    @operation("PUT", "versions/current")
    def make_current(self, job: str, request: CurrentRequest) -> Job:
        """Let new runs use a version of the job, older or newer.

        Raises:
            Conflict: the current one is not as seen; or triggers give parameters that the version does not
                take, and that was not agreed to: `fields["questions"]` tells.
        """

    @operation("PATCH", "jobs/{job:path}", wakes=True)
    def change_job(self, job: str, change: JobChange) -> Job:
        """Rename a job, archive it, or take it out of the archive.

        An archived job makes no runs: its triggers rest, nobody can start it, and lists leave it out; its
        runs can be looked at. Due times that pass, and objects that appear, meanwhile make no runs later. A
        job that was renamed is found by its former name until another job takes that name.

        Raises:
            Conflict: another job has the name, or runs of a job that is to be archived have not ended.
            Unavailable: the inbox of a sensor of the job that is to be restored does not answer.
        """

    @operation("DELETE", "jobs/{job:path}")
    def remove_job(self, job: str) -> None:
        """Remove an archived job with its versions, runs, triggers and settings, for good.

        Raises:
            Conflict: it is not archived, runs have not ended, or another job's dependency waits for it.
        """

    @operation("DELETE", "versions/{number:version}")
    def remove_version(self, job: str, number: int) -> None:
        """Remove a version that new runs do not use, and no run or version names.

        Raises `Conflict` for any other.
        """

    @operation("DELETE", "runs/{run}")
    def remove_run(self, run: str) -> None:
        """Remove an ended run with all it keeps.

        Raises:
            Conflict: it has not ended, it is pinned, a run goes on from it, or the service has yet to act on
                its end.
        """
