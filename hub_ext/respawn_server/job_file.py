"""The file that a job was promoted from, at this server: found, read, and replaced whole or not at all.

A fix is written to the file itself and not through the contents manager, which reads a notebook into its own
form and writes over the file in place. So a server whose contents are no files of its machine is refused.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_core.paths import is_hidden
from jupyter_server.services.contents.filemanager import FileContentsManager

from respawn_jobs.errors import Conflict, InvalidInput
from respawn_kernels.digest import digest_of


@dataclass(frozen=True)
class JobFile:
    """A notebook's file as it was when it was read."""

    file: Path
    path: str
    """Below the root of the server."""
    text: str

    @property
    def digest(self) -> str:
        """What tells whether the file is still as it was."""
        return digest_of(self.text.encode())


def find(contents: Any, source: str) -> JobFile:
    """Return the file that `Saved.source` names, read.

    Args:
        contents: The server's contents manager.
        source: As the version that was made from the file keeps it.

    Raises:
        InvalidInput: A fix cannot be written to it; the message goes on from the file's name.
    """
    file, inside = _below_root(contents, source)
    try:
        held = os.lstat(file)
    except FileNotFoundError as error:
        raise InvalidInput("is no longer there") from error
    except OSError as error:
        raise InvalidInput(f"cannot be looked at: {error.strerror}") from error
    if stat.S_ISLNK(held.st_mode) or file.resolve() != file.parent.resolve() / file.name:
        raise InvalidInput("is a link, and what it leads to may be anything")
    if not stat.S_ISREG(held.st_mode):
        raise InvalidInput("is not a file")
    if not contents.allow_hidden and is_hidden(str(file), str(file)[: -len(inside)]):
        raise InvalidInput("is hidden, and this Jupyter server leaves hidden files alone")
    check_writable(file, held)
    try:
        return JobFile(file, inside, file.read_bytes().decode())
    except UnicodeDecodeError as error:
        raise InvalidInput("is not a notebook: it is not UTF-8 text") from error
    except OSError as error:
        raise InvalidInput(f"cannot be read: {error.strerror}") from error


def _below_root(contents: Any, source: str) -> tuple[Path, str]:
    """Return the file and its path below the server's root; no directory on the way may be a link."""
    if not isinstance(contents, FileContentsManager):
        raise InvalidInput(
            "cannot be written: the notebooks of this Jupyter server are no files of its machine "
            f"({type(contents).__name__} keeps them)"
        )
    file = Path(source)
    if not file.is_absolute() or "\0" in source or ".." in file.parts:
        raise InvalidInput("is no plain path of a file")
    top = Path(contents.root_dir)
    root = next((root for root in (top, top.resolve()) if file.is_relative_to(root)), None)
    if root is None:
        raise InvalidInput("is not below the root of this Jupyter server")
    inside = file.relative_to(root)
    if (root / inside.parent).resolve() != root.resolve() / inside.parent:
        raise InvalidInput("is behind a link, which may lead anywhere")
    return file, inside.as_posix()


def check_writable(file: Path, held: os.stat_result) -> None:
    """Raise InvalidInput for a file that is read-only, or that only its owner may replace as it is."""
    if not held.st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) or not os.access(file, os.W_OK):
        raise InvalidInput("is read-only")
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise InvalidInput("is in a directory that is read-only")
    if held.st_uid != os.geteuid() and os.geteuid() != 0:
        raise InvalidInput("belongs to another account")


def replace(seen: JobFile, text: str) -> None:
    """Write a file anew, whole or not at all, with its owner, mode and attributes, when it is still as seen.

    Raises:
        Conflict: The file is not as it was seen, or cannot be written. Nothing was changed.
    """
    file = seen.file
    beside = file.with_name(f".{file.name[:200]}.{secrets.token_hex(4)}")
    try:
        held = os.lstat(file)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
            written.write(text.encode())
            written.flush()
            os.fsync(written.fileno())
        os.chown(beside, held.st_uid, held.st_gid)
        shutil.copystat(file, beside, follow_symlinks=False)
        os.utime(beside)
        # As late as can be: an editor may have saved the file since it was read.
        if not stat.S_ISREG(os.lstat(file).st_mode) or file.read_bytes() != seen.text.encode():
            raise Conflict(f"{seen.path} was changed meanwhile: look at the changes again", path=seen.path)
        beside.replace(file)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise Conflict(
            f"{seen.path} could not be written ({why}). Nothing was changed", path=seen.path
        ) from error
    finally:
        beside.unlink(missing_ok=True)
