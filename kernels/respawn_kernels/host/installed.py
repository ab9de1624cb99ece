"""What is installed for an interpreter, read from its RECORD files, and which files are not as they say.

It uses the standard library alone: a check of another environment starts this file with that environment's
Python, which need not have Respawn. It reads files and imports none of them. Limit: a file that was changed
with its RECORD is found only by who kept the digest of the RECORD.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import platform
import re
import site
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path

_CHUNK = 1 << 20
_MAX_NAMED = 20
"""Files that are named of one package, and files that belong to none."""
_ALGORITHMS = ("sha256", "sha384", "sha512")


@dataclass(frozen=True)
class InstalledPackage:
    """A distribution, as its metadata and the files of its RECORD tell."""

    name: str
    """Normalized: lower case, with `-` between its parts."""
    version: str
    origin: str | None = None
    """The directory, file or address that it was installed from; None where it came from an index."""
    editable: bool = False
    record: str | None = None
    """SHA-256 of the RECORD file; None where there is none, so that no file can be checked."""
    changed: list[str] = field(default_factory=list)
    """Files that are gone, or have other bytes than the RECORD says; at most 20."""


@dataclass(frozen=True)
class InstalledPackages:
    """What an interpreter finds on its import path."""

    packages: list[InstalledPackage]
    unowned: list[str]
    """Files beside the packages that no RECORD names; at most 20."""
    paths: list[str]
    """Places on the import path that belong neither to this interpreter nor to the present directory."""
    markers: dict[str, str]
    """The environment in which markers of requirements are evaluated."""


def normalized(name: str) -> str:
    """Return the one form of a distribution's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed_packages(*, files: bool = True) -> InstalledPackages:
    """Return what this interpreter finds, by name.

    Args:
        files: read all files and compare them with the RECORD; else only versions are told.
    """
    found: dict[str, InstalledPackage] = {}
    owned: set[str] = set()
    for distribution in metadata.distributions():
        name = normalized(distribution.metadata["Name"] or "")
        rows = _rows(distribution)
        owned.update(place for place, _, _ in rows)
        if name and name not in found:  # a later one on the path is hidden by it
            found[name] = _package(name, distribution, rows if files else [])
    unowned = list(_unowned(owned)) if files else []
    packages = [found[name] for name in sorted(found)]
    return InstalledPackages(packages, unowned, _foreign_paths(), marker_environment())


def marker_environment() -> dict[str, str]:
    """Return what PEP 508 lets markers ask of an interpreter."""
    version = sys.implementation.version
    implementation = f"{version.major}.{version.minor}.{version.micro}"
    if version.releaselevel != "final":
        implementation += version.releaselevel[0] + str(version.serial)
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": implementation,
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "sys_platform": sys.platform,
    }


def _rows(distribution: metadata.Distribution) -> list[tuple[str, str, str]]:
    """Return place, algorithm and digest of each file of the RECORD; no digest where it gives none."""
    # Not `distribution.files`: from Python 3.12 on it leaves out what is gone, which is what is looked for.
    rows = []
    for row in csv.reader((distribution.read_text("RECORD") or "").splitlines()):
        if row:
            algorithm, _, digest = (row[1] if len(row) > 1 else "").partition("=")
            rows.append((os.path.normpath(str(distribution.locate_file(row[0]))), algorithm, digest))
    return rows


def _package(
    name: str, distribution: metadata.Distribution, rows: list[tuple[str, str, str]]
) -> InstalledPackage:
    record = distribution.read_text("RECORD")
    origin, editable = origin_of(distribution)
    changed = [place for place, algorithm, digest in rows if digest and not _is_as(place, algorithm, digest)]
    return InstalledPackage(
        name=name,
        version=distribution.version,
        origin=origin,
        editable=editable,
        record=hashlib.sha256(record.encode()).hexdigest() if record is not None else None,
        changed=changed[:_MAX_NAMED],
    )


def origin_of(distribution: metadata.Distribution) -> tuple[str | None, bool]:
    """Return where a distribution came from, if not from an index, and whether it is used from there.

    Both are in its direct_url.json (PEP 610).
    """
    try:
        direct = json.loads(distribution.read_text("direct_url.json") or "{}")
    except ValueError:
        return None, False
    address = str(direct.get("url") or "").removeprefix("file://")
    vcs = direct.get("vcs_info") or {}
    if vcs:
        address = f"{vcs.get('vcs')}+{address}@{vcs.get('commit_id')}"
    return address or None, bool((direct.get("dir_info") or {}).get("editable"))


def _is_as(place: str, algorithm: str, digest: str) -> bool:
    if algorithm not in _ALGORITHMS:
        return True  # an older RECORD: nothing that could be relied on
    hasher = hashlib.new(algorithm)
    try:
        with Path(place).open("rb") as file:
            while chunk := file.read(_CHUNK):
                hasher.update(chunk)
    except OSError:
        return False
    return base64.urlsafe_b64encode(hasher.digest()).rstrip(b"=").decode() == digest.rstrip("=")


def _unowned(owned: set[str]) -> Iterator[str]:
    """Yield the first files of the installation's packages that belong to none of them."""
    count = 0
    for place in dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib")):
        for directory, below, names in os.walk(place):
            below[:] = sorted(name for name in below if name != "__pycache__")
            for name in sorted(names):
                path = os.path.normpath(Path(directory, name))
                if path in owned or name.endswith(".pyc") or _is_metadata(Path(directory).name):
                    continue
                count += 1
                if count > _MAX_NAMED:
                    return
                yield path


def _is_metadata(directory: str) -> bool:
    """Whether a directory tells of a package: its files are not imported, and installers add to them."""
    return directory.endswith((".dist-info", ".egg-info"))


def _foreign_paths() -> list[str]:
    here = os.path.realpath(Path.cwd())
    library, installed = _standard_library(), _installed()
    found = []
    for entry in sys.path:
        real = os.path.realpath(entry or here)
        below = any(real == root or real.startswith(root + os.sep) for root in installed)
        if real != here and real not in library and not below:
            found.append(entry)
    return [entry for entry in dict.fromkeys(found) if Path(entry).exists()]


def _standard_library() -> set[str]:
    """Return the places of the standard library: not all that lies below the same prefix, such as /usr."""
    bases = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
    places = [Path(sysconfig.get_path(kind, vars=bases)) for kind in ("stdlib", "platstdlib")]
    archive = f"python{sys.version_info[0]}{sys.version_info[1]}.zip"
    found = [one for place in places for one in (place, place / "lib-dynload", place.parent / archive)]
    return {os.path.realpath(one) for one in found}


def _installed() -> set[str]:
    """Return the places of packages; a distribution's own ones only for its interpreter itself."""
    places = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    if sys.prefix == sys.base_prefix:
        places.update(site.getsitepackages())
    return {os.path.realpath(place) for place in places}


if __name__ == "__main__":
    json.dump(asdict(installed_packages()), sys.stdout)
