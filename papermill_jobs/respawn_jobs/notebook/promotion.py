"""A notebook file made ready for promotion: its exact bytes, and where in a Git repository it lies.

The repository is asked through the `git` command with nothing of it executed that the repository could
choose (no hooks, no file-system monitor). Without `git` a notebook is promoted without a commit.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from respawn_jobs.api.service import Promotion
from respawn_jobs.errors import InvalidInput
from respawn_jobs.model.jobs import GitState
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.notebook.document import read_notebook

_GIT_SECONDS = 10.0


def prepare(
    path: Path,
    name: str,
    *,
    namespace: str | None = None,
    kernel: str | None = None,
    settings: JobSettings | None = None,
) -> Promotion:
    """Return the request that promotes the notebook at `path`.

    Args:
        path: the file; the request carries its absolute path, its directory and what git knows of it.
        name: of the job.
        namespace: of the job, such as `team/risk`; None for the caller's own.
        kernel: name of the kernelspec for the runs; None for the one that the notebook names.
        settings: of the job; None to leave them as they are, or at their defaults in a new job.

    Raises:
        InvalidInput: the path, which the message names, is missing, a directory, unreadable or no notebook.
    """
    return Promotion(
        name=name,
        namespace=namespace,
        notebook=read_checked(path),
        kernel=kernel,
        directory=str(path.resolve().parent),
        source=str(path.resolve()),
        git=git_state(path),
        settings=settings,
    )


def read_checked(path: Path) -> str:
    """Return a notebook file's text. Raises `InvalidInput` naming the path, also when it is no notebook."""
    text = read_text(path)
    try:
        read_notebook(text)
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error.message}", **{"path": str(path), **error.fields}) from error
    return text


def read_text(path: Path) -> str:
    """Return a file's text, byte for byte. Raises `InvalidInput` naming the path and what is wrong."""
    if path.is_dir():
        raise InvalidInput(f"{path} is a directory; a notebook file is wanted", path=str(path))
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise InvalidInput(f"{path} does not exist", path=str(path)) from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not a notebook: it is not UTF-8 text", path=str(path)) from error
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}", path=str(path)) from error


def git_state(path: Path) -> GitState | None:
    """Return the commit that `path` lies in, and whether the file differs from it; None outside of Git.

    A file that Git does not track counts as dirty: the commit does not hold it. One that it ignores is
    outside: a home or a scratch directory may lie within a checkout by chance.
    """
    path = path.resolve()
    if shutil.which("git") is None:
        return None
    top = _git(path.parent, "rev-parse", "--show-toplevel")
    commit = _git(path.parent, "rev-parse", "--verify", "HEAD")
    if top is None or commit is None:
        return None
    changed = _git(path.parent, "status", "--porcelain", "--ignored", "--", path.name)
    if changed is not None and changed.startswith("!!"):
        return None
    inside = path.relative_to(Path(top).resolve()).as_posix()
    return GitState(commit=commit, dirty=changed is None or changed != "", path=inside)


def _git(directory: Path, *arguments: str) -> str | None:
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(directory), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
