"""Jobs as clients of the service see them: versions, parameters, schedules."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from respawn_jobs.model.base import Many, Model, Whole
from respawn_jobs.model.open_values import OPEN
from respawn_jobs.model.runs import Run
from respawn_jobs.model.settings import JobSettings

Missed = Annotated[Literal["latest", "all", "skip"], OPEN]


class Parameter(Model):
    """A declared parameter of a notebook, read from its `parameters` cell."""

    name: str
    type: str | None = None
    """int, float, str, bool, list, dict, date, datetime, time, decimal, path; None when it takes anything.

    JSON has no dates, times, decimals and paths: their values are text, ISO 8601 for dates and times. The
    notebook gets what its annotation says."""
    choices: list[Any] = []
    """The only values that it takes (`Literal`, or an enumeration's); empty for any."""
    items: str | None = None
    """Type of a list's items, where the annotation says it."""
    default: Any = None
    """The default as a JSON value; None when `required` or not a literal (see `default_source`)."""
    default_source: str = ""
    """The default as the notebook spells it."""
    required: bool = False
    """True for a bare annotation or a default of `None` with a type that is not optional."""
    nullable: bool = False
    """True when null may be given: its annotation or its default says None."""
    secret: bool = False
    """True when its values are shown to nobody: by its name, or by `respawn:secret` in its comment."""
    help: str = ""


class GitState(Model):
    """Where in a repository the notebook lay when it was promoted."""

    commit: str
    dirty: bool
    path: str


class CarriedFile(Model):
    """A file that a version carries beside its notebook."""

    path: str
    """Below the directory in which the notebook lies, with `/` between its parts."""
    digest: str
    """BLAKE3 of its bytes."""
    size: Whole
    """Bytes."""
    modified: Whole
    """When it was last changed, in microseconds since 1970: what is laid out for a run has that time."""
    executable: bool = False


class Version(Model):
    """An immutable notebook of a job, with all that decides how it runs."""

    id: str
    job: str
    number: int
    notebook: str
    """Digest of the notebook's bytes."""
    kernel: str
    language: str
    lock: str | None = None
    """Hash of the build of the kernel that all its runs use: the environment's lock, its Python and Respawn's
    own code. None for a kernel of no lock: runs use it as it is then."""
    newer_lock: str | None = None
    """Hash of the build that the kernel has now, where that is another one."""
    directory: str | None = None
    """Where the notebook lay: the working directory of local runs while it exists, of a version that carries
    no files."""
    files: Many[CarriedFile] | None = None
    """What it carries beside the notebook, by path: its runs work in a directory of their own, in which these
    lie. None for a version whose runs work where the notebook lay."""
    bundle: str | None = None
    """Digest of the archive that holds the files; None where there are none."""
    source: str | None = None
    """The file that it came from; None where that is not known."""
    git: GitState | None = None
    parameters: Many[Parameter] = []
    created_by: str
    created_at: datetime
    parent: int | None = None
    """The version it was made from, when it came out of a debug notebook."""
    authors: Many[str] = []
    """Whose code it holds beside its creator's: an archive's, or that of the version it was made from."""


class Schedule(Model):
    """A cron expression in a time zone that makes runs of a job due."""

    id: str
    job: str
    cron: str
    tz: str
    paused: bool = False
    missed: Missed = "latest"
    """What becomes of due times that passed while no service ran: `latest` makes one run, `all` one for each
    of the last `max_missed`, `skip` none."""
    max_missed: int = 100
    parameters: dict[str, Any] = {}
    next_due: datetime | None = None
    created_by: str
    created_at: datetime


class Job(Model):
    """A named notebook in a namespace."""

    id: str
    namespace: str
    name: str
    version: int
    """Number of the version that new runs use."""
    settings: JobSettings = JobSettings()
    created_by: str
    created_at: datetime
    schedules: list[Schedule] = []
    last_run: Run | None = None
    suspended: str | None = None
    """Why nothing of it runs: its namespace is not active; None when it is."""
    archived_at: datetime | None = None
    """Since when it is archived; None for a job at work."""
    archived_by: str | None = None

    @property
    def ref(self) -> str:
        """The job's full name, `namespace/name`."""
        return f"{self.namespace}/{self.name}"
