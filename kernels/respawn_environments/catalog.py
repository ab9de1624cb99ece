"""The environments on this machine: which are whole, what was noted of each, and who needs them.

Below the root each lies in a directory `<name>-<first 12 digits of its hash>`. One counts only with its file
`.complete`, which is written last, so a build that was killed leaves nothing that counts. Another name with
the same hash shares it. Whoever builds or removes one holds its lock (flock(2)) meanwhile; the system lets go
of it when the last process that has it ends. Limit: on network file systems flock must be supported.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from respawn_environments import kernelspec_contents
from respawn_environments.errors import EnvironmentMissing
from respawn_environments.programs import Progress
from respawn_kernels.digest import write_whole

_COMPLETE, _KERNELSPECS, _KEPT, _USED, _LOCK, _LOCKS = (
    ".complete",
    ".kernelspecs",
    ".kernels",
    ".used",
    ".requirements.lock",
    ".locks",
)
_DIRECTORY = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}-([0-9a-f]{12})")
_HASH = re.compile(r"[0-9a-f]{6,64}")
ROOT = "RESPAWN_ENVIRONMENTS"
"""The variable that names where environments are built."""
SHORT = 12
"""Digits of the hash that name a directory, and that people are shown."""


class EnvironmentRecord(BaseModel):
    """What is noted of an environment when its build is finished."""

    model_config = ConfigDict(frozen=True)

    name: str
    """Under which it was built; other names may share it."""
    display_name: str
    hash: str
    lock: str
    """Hash of the lock alone."""
    own: str | None
    """Digest of Respawn's own code in it."""
    own_version: str | None
    python: str
    """All of the version, such as `3.13.1`."""
    built_at: datetime
    size: int
    """Bytes of its files; those that the installer links to its cache count too."""
    records: dict[str, str]
    """SHA-256 of each package's RECORD."""


@dataclass(frozen=True)
class BuiltEnvironment:
    """A whole environment."""

    directory: Path
    record: EnvironmentRecord

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.directory / "bin" / "python"

    @property
    def works(self) -> bool:
        """Whether its interpreter is still there: the Python that it was made from may have been removed."""
        return self.python.exists()

    @property
    def minor(self) -> str:
        """Its Python's minor version, such as `3.13`."""
        return ".".join(self.record.python.split(".")[:2])

    @property
    def lock(self) -> Path:
        """The lock that it was built from, kept with it."""
        return self.directory / _LOCK

    @property
    def system_packages(self) -> dict[str, str]:
        """Programs that must be on PATH, each with the package of Debian that has it."""
        spec = kept_kernelspec(self.directory, f"respawn-{self.record.name}") or {}
        return dict(kernelspec_contents.ours(spec.get("metadata")).get("system_packages") or {})

    @property
    def last_used(self) -> datetime | None:
        """When a kernel was last started in it; None when none was since it is noted."""
        try:
            return datetime.fromtimestamp((self.directory / _USED).stat().st_mtime, UTC)
        except FileNotFoundError:
            return None

    @property
    def kernelspecs(self) -> list[Path]:
        """The directories of the kernelspecs that start it, in whichever prefix they lie."""
        try:
            noted = (self.directory / _KERNELSPECS).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [
            path for path in map(Path, dict.fromkeys(noted)) if hash_of_kernelspec(path) == self.record.hash
        ]


def environments_root(environ: Mapping[str, str]) -> Path:
    """Return where environments are built: `RESPAWN_ENVIRONMENTS`, else `environments` in `RESPAWN_DATA`.

    Args:
        environ: the variables of the process.
    """
    if given := environ.get(ROOT):
        return Path(given).expanduser().absolute()
    if data := environ.get("RESPAWN_DATA"):
        return Path(data).expanduser().absolute() / "environments"
    from platformdirs import user_data_dir

    return Path(user_data_dir("respawn", appauthor=False)) / "environments"


def environments(root: Path, *, also_broken: bool = False) -> list[BuiltEnvironment]:
    """Return the whole environments below a root, by name, then the newest first.

    Args:
        root: where they live.
        also_broken: whether those count whose interpreter is gone.
    """
    every = (read_record(directory) for directory in directories(root))
    found = [one for one in every if one is not None and (also_broken or one.works)]
    return sorted(found, key=lambda one: (one.record.name, -one.record.built_at.timestamp()))


def directories(root: Path) -> list[Path]:
    """Return the directories below a root that are environments by their names, whole ones or not."""
    with suppress(OSError):
        return sorted(path for path in root.iterdir() if _DIRECTORY.fullmatch(path.name) and path.is_dir())
    return []


def read(directory: Path) -> BuiltEnvironment | None:
    """Return the environment in a directory; None unless it is whole and its interpreter is still there.

    A venv breaks when the Python it was made from is removed: its `bin/python` then leads nowhere.
    """
    found = read_record(directory)
    return found if found is not None and found.works else None


def read_record(directory: Path) -> BuiltEnvironment | None:
    """Return the environment whose build in a directory was finished, though it may not work; else None."""
    try:
        record = EnvironmentRecord.model_validate_json((directory / _COMPLETE).read_bytes())
    except (OSError, ValidationError):
        return None
    return BuiltEnvironment(directory, record)


def with_hash(root: Path, digest: str) -> BuiltEnvironment | None:
    """Return the environment that a version of a job pins, by its hash; None when it is not here."""
    return next(
        (one for one in map(read, _named_by(root, digest)) if one and one.record.hash == digest), None
    )


def place_for(root: Path, name: str, digest: str) -> Path:
    """Return the directory of an environment that is to be built: an incomplete one is built in its place.

    Args:
        root: where environments live.
        name: the environment's name.
        digest: its hash.
    """
    return next(iter(_named_by(root, digest)), root / f"{name}-{digest[:SHORT]}")


def find(root: Path, wanted: str, *, also_broken: bool = False) -> list[BuiltEnvironment]:
    """Return the environments of a name, the newest first, or the one that some digits of its hash name.

    Args:
        root: where environments live.
        wanted: the name, or six or more digits of a hash.
        also_broken: whether those count whose interpreter is gone.

    Raises:
        EnvironmentMissing: there is none; the message names those that are there.
    """
    every = environments(root, also_broken=also_broken)
    found = [one for one in every if one.record.name == wanted]
    if not found and _HASH.fullmatch(wanted):
        found = [one for one in every if one.record.hash.startswith(wanted)]
    if not found:
        known = ", ".join(one.directory.name for one in every) or "none"
        raise EnvironmentMissing(f"no environment {wanted!r} is in {root} (there: {known})")
    return found


def complete(directory: Path, record: EnvironmentRecord, lock: bytes) -> None:
    """Note that an environment is whole: from then on it counts.

    Args:
        directory: where it is.
        record: what is noted of it.
        lock: the bytes of its lock, which are kept with it.
    """
    write_whole(directory / _LOCK, lock)
    write_whole(directory / _COMPLETE, record.model_dump_json(indent=1).encode())
    for name in (_LOCK, _COMPLETE):
        (directory / name).chmod(0o644)


def was_complete(directory: Path) -> bool:
    """Whether a build of an environment was finished, also when it does not count now."""
    return (directory / _COMPLETE).exists()


def invalidate(directory: Path) -> None:
    """Let an environment count no more, before its files are removed."""
    (directory / _COMPLETE).unlink(missing_ok=True)


def note_kernelspec(directory: Path, kernelspec: Path) -> None:
    """Note that a kernelspec starts an environment; call it with the environment's lock held.

    Limit: who may not write into a shared root installs kernelspecs that nobody notes.
    """
    if not os.access(directory, os.W_OK):
        return
    path = directory / _KERNELSPECS
    known = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    if str(kernelspec) not in known:
        write_whole(path, "\n".join([*known, str(kernelspec)]).encode())
        path.chmod(0o644)


def keep_kernelspec(directory: Path, kernel: str, spec: bytes) -> None:
    """Keep a kernelspec with the environment that it starts: its own one may start a newer one later.

    Limit: as for `note_kernelspec`.

    Args:
        directory: the environment.
        kernel: the kernel's name.
        spec: the bytes of its kernel.json.
    """
    if not os.access(directory, os.W_OK):
        return
    (directory / _KEPT).mkdir(exist_ok=True)
    path = directory / _KEPT / f"{kernel}.json"
    write_whole(path, spec)
    path.chmod(0o644)


def kept_kernelspec(directory: Path, kernel: str) -> dict[str, Any] | None:
    """Return the kernelspec that was kept with an environment; None where there is none."""
    return kernelspec_contents.read_file(directory / _KEPT / f"{kernel}.json") or None


def directory_of(argv: Sequence[str]) -> Path | None:
    """Return the environment whose interpreter a kernel's command starts; None for any other program.

    Args:
        argv: the command, as its kernelspec has it.
    """
    directory = Path(argv[0]).parent.parent if argv else None
    return directory if directory is not None and was_complete(directory) else None


def mark_used(directory: Path) -> None:
    """Note that a kernel is started in an environment; whoever starts it may be unable to write there."""
    with suppress(OSError):
        (directory / _USED).touch()


def hash_of_kernelspec(directory: Path) -> str | None:
    """Return the hash of the environment that a kernelspec of ours starts; None for any other."""
    return kernelspec_contents.lock_of(kernelspec_contents.read(directory).get("metadata"))


def interpreter_of_kernelspec(directory: Path) -> Path | None:
    """Return the program that a kernelspec starts; None when it cannot be read."""
    return kernelspec_contents.interpreter_of(kernelspec_contents.read(directory))


@contextmanager
def alone(root: Path, digest: str, progress: Progress | None = None) -> Iterator[int]:
    """Let one process at a time build or remove an environment; gives the descriptor that holds the lock.

    Args:
        root: where environments live.
        digest: the environment's hash, or the 12 digits of it that its directory's name has.
        progress: told when another process has the lock, before waiting for it. None to raise instead.

    Raises:
        BlockingIOError: another process has it, and `progress` is None.
    """
    (root / _LOCKS).mkdir(parents=True, exist_ok=True)
    descriptor = _lock_file(root / _LOCKS / digest[:SHORT])
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if progress is None:
                raise
            progress("another process builds or removes this environment: waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _lock_file(path: Path) -> int:
    """Open the file that is locked; another account's, which may be read alone, can be locked as well."""
    try:
        return os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
    except PermissionError:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def digits_of(directory: Path) -> str:
    """Return the digits of the hash in the name of a directory. Raises ValueError for one of another kind."""
    found = _DIRECTORY.fullmatch(directory.name)
    if found is None:
        raise ValueError(f"{directory.name} is not named as an environment is")
    return found[1]


def _named_by(root: Path, digest: str) -> list[Path]:
    return [path for path in directories(root) if digits_of(path) == digest[:SHORT]]
