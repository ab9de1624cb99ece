"""Where an attempt works: in the notebook's directory, in one of its own, or in an empty one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from respawn_jobs.api.runner_protocol import Assignment, RunnerPort
from respawn_jobs.errors import RespawnError
from respawn_jobs.host.workspace import Workspace


@dataclass
class WorkPlace:
    """Where an attempt works."""

    path: Path | None
    """None: where the process is."""
    reported: str | None = None
    """The path of a directory of its own, as the service is told."""
    trouble: RespawnError | OSError | None = None
    """Why its own directory could not be laid out: the attempt fails by it."""
    succeeded: bool = False
    let_go: Callable[[], None] = lambda: None
    """Lets another attempt work in the directory of its own, while the kernel of this one still does."""

    def check(self) -> None:
        """Raise why it could not be laid out."""
        if self.trouble is not None:
            raise self.trouble


@contextmanager
def work_place(port: RunnerPort, assignment: Assignment, workspace: Workspace) -> Iterator[WorkPlace]:
    """Give an attempt the directory that it works in, until its kernel has ended.

    Its own where the version carries files, else the one that the notebook lay in while it exists, else an
    empty one that is removed later.

    Args:
        port: the service, bound to the attempt.
        assignment: what the attempt is.
        workspace: the runner's.
    """
    if assignment.own_directory is None:
        there = assignment.directory is not None and Path(assignment.directory).is_dir()
        yield WorkPlace(Path(str(assignment.directory)) if there else workspace.directory("work"))
        return
    from respawn_jobs.runner.own_directory import laid_out

    try:
        own = laid_out(port, assignment, assignment.own_directory, os.environ)
    except (RespawnError, OSError) as error:
        yield WorkPlace(workspace.directory("work"), trouble=error)
        return
    place = WorkPlace(own.path, reported=str(own.path), let_go=own.let_go)
    try:
        yield place
    finally:
        own.close(succeeded=place.succeeded)
