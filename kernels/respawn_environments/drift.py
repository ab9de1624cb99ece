"""What is installed against the lock: packages and files that are missing, other, or beside it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from respawn_environments.errors import EnvironmentFailed
from respawn_environments.lockfile import LockedPackage, read_lock
from respawn_environments.own_wheel import DISTRIBUTION
from respawn_kernels.host import installed as inspection
from respawn_kernels.host.installed import InstalledPackage, InstalledPackages, installed_packages

SEEDS = frozenset({"pip", "setuptools", "wheel"})
"""What `python -m venv` puts into each environment; no lock names it."""
_SECONDS = 600.0


class DriftKind(StrEnum):
    """In which way an environment is not as its lock."""

    MISSING = "missing"
    VERSION = "version"
    BESIDE = "beside"
    """Installed, or lying there, and not in the lock."""
    CHANGED = "changed"
    """A file is not as its package's RECORD says, or the RECORD is another one."""
    ORIGIN = "origin"
    """Installed from a directory, a file or an address that the lock does not name."""
    UNCHECKED = "unchecked"
    """There is no RECORD, so nobody can tell."""
    PATH = "path"
    """A place on the import path beside the environment."""


@dataclass(frozen=True)
class Drift:
    """One difference between an environment and its lock."""

    kind: DriftKind
    subject: str
    """The package, or the path of what belongs to none."""
    message: str


def drift(
    lock: Path,
    found: InstalledPackages | None = None,
    *,
    own_version: str | None = None,
    records: Mapping[str, str] | None = None,
) -> list[Drift]:
    """Return in what an interpreter is unlike a lock; an empty list when it is as the lock says.

    Args:
        lock: the lock file.
        found: what the interpreter finds; None for this one, as it is now.
        own_version: the version that Respawn's own wheel must have; None for any.
        records: SHA-256 of each package's RECORD when the environment was built, where that was kept.

    Raises:
        InvalidEnvironment: the lock is not one.
        OSError: it cannot be read.
    """
    here = found if found is not None else installed_packages()
    wanted = {one.name: one for one in read_lock(lock) if one.applies(here.markers)}
    packages = {one.name: one for one in here.packages}
    return [
        *_missing(wanted, packages, own_version),
        *(one for package in here.packages for one in _of(package, wanted, own_version, records or {})),
        *(_unowned(path) for path in here.unowned),
        *(
            Drift(DriftKind.PATH, path, f"{path} is on the import path beside the environment")
            for path in here.paths
        ),
    ]


def installed_in(python: Path) -> InstalledPackages:
    """Return what another interpreter finds, by starting it; it need not have Respawn.

    Raises EnvironmentFailed when it cannot be started, or says nothing that can be read.
    """
    command = [str(python), "-I", "-X", "utf8", str(inspection.__file__)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True)
        answer = json.loads(done.stdout)
        return InstalledPackages(
            **{**answer, "packages": [InstalledPackage(**one) for one in answer["packages"]]}
        )
    except subprocess.CalledProcessError as error:
        last = str(error.stderr).strip().splitlines()[-1:]
        raise EnvironmentFailed(f"{python} cannot tell what is installed: {' '.join(last)}") from error
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise EnvironmentFailed(f"{python} cannot tell what is installed: {error}") from error


def _missing(
    wanted: Mapping[str, LockedPackage], packages: Mapping[str, InstalledPackage], own_version: str | None
) -> Iterator[Drift]:
    for name, package in sorted(wanted.items()):
        if name not in packages:
            message = f"{name} {package.version} is in the lock and not installed"
            yield Drift(DriftKind.MISSING, name, message)
    if own_version is not None and DISTRIBUTION not in packages:
        yield Drift(DriftKind.MISSING, DISTRIBUTION, f"{DISTRIBUTION} {own_version} is not installed")


def _of(
    package: InstalledPackage,
    wanted: Mapping[str, LockedPackage],
    own_version: str | None,
    records: Mapping[str, str],
) -> Iterator[Drift]:
    """Yield what is wrong with one installed package."""
    name = package.name
    pinned = own_version if name == DISTRIBUTION else wanted[name].version if name in wanted else None
    named = name in wanted and wanted[name].requirement.url is not None
    if package.editable or (package.origin is not None and name not in SEEDS and not named):
        how = "is used from" if package.editable else "was installed from"
        yield Drift(
            DriftKind.ORIGIN,
            name,
            f"{name} {package.version} {how} {package.origin}, which the lock does not pin",
        )
    elif name not in wanted and name not in SEEDS and name != DISTRIBUTION:
        yield Drift(DriftKind.BESIDE, name, f"{name} {package.version} is installed and not in the lock")
    elif pinned is not None and not _is_pin(package.version, pinned):
        yield Drift(DriftKind.VERSION, name, f"{name} is {package.version}, and the lock has {pinned}")
    elif name in SEEDS:
        return
    elif package.record is None:
        yield Drift(DriftKind.UNCHECKED, name, f"{name} has no RECORD: its files cannot be checked")
    elif name in records and package.record != records[name]:
        message = f"{name}: its RECORD is not the one that it was built with"
        yield Drift(DriftKind.CHANGED, name, message)
    for place in package.changed:
        what = "has other bytes than its RECORD says" if Path(place).exists() else "is gone"
        yield Drift(DriftKind.CHANGED, name, f"{name}: {place} {what}")


def _is_pin(version: str, pinned: str) -> bool:
    """Whether an installed version is the pinned one; a pin without a local part has any, as for pip."""
    return version == pinned or version.partition("+")[0] == pinned or "://" in pinned


def _unowned(path: str) -> Drift:
    return Drift(DriftKind.BESIDE, path, f"{path} belongs to no package")
