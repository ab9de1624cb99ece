"""Packages that are published without wheels: their source fetched by its hash, and built by pinned tools.

Only those that environment.toml names under `from-source`, for to build one is to run its code. The tools are
in the lock beside all else, and so in the environment: its own pip builds, and makes no build environment
that would fetch newer ones. No cache is asked for the wheel: one may lie there that other tools have made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from packaging.utils import parse_wheel_filename

from respawn_environments.installing.virtual_environment import PIP_QUIET, install, pip
from respawn_environments.lockfile import LockedPackage
from respawn_environments.programs import Progress

_AS_PINNED = ("--no-build-isolation", "--use-pep517")
"""The tools of the environment itself, by the one interface that all of them have."""


def write_entries(packages: Iterable[LockedPackage], path: Path) -> Path:
    """Write packages as a lock without comments, and return its path. Raises OSError when that fails."""
    path.write_text("".join(f"{package.entry}\n" for package in packages), encoding="utf-8")
    return path


def fetch(
    environment: Path, entries: Path, target: Path, progress: Progress, keep: Sequence[int] = ()
) -> None:
    """Download the source distributions that a file of locked packages names, by their hashes.

    pip asks each for its metadata, so it runs the package's code by the tools of the environment.

    Args:
        environment: a virtual environment with the rest of the lock.
        entries: the packages, as a lock.
        target: the directory to put them into.
        progress: called with notable lines.
        keep: descriptors that pip holds for as long as it lives.

    Raises:
        EnvironmentFailed: one cannot be had, or its hash is another, or a tool is missing.
    """
    hashed = ["--require-hashes", "--dest", str(target), "-r", str(entries)]
    command = ["download", "--quiet", *PIP_QUIET, "--no-binary", ":all:", *_AS_PINNED, *hashed]
    pip(environment, command, "download of source distributions", progress, keep)


def install_from_source(
    environment: Path,
    packages: Sequence[LockedPackage],
    scratch: Path,
    progress: Progress,
    keep: Sequence[int] = (),
) -> None:
    """Build packages from their source distributions, and install them.

    Args:
        environment: a virtual environment with the rest of the lock, the tools among it.
        packages: what the lock pins.
        scratch: an empty directory for what is made on the way.
        progress: called with a line of text for each step.
        keep: descriptors that the programs hold for as long as they live.

    Raises:
        EnvironmentFailed: one cannot be had, its hash is another, or its build failed.
        OSError: the directory cannot be written.
    """
    sources, wheels = scratch / "sources", scratch / "wheels"
    for place in (sources, wheels):
        place.mkdir(parents=True)
    progress(f"building {', '.join(package.name for package in packages)} from source")
    fetch(environment, write_entries(packages, scratch / "sources.lock"), sources, progress, keep)
    for source in sorted(sources.iterdir()):
        local = ["--no-index", "--no-cache-dir", "--wheel-dir", str(wheels), str(source)]
        command = ["wheel", "--quiet", *PIP_QUIET, *_AS_PINNED, *local]
        pip(environment, command, f"wheel of {source.name}", progress, keep)
    # By name, not by path: an installer would note the path, and the next build would be another one.
    named = [parse_wheel_filename(wheel.name)[:2] for wheel in sorted(wheels.iterdir())]
    wanted = [f"{name}=={version}" for name, version in named]
    if wanted:  # an entry's marker may leave it out on this Python
        found = ["--no-index", "--find-links", str(wheels), "--no-cache-dir", *wanted]
        install(environment, found, f"install {' '.join(wanted)}", progress, keep)
