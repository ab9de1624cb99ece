"""Respawn's own part of an environment: the code that kernels import, as a wheel named by its bytes.

It is made from the code that runs now, of a release and of a checkout alike. So an environment never changes
with a checkout, and its hash says which code it has. The wheel has no command and no entry points: those are
for servers.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from respawn_environments.errors import EnvironmentFailed
from respawn_environments.lockfile import LockedPackage

DISTRIBUTION = "jupyterhub-respawn"
PACKAGES = ("respawn", "respawn_environments", "respawn_kernels", "respawn_widgets")
"""What kernels import, and what the processes import that start kernels with the environment's Python."""
_LEFT_OUT = "images"
"""What a release has in `respawn_environments` and a checkout has not: the same code is the same wheel."""
_EXTRA = "kernels"
_MOMENT = (1980, 1, 1, 0, 0, 0)
"""The time of all files in the wheel, so that the same code makes the same bytes."""
_FILE = "jupyterhub_respawn"


def requirements() -> list[str]:
    """Return what Respawn's code needs in a kernel, as PEP 508 requirements.

    Raises EnvironmentFailed when Respawn is not installed, so that nothing says what it needs.
    """
    try:
        wanted = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError as error:
        raise EnvironmentFailed(
            f"{DISTRIBUTION} is not installed for this Python, so what it needs in kernels is not known: "
            "install it"
        ) from error
    return [_without_marker(one) for one in map(Requirement, wanted) if _belongs(one)]


def unmet(locked: list[LockedPackage]) -> list[str]:
    """Return those of `requirements` that a lock does not fulfil."""
    pins: dict[str, list[str]] = {}
    for package in locked:
        pins.setdefault(package.name, []).append(package.version)
    return [
        text
        for text in requirements()
        if not (versions := pins.get(Requirement(text).name.lower()))
        or not all(Requirement(text).specifier.contains(version, prereleases=True) for version in versions)
    ]


@dataclass(frozen=True)
class OwnWheel:
    """The wheel of the code that runs now."""

    files: tuple[tuple[str, bytes], ...]
    """Path in the wheel and bytes, sorted."""

    @classmethod
    def of_this_code(cls) -> OwnWheel:
        """Read the code. Raises EnvironmentFailed when a part of it is not there."""
        return cls(tuple(sorted(_files())))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the code and of what it needs, 64 hex digits."""
        hasher = hashlib.sha256()
        for name, data in (*self.files, ("", "\n".join(requirements()).encode())):
            hasher.update(f"{name}\0{len(data)}\0".encode() + data)
        return hasher.hexdigest()

    @property
    def version(self) -> str:
        """The version of Respawn, and after a `+` which code it is."""
        return f"{metadata.version(DISTRIBUTION)}+{self.digest[:12]}"

    def write(self, directory: Path) -> Path:
        """Write the wheel into a directory, and return its path. Raises OSError when it cannot be written."""
        path = directory / f"{_FILE}-{self.version}-py3-none-any.whl"
        about = f"{_FILE}-{self.version}.dist-info"
        needs = "".join(f"Requires-Dist: {text}\n" for text in requirements())
        described = f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: {self.version}\n{needs}"
        wheel = "Wheel-Version: 1.0\nGenerator: respawn\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        files = [*self.files, (f"{about}/METADATA", described.encode()), (f"{about}/WHEEL", wheel.encode())]
        rows = [f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in files]
        record = "".join([*rows, f"{about}/RECORD,,\n"])
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in (*files, (f"{about}/RECORD", record.encode())):
                entry = zipfile.ZipInfo(name, _MOMENT)
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
        return path


def _files() -> Iterator[tuple[str, bytes]]:
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise EnvironmentFailed(f"the package {package} is not installed here: install Respawn whole")
        root = Path(next(iter(spec.submodule_search_locations))).resolve()
        for path in root.rglob("*"):
            below = path.relative_to(root)
            if path.is_file() and not _is_left_out(below):
                yield f"{package}/{below.as_posix()}", path.read_bytes()


def _is_left_out(below: Path) -> bool:
    hidden = any(part.startswith(".") for part in below.parts)
    return hidden or below.suffix == ".pyc" or below.parts[0] == _LEFT_OUT


def _belongs(requirement: Requirement) -> bool:
    if requirement.marker is None:
        return True
    return not requirement.marker.evaluate({"extra": ""}) and requirement.marker.evaluate({"extra": _EXTRA})


def _without_marker(requirement: Requirement) -> str:
    requirement.marker = None
    return str(requirement)


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
