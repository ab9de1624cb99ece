"""Lays out the directory of its own in which an attempt works, before its kernel starts there."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from respawn_jobs.api.runner_protocol import Assignment, OwnDirectory, RunnerPort
from respawn_jobs.carried.archive import check_paths, lay_out
from respawn_jobs.errors import InvalidInput
from respawn_jobs.host.own_directories import OwnDirectories

_MAX_NAMED = 3
_CACHE = "__pycache__"


@dataclass(frozen=True)
class LaidOut:
    """A directory that an attempt works in; call `close` when its kernel has ended."""

    path: Path
    _wanted: OwnDirectory
    _directories: OwnDirectories
    _lock: IO[bytes]

    def close(self, *, succeeded: bool) -> None:
        """Let the directory go; one in which a run that succeeded has left nothing of its own is removed."""
        try:
            if succeeded and not self._left():
                self._directories.remove(self._wanted.name)
        finally:
            self._lock.close()

    def let_go(self) -> None:
        """Let another attempt work in it."""
        self._lock.close()

    def _left(self) -> bool:
        carried = {file.path for file in self._wanted.files}
        for path in self.path.rglob("*"):
            below = path.relative_to(self.path)
            if _CACHE in below.parts or (path.is_dir() and not path.is_symlink()):
                continue
            if below.as_posix() not in carried:
                return True
        return False


def laid_out(
    port: RunnerPort, assignment: Assignment, wanted: OwnDirectory, environ: Mapping[str, str]
) -> LaidOut:
    """Prepare the directory of its own that an attempt works in.

    From the top it is as its version has it, with nothing else. An attempt that goes on from a state finds it
    as the one before has left it, with those files new that were edited since.

    Args:
        port: the service, bound to the attempt.
        assignment: what the attempt is.
        wanted: the directory, and what lies in it.
        environ: the runner's environment, which may say where the directory lies.

    Raises:
        InvalidInput: what the cells above have left there is gone.
        RespawnError: the files cannot be had, or another attempt works there.
        OSError: they cannot be written.
    """
    check_paths(wanted.edited)
    directories = OwnDirectories(environ)
    directories.sweep(time.time())
    path, lock = directories.enter(wanted.name)
    with ExitStack() as stack:
        stack.callback(lock.close)
        resume = assignment.resume
        if resume is None or (resume.manifest is None and not resume.reused):
            _empty(path)
            _lay_out(port, wanted, path, {file.path for file in wanted.files})
        else:
            _check_left(wanted, path)
            _renew(port, wanted, path)
        stack.pop_all()  # it is held until `close`
    return LaidOut(path, wanted, directories, lock)


def _lay_out(port: RunnerPort, wanted: OwnDirectory, directory: Path, only: set[str]) -> None:
    if only and wanted.bundle is not None:
        lay_out(port.get_blob(wanted.bundle), wanted.files, directory, only)


def _empty(directory: Path) -> None:
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _check_left(wanted: OwnDirectory, directory: Path) -> None:
    gone = [one for one in wanted.left if not directory.joinpath(one.path).exists()]
    if not gone:
        return
    named = ", ".join(f"{one.path} of cell {one.cell}" for one in gone[:_MAX_NAMED])
    more = f" and {len(gone) - _MAX_NAMED} more" if len(gone) > _MAX_NAMED else ""
    raise InvalidInput(
        f"{directory} lacks what the cells above have left there: {named}{more}. The run before worked on "
        "another machine, or the directory was removed: restart the run",
        directory=str(directory),
    )


def _renew(port: RunnerPort, wanted: OwnDirectory, directory: Path) -> None:
    """Write the files that were edited, and all of them into an empty directory; remove what is no more."""
    carried = {file.path for file in wanted.files}
    for name in set(wanted.edited) - carried:
        directory.joinpath(name).unlink(missing_ok=True)
    _lay_out(port, wanted, directory, carried & set(wanted.edited) if any(directory.iterdir()) else carried)
