"""A base of our own for images: a small Debian, made by debootstrap where no registry is to be had.

So that the same packages give the same archive, times are set, and what the installation leaves of its own
run (logs, caches, ids) is removed. Limit: Debian's mirrors move on; a mirror of one moment
(snapshot.debian.org) gives the same packages later.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from respawn_environments.containers.builders import ImageBuilder, ImagePlan
from respawn_environments.errors import EnvironmentFailed
from respawn_environments.programs import Progress, run

SUITES = {"3.11": "bookworm", "3.13": "trixie"}
"""Debian's release by the Python that it has."""
_PACKAGES = "python3,python3-venv,ca-certificates,tzdata"
_LEFT = (
    "debootstrap",
    "etc/machine-id",
    "etc/hostname",
    "etc/resolv.conf",
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/cache/debconf",
    "var/cache/ldconfig/aux-cache",
    "var/lib/apt/lists",
    "var/lib/dbus/machine-id",
    "var/log",
)
"""Traces of the installation, and what no kernel reads."""
_KEPT = ("var/cache/apt/archives/partial", "var/lib/apt/lists/partial", "var/log/apt")
"""Directories that apt wants to find again."""
_CONTAINERFILE = 'FROM scratch\nADD rootfs.tar /\nCMD ["python3"]\n'


def base_tag(minor: str, packages: Iterable[str] = ()) -> str:
    """Return the name of our base for a Python and more packages of Debian.

    Raises EnvironmentFailed when Debian has no such Python.
    """
    if minor not in SUITES:
        raise EnvironmentFailed(
            f"no Debian release has Python {minor} (there: {', '.join(SUITES)}): name a base that has it, "
            f"by digest, such as --base docker.io/library/python:{minor}-slim@sha256:…"
        )
    return f"localhost/respawn-debian:{'-'.join([SUITES[minor], *sorted(set(packages))]).replace('+', '_')}"


def make_base(
    builder: ImageBuilder,
    minor: str,
    packages: Collection[str] = (),
    *,
    epoch: int,
    mirror: str | None,
    progress: Progress,
) -> str:
    """Return our base for a Python, made unless this machine has it.

    Args:
        builder: the program that makes images.
        minor: the Python's minor version.
        packages: more packages of Debian.
        epoch: the time that all files are given.
        mirror: the mirror of Debian to take packages from; None for debootstrap's own.
        progress: called with a line of text for each step.

    Raises:
        EnvironmentFailed: debootstrap is not here, may not run or failed.
        OSError: there is no room for it.
    """
    tag = base_tag(minor, packages)
    if builder.has(tag):
        return tag
    program = shutil.which("debootstrap")
    or_name = "or name a base by digest (--base)"
    if program is None:
        raise EnvironmentFailed(
            f"the base {tag} is made by debootstrap, which is not on PATH: install it "
            f"(Debian: apt-get install debootstrap), {or_name}"
        )
    if os.geteuid() != 0:
        raise EnvironmentFailed(
            f"the base {tag} is made by debootstrap, which only root may run: build as root, {or_name}"
        )
    with tempfile.TemporaryDirectory(prefix="respawn-base-") as scratch:
        root, context = Path(scratch) / "rootfs", Path(scratch) / "context"
        context.mkdir()
        progress(f"making the base {tag} of Debian's packages")
        wanted = [
            "--variant=minbase",
            f"--include={','.join([_PACKAGES, *sorted(set(packages))])}",
            SUITES[minor],
            str(root),
        ]
        # It mounts /proc in the tree: in a namespace of its own, where its end takes the mounts along.
        command = ["unshare", "--mount", program, *wanted, *([mirror] if mirror else [])]
        run(command, "debootstrap", progress, variables={"SOURCE_DATE_EPOCH": str(epoch)})
        _clean(root)
        _write_archive(root, context / "rootfs.tar", epoch)
        (context / "Containerfile").write_text(_CONTAINERFILE)
        builder.build(ImagePlan(context, tag), epoch, progress)
    return tag


def _clean(root: Path) -> None:
    for name in _LEFT:
        path = root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for name in _KEPT:
        (root / name).mkdir(parents=True, exist_ok=True)
    for path in [*root.rglob("__pycache__")]:  # has the times of this run in it
        shutil.rmtree(path)
    for path in [*(root / "etc").glob("*-"), *(root / "var/cache/debconf").glob("*-old")]:
        path.unlink()


def _write_archive(root: Path, archive: Path, epoch: int) -> None:
    """Write a tree in the order of its names, with one time for all; devices are the container's own."""

    def settled(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if entry.isdev():
            return None
        entry.mtime = epoch
        entry.uname = entry.gname = ""
        return entry

    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as written:
        for path in _in_order(root):
            written.add(path, str(path.relative_to(root)), recursive=False, filter=settled)


def _in_order(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _in_order(path)
