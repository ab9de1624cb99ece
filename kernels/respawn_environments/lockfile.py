"""A lock: pip requirements, each pinned to one version and to the hashes of its files.

What is in it: a comment that says what it was made of, then for each package `name==version`, maybe a marker,
and `--hash=…`. A line `--no-binary name` says that a package is built from source; all others are installed
from wheels. Comments do not count: two locks with the same requirements are the same lock.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from respawn_environments.errors import InvalidEnvironment

_HASH = re.compile(r"\s--hash=(\S+)")
WRITTEN = "environment.toml.in"
"""How the comments of a lock call what a person has written."""
_SOURCE = "--no-binary "
"""As pip and uv read it, too."""
_MADE_OF = re.compile(r"^# made of \S+ ([0-9a-f]{16})$", re.MULTILINE)


@dataclass(frozen=True)
class LockedPackage:
    """One entry of a lock."""

    requirement: Requirement
    hashes: tuple[str, ...]
    from_source: bool = False
    """Whether it is built from its source distribution, not installed from a wheel."""

    @property
    def name(self) -> str:
        """Its normalized name."""
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        """The version that it is pinned to; the address, for what is pinned to one."""
        pinned = next(iter(self.requirement.specifier), None)
        return pinned.version if pinned is not None else self.requirement.url or ""

    @property
    def entry(self) -> str:
        """It as one line of a lock."""
        return " ".join([str(self.requirement), *(f"--hash={one}" for one in self.hashes)])

    @property
    def without_marker(self) -> LockedPackage:
        """It for one Python and platform, to which it is known to apply."""
        requirement = Requirement(str(self.requirement))
        requirement.marker = None
        return replace(self, requirement=requirement)

    def applies(self, markers: Mapping[str, str]) -> bool:
        """Whether it belongs into an environment with these values of PEP 508's markers."""
        marker = self.requirement.marker
        return marker is None or marker.evaluate(dict(markers))


def lock_hash(path: Path) -> str:
    """Return the SHA-256 of a lock file's requirements, 64 hex digits; comments and blank lines do not count.

    Raises OSError when the file cannot be read.
    """
    lines = (line.partition(" #")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    requirements = [line for line in lines if line and not line.startswith("#")]
    return hashlib.sha256("\n".join(requirements).encode()).hexdigest()


def environment_hash(lock: Path, version: str, own: str | None = None) -> str:
    """Return the hash that names an environment, 64 hex digits.

    The same lock installs other builds for another Python, and what one has pickled the other may not load.
    With other code of Respawn a run is not the same run.

    Args:
        lock: the lock file.
        version: the Python's minor version, such as `3.13`.
        own: the digest of Respawn's own code in it; None where it has none.

    Raises:
        OSError: the lock cannot be read.
    """
    code = f" respawn {own}" if own is not None else ""
    return hashlib.sha256(f"{lock_hash(lock)} python {version}{code}".encode()).hexdigest()


def read_lock(path: Path) -> list[LockedPackage]:
    """Return the entries of a lock.

    Raises:
        InvalidEnvironment: an entry is not pinned, or has no hash; the message names it.
        OSError: it cannot be read.
    """
    packages = []
    built = _from_source(path)
    for entry in _entries(path):
        hashes = tuple(_HASH.findall(entry))
        text = _HASH.sub("", entry).strip()
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            raise InvalidEnvironment(
                f"{path} has {text!r}, which is no requirement: make the lock anew"
            ) from error
        pins = list(requirement.specifier)
        if requirement.url is None and (len(pins) != 1 or pins[0].operator not in ("==", "===")):
            raise InvalidEnvironment(f"{path} does not pin {text!r} to one version: make the lock anew")
        if not hashes:
            raise InvalidEnvironment(
                f"{path} has no hash for {text!r}: `respawn kernels lock` writes them, make it anew"
            )
        packages.append(LockedPackage(requirement, hashes, canonicalize_name(requirement.name) in built))
    return packages


def versions_in(path: Path) -> dict[str, str]:
    """Return the versions of a lock by package, also of one without hashes; none where there is no file.

    A package that is pinned to several, by markers, has them all in one text.
    """
    found: dict[str, list[str]] = {}
    if path.exists():
        for entry in _entries(path):
            name, _, rest = entry.partition("==")
            version = re.split(r"[\s;]", rest.strip(), maxsplit=1)[0]
            if version:
                found.setdefault(canonicalize_name(name.partition("[")[0].strip()), []).append(version)
    return {name: ", ".join(versions) for name, versions in found.items()}


def made_of(path: Path) -> str | None:
    """Return the digest of the environment.toml that a lock was made of; None where it does not say.

    Raises OSError when the lock cannot be read.
    """
    found = _MADE_OF.search(path.read_text(encoding="utf-8"))
    return found[1] if found else None


def asked_for(path: Path) -> set[str]:
    """Return the packages that the environment.toml itself asks for, by the comments that uv writes.

    Raises OSError when the lock cannot be read.
    """
    found: set[str] = set()
    name = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line[:1].isalnum():
            name = canonicalize_name(re.split(r"[=\[\s;@]", line, maxsplit=1)[0])
        elif line.lstrip().startswith("#") and line.endswith(f"-r {WRITTEN}"):
            found.add(name)
    return found


def header(name: str, digest: str, from_source: Iterable[str] = ()) -> str:
    """Return the top of a lock.

    Args:
        name: the environment's name.
        digest: that of its environment.toml.
        from_source: the normalized names of the packages that are built from source.
    """
    return (
        "# Made by `respawn kernels lock`; change environment.toml, then make it again.\n"
        f"# made of {name}/environment.toml {digest}\n"
        + "".join(f"{_SOURCE}{package}\n" for package in sorted(set(from_source)))
    )


def _from_source(path: Path) -> set[str]:
    return {
        canonicalize_name(line.removeprefix(_SOURCE).strip())
        for line in _lines(path)
        if line.startswith(_SOURCE)
    }


def _entries(path: Path) -> list[str]:
    """Return the entries of a lock without comments, each on one line."""
    return [line for line in _lines(path) if not line.startswith(_SOURCE)]


def _lines(path: Path) -> list[str]:
    lines = (line.partition(" #")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    text = "\n".join(line for line in lines if line and not line.startswith("#"))
    return [entry.strip() for entry in text.replace("\\\n", " ").splitlines()]
