"""What an image is built from, put into one directory: locks, their packages, Respawn and the Containerfile.

Everything is downloaded here, by this machine's pip with its index, proxy and certificates. So the build
itself needs no network, and holds no credentials of an index.
"""

from __future__ import annotations

import json
import platform
import shutil
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.markers import default_environment

from respawn_environments.definition import DEFINITION, LOCK, EnvironmentSource
from respawn_environments.errors import EnvironmentFailed, EnvironmentMissing, NoInterpreter
from respawn_environments.installing.source_distributions import fetch, write_entries
from respawn_environments.installing.virtual_environment import PIP_QUIET, WHEELS_ONLY, install, make_venv
from respawn_environments.interpreters import find_interpreters
from respawn_environments.lockfile import LockedPackage, read_lock
from respawn_environments.own_wheel import DISTRIBUTION
from respawn_environments.programs import Progress, run
from respawn_environments.shipped import shipped
from respawn_environments.shown.icons import ICON

CONTAINERFILE, SERVER_LOCK = "Containerfile", "server.lock"
_GLIBC = {"3.11": 36, "3.12": 36, "3.13": 41}
"""The newest C library, as 2.N, that a package may be built for: that of the Debian with the Python."""
_OLDEST_GLIBC = 5
_NEWEST_PATCH = 99


def write_context(
    directory: Path, source: EnvironmentSource, minor: str, wheel: Path | None, progress: Progress
) -> None:
    """Fill a directory with all that an image is built from.

    Args:
        directory: an empty directory.
        source: the environment.
        minor: the Python of the image.
        wheel: Respawn's own wheel; None to make or download that of the code that runs now.
        progress: called with a line of text for each step.

    Raises:
        EnvironmentFailed: a download failed, or its hash is not that of the lock.
        EnvironmentMissing: the wheel is not there.
        NoInterpreter: something is built from source, and no Python here can ask it what it is.
        OSError: a file cannot be read or written.
    """
    shutil.copyfile(shipped() / CONTAINERFILE, directory / CONTAINERFILE)
    shutil.copyfile(shipped() / SERVER_LOCK, directory / SERVER_LOCK)
    place = directory / "images" / source.name
    place.mkdir(parents=True)
    for name in (DEFINITION, LOCK, *([ICON] if (source.directory / ICON).exists() else [])):
        shutil.copyfile(source.directory / name, place / name)
    (directory / "respawn").mkdir()
    _add_respawn(directory / "respawn", wheel, progress)
    for lock in (place / LOCK, directory / SERVER_LOCK):
        _download(lock, directory / "wheels", minor, progress)
    built = [package for package in read_lock(place / LOCK) if package.from_source]
    if built:
        _download_sources(source, built, directory / "wheels", progress)


def _add_respawn(directory: Path, wheel: Path | None, progress: Progress) -> None:
    if wheel is not None:
        if not wheel.is_file():
            raise EnvironmentMissing(f"{wheel} is missing: it was named as the wheel of Respawn")
        shutil.copyfile(wheel, directory / wheel.name)
        return
    checkout = _checkout()
    if checkout is not None:
        progress(f"making the wheel of Respawn from {checkout}")
        made = ["wheel", *PIP_QUIET, "--wheel-dir", str(directory), str(checkout)]
        run([sys.executable, "-m", "pip", *made], "pip wheel of Respawn", progress)
        return
    exact = f"{DISTRIBUTION}=={metadata.version(DISTRIBUTION)}"
    progress(f"downloading {exact}")
    fetched = ["download", *PIP_QUIET, *WHEELS_ONLY, "--dest", str(directory), exact]
    run([sys.executable, "-m", "pip", *fetched], f"pip download {exact}", progress)


def _checkout() -> Path | None:
    """Return the checkout that Respawn runs from; None for a release."""
    text = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    noted = json.loads(text) if text else {}
    if "dir_info" not in noted:
        return None
    return Path(unquote(urlsplit(noted["url"]).path))


def _download(lock: Path, wheels: Path, minor: str, progress: Progress) -> None:
    """Download what a lock names for the Python and the processor of the image."""
    progress(f"downloading the packages of {lock.name} for Python {minor}")
    # pip would take 3.13 for 3.13.0, and pass over what asks for 3.13.1. The build in the image looks again.
    python = ["--implementation", "cp", "--python-version", minor, "--ignore-requires-python"]
    platforms = [word for tag in platform_tags(minor) for word in ("--platform", tag)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", *PIP_QUIET, *WHEELS_ONLY]
    wanted = lock.with_name(f"{lock.name}.wanted")
    for entries in download_rounds(lock, minor):
        wanted.write_text("\n".join(entries) + "\n")
        hashed = ["--require-hashes", "--dest", str(wheels), "-r", str(wanted)]
        try:
            run([*command, *python, *platforms, *hashed], f"pip download of {lock.name}", progress)
        except EnvironmentFailed as error:
            raise EnvironmentFailed(
                f"the packages of {lock.name} cannot be downloaded for Python {minor} (a package without a "
                f"wheel for it cannot be in an image). {error}"
            ) from error
    wanted.unlink(missing_ok=True)


def _download_sources(
    source: EnvironmentSource, built: list[LockedPackage], target: Path, progress: Progress
) -> None:
    """Download source distributions by the tools of the lock: pip runs their code to ask what they are."""
    found = [one for one in find_interpreters() if source.definition.allows(one.minor)]
    if not found:
        raise NoInterpreter(
            f"{', '.join(one.name for one in built)} of {source.lock} is built from source: fetching that "
            f"takes a Python that environment.toml allows ({source.definition.python}): install one with its "
            "venv module"
        )
    progress(f"downloading what is built from source: {', '.join(one.name for one in built)}")
    with tempfile.TemporaryDirectory(prefix="respawn-sources-") as scratch:
        environment = Path(scratch) / "environment"
        make_venv(found[0], environment, progress)
        wheels = [one for one in read_lock(source.lock) if not one.from_source]
        entries = write_entries(wheels, Path(scratch) / "wheels.lock")
        wanted = ["--require-hashes", *WHEELS_ONLY, "-r", str(entries)]
        install(environment, wanted, f"install -r {source.lock}", progress)
        fetch(environment, write_entries(built, Path(scratch) / "sources.lock"), target, progress)


def download_rounds(lock: Path, minor: str) -> list[list[str]]:
    """Return the wheels of a lock that an image may need: entries without markers, for one call of pip each.

    pip evaluates markers for the Python that it runs on, whatever it downloads for, and takes one version of
    a package at a time. Which patch release the image has is not known: what any of them needs is taken.

    Raises:
        InvalidEnvironment: the lock is not one.
        OSError: it cannot be read.
    """
    linux = {"os_name": "posix", "sys_platform": "linux", "platform_system": "Linux"}
    cpython = {"implementation_name": "cpython", "platform_python_implementation": "CPython"}
    here = {name: str(value) for name, value in default_environment().items()}
    base = {**here, **linux, **cpython, "python_version": minor, "extra": ""}
    possible = [{**base, "python_full_version": f"{minor}.{patch}"} for patch in (0, _NEWEST_PATCH)]
    rounds: list[dict[str, str]] = []
    for package in read_lock(lock):
        if package.from_source or not any(package.applies(markers) for markers in possible):
            continue
        place = next((one for one in rounds if package.name not in one), None)
        if place is None:
            rounds.append(place := {})
        place[package.name] = package.without_marker.entry
    return [list(one.values()) for one in rounds]


def platform_tags(minor: str) -> list[str]:
    """Return the platforms whose wheels run in the image of a Python, the newest first."""
    machine = platform.machine()
    newest = _GLIBC.get(minor, _GLIBC["3.11"])
    return [f"manylinux_2_{number}_{machine}" for number in range(newest, _OLDEST_GLIBC - 1, -1)] + [
        f"manylinux2014_{machine}",
        f"linux_{machine}",
    ]
