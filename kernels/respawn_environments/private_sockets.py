"""A directory for the sockets of one kernel: private, of a short name, on a disk of this machine.

ZeroMQ's `ipc` transport is a socket in the file system: nobody else on the machine can reach it, where each
account can connect to a TCP port, and no other process can bind what was chosen for it. Two limits: the path
of a socket has at most 107 bytes (unix(7)), and one that lies on a network file system is heard by no other
machine, which some of them do not even let be made.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MAX_BYTES = 100
"""What the path of a socket may have at most: under the system's limit, and under that of macOS."""
_PREFIX = "respawn-kernel-"
_NAME = "s"
_CONNECTION_FILE = "connection.json"
_LOCAL = frozenset(
    ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "jfs", "tmpfs", "ramfs", "overlay")
)
"""File systems of one machine. One that is not known may be a network's."""
_OCTAL = re.compile(rb"\\([0-3][0-7]{2})")
"""How white space and backslashes stand in the names of mounts: proc(5)."""
_ABANDONED_SECONDS = 600.0
"""How old a directory is before it is asked whether anybody listens in it: a kernel may come up slowly."""


class NoPlace(OSError):
    """There is no directory for sockets on this machine; the message says why."""


def make_directory() -> Path:
    """Make a directory for the sockets of one kernel, which is the caller's to remove.

    Raises:
        NoPlace: No directory for temporary files is near enough.
    """
    for parent in _parents():
        if len(os.fsencode(_base(parent / f"{_PREFIX}12345678"))) + len("-12345") >= MAX_BYTES:
            continue
        if file_system(parent) not in _LOCAL:
            continue
        with suppress(OSError):
            return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))  # with mode 0700
    raise NoPlace("no directory for temporary files has a short path on a disk of this machine")


def make_again(directory: Path) -> None:
    """Make a kernel's directory again where somebody has removed it: its clients know the place.

    Raises:
        OSError: It cannot be made.
        PermissionError: What is there now is not private to this account.
    """
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    about = directory.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or about.st_mode & 0o077:
        raise PermissionError(f"{directory} is not private any more: somebody has made it anew")


def hold(directory: Path) -> int:
    """Keep a directory from being removed as an abandoned one; also systemd-tmpfiles respects the lock.

    Returns:
        A descriptor that holds the lock until it is closed, or its process ends.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with suppress(OSError):  # a file system without locks: what listens there is asked all the same
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return descriptor


def address(directory: Path) -> str:
    """Return what stands in place of an IP address in the connection file: sockets add `-` and a number."""
    return _base(directory)


def connection_file(directory: Path) -> Path:
    """Return where a kernel's connection file lies, unless somebody has chosen another place.

    It has the kernel's key. Beside the sockets it goes with them, also when nobody was left to remove it.
    """
    return directory / _CONNECTION_FILE


def is_connection_file(path: str) -> bool:
    """Return whether a connection file lies where `connection_file` says, for some directory."""
    file = Path(path)
    return file.name == _CONNECTION_FILE and file.parent.name.startswith(_PREFIX)


def was_made_here(ip: str) -> bool:
    """Return whether an address was once made here."""
    path = Path(ip)
    return path.name == _NAME and path.parent.name.startswith(_PREFIX)


def remove(directory: Path) -> None:
    """Remove a kernel's directory; nothing happens when it is gone."""
    shutil.rmtree(directory, ignore_errors=True)


def remove_abandoned() -> None:
    """Remove the directories of kernels that ended with their server or runner, when those were killed."""
    for parent in _parents():
        for directory in parent.glob(f"{_PREFIX}*"):
            with suppress(OSError):
                if _is_abandoned(directory):
                    remove(directory)


def file_system(path: Path) -> str:
    """Return the kind of the file system on which a directory lies; an empty text where nobody knows."""
    found, kind = b"", b""
    real = os.fsencode(os.path.realpath(path))
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().split(b"\n")
    except OSError:
        return ""
    for line in filter(None, lines):
        before, _, after = line.partition(b" - ")
        point = _OCTAL.sub(lambda octal: bytes([int(octal[1], 8)]), before.split(b" ")[4])
        inside = real == point or real.startswith(point.rstrip(b"/") + b"/")
        if inside and len(point) >= len(found):  # a later mount hides an earlier one: proc(5)
            found, kind = point, after.split(b" ")[0]
    return os.fsdecode(kind)


def _parents() -> Iterator[Path]:
    seen = dict.fromkeys([tempfile.gettempdir(), "/tmp", os.environ.get("XDG_RUNTIME_DIR", ""), "/dev/shm"])  # noqa: S108  each directory in it is made anew, with mode 0700
    yield from (Path(one) for one in seen if one and Path(one).is_dir())


def _base(directory: Path) -> str:
    return str(directory / _NAME)


def _is_abandoned(directory: Path) -> bool:
    """Return whether a directory is ours, old, and nobody holds it or listens in it.

    Raises OSError when it is gone.
    """
    about = directory.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid():
        return False
    if time.time() - about.st_mtime < _ABANDONED_SECONDS:
        return False
    return not _is_held(directory) and not any(_is_heard(path) for path in directory.iterdir())


def _is_held(directory: Path) -> bool:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_heard(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
        end.settimeout(1.0)
        try:
            end.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True
