"""Carried files as one archive: what is stored of a version, and what is laid out of it."""

from __future__ import annotations

import io
import os
import shutil
import stat
import zipfile
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path, PurePosixPath

from respawn_jobs.api.carried_files import MAX_BYTES, MAX_FILE_BYTES, MAX_FILES, NewFile
from respawn_jobs.errors import Corrupt, InvalidInput
from respawn_jobs.model.jobs import CarriedFile
from respawn_kernels.counting import how_many
from respawn_kernels.digest import digest_of, write_whole
from respawn_kernels.sizes import how_large

_MAX_PATH, _MAX_NAME = 1000, 255
_CACHE = "__pycache__"
_PLAIN, _EXECUTABLE = 0o644, 0o755


def packed(files: Iterable[NewFile]) -> tuple[list[CarriedFile], bytes | None]:
    """Return what is stored of files: what they are, by path, and the archive of their bytes.

    The same files give the same archive, whenever they were changed.

    Args:
        files: the files, in any order.

    Returns:
        The list, and the archive; None for no files.

    Raises:
        InvalidInput: a path is none below a directory, or there is twice or too much of something; the
            message names it.
    """
    given = sorted(files, key=lambda one: one.path)
    check_paths([one.path for one in given])
    buffer, total, found = io.BytesIO(), 0, list[CarriedFile]()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in given:
            data = one.data()
            total += len(data)
            _check_size(one.path, len(data), total)
            archive.writestr(_entry(one.path), data)
            found.append(
                CarriedFile(
                    path=one.path,
                    digest=digest_of(data),
                    size=len(data),
                    modified=one.modified,
                    executable=one.executable,
                )
            )
    return found, buffer.getvalue() if found else None


def check_paths(paths: Collection[str]) -> None:
    """Raise `InvalidInput`, naming the path, where one cannot be a file below a directory."""
    if len(paths) > MAX_FILES:
        raise InvalidInput(
            f"a job can carry {how_many(MAX_FILES, 'file')} beside its notebook, and got {len(paths):,}"
        )
    seen: set[str] = set()
    for path in paths:
        parts = path.split("/")
        if not path or len(path) > _MAX_PATH or any(_is_no_name(part) for part in parts):
            raise InvalidInput(
                f"{path[:200]!r} is no path of a file that a job can carry: name it from the notebook's "
                "directory, such as lib/helpers.py, without .. and links",
                path=path[:200],
            )
        if path in seen:
            raise InvalidInput(f"{path} is given twice among the files that the job carries", path=path)
        seen.add(path)
    for path in paths:
        above = next((str(one) for one in PurePosixPath(path).parents if str(one) in seen), None)
        if above is not None:
            raise InvalidInput(f"{above} cannot be a file and the directory of {path} at once", path=path)


def lay_out(
    archive: bytes | None, files: Sequence[CarriedFile], directory: Path, only: Collection[str] | None = None
) -> None:
    """Write carried files into a directory, each whole and with the time at which it was changed.

    A file that Python had compiled is compiled anew: the new one may be as long and as old as the one before.

    Args:
        archive: what `packed` gave; None for no files.
        files: what the version says that it holds.
        directory: where they are written; what lies there under their paths is replaced.
        only: paths of those that are wanted; None for all.

    Raises:
        Corrupt: the archive is not what the version says.
        InvalidInput: the version names a path that leads out of the directory.
        OSError: they cannot be written.
    """
    check_paths([one.path for one in files])
    wanted = [one for one in files if only is None or one.path in only]
    if not wanted:
        return
    with _opened(archive) as opened:
        for one in wanted:
            data = _bytes_of(opened, one)
            path = directory.joinpath(*one.path.split("/"))
            _make_room(path, directory)
            write_whole(path, data, durable=False)
            path.chmod(_EXECUTABLE if one.executable else _PLAIN)
            os.utime(path, ns=(one.modified * 1000, one.modified * 1000))
            if path.suffix == ".py":
                for compiled in (path.parent / _CACHE).glob(f"{path.stem}.*.pyc"):
                    compiled.unlink(missing_ok=True)


def content_of(archive: bytes | None, file: CarriedFile) -> bytes:
    """Return the bytes of one carried file. Raises `Corrupt` where the archive does not hold them.

    Args:
        archive: what `packed` gave.
        file: which file.
    """
    with _opened(archive) as opened:
        return _bytes_of(opened, file)


def read_file(path: Path, name: str) -> NewFile:
    """Return a file of a directory as one that a version is to carry.

    Args:
        path: the file.
        name: its path below the notebook's directory.

    Raises:
        InvalidInput: it cannot be read, or is larger than one file may be.
    """
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InvalidInput(f"{name} cannot be read: {error.strerror}", path=name) from error
    _check_size(name, max(len(data), found.st_size), 0)
    executable = bool(found.st_mode & stat.S_IXUSR)
    return NewFile.of(name, data, modified=found.st_mtime_ns // 1000, executable=executable)


def _check_size(path: str, size: int, total: int) -> None:
    if size > MAX_FILE_BYTES:
        raise InvalidInput(
            f"{path} has {how_large(size)}: a job carries files of {how_large(MAX_FILE_BYTES)} at most. Keep "
            "it where its runs can read it, and name that place in the notebook",
            path=path,
        )
    if total > MAX_BYTES:
        raise InvalidInput(
            f"the files that the job is to carry have more than {how_large(MAX_BYTES)}, up to {path}: leave "
            "some out (--without of the command)",
            path=path,
        )


def _is_no_name(part: str) -> bool:
    return (
        part in ("", ".", "..")
        or len(part.encode(errors="replace")) > _MAX_NAME
        or not part.isprintable()
        or "\\" in part
    )


def _entry(path: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _opened(archive: bytes | None) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(archive or b""))
    except zipfile.BadZipFile as error:
        raise Corrupt(f"the archive of the version's files cannot be read: {error}") from error


def _bytes_of(archive: zipfile.ZipFile, file: CarriedFile) -> bytes:
    try:
        with archive.open(file.path) as opened:
            data = opened.read(file.size + 1)  # never more than the version says, whatever the archive does
    except (KeyError, OSError, zipfile.BadZipFile) as error:
        raise Corrupt(f"{file.path} cannot be read from the version's files: {error}") from error
    if digest_of(data) != file.digest:
        raise Corrupt(f"{file.path} among the version's files is not what was promoted")
    return data


def _make_room(path: Path, directory: Path) -> None:
    """Make the directories of a file. What a run left in its way is removed: a file, a link, a directory."""
    for above in reversed([one for one in path.parents if one.is_relative_to(directory)]):
        if above != directory and (above.is_symlink() or above.is_file()):
            above.unlink()
        above.mkdir(exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
