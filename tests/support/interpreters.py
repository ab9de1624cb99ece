"""Environments of the other Pythons of this machine, for tests that must hold on each.

    python tests/support/interpreters.py      makes them, under .respawn/pythons (`make pythons`)

Of the Pythons that Respawn is tested with the oldest and the newest are taken, less the one that runs the
tests. Each environment has what `.venv` has, from the same lock, and Respawn installed from this directory.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from respawn_environments.interpreters import NEWEST, OLDEST, Interpreter, find_interpreters

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".respawn" / "pythons"
_LOCK = ROOT / "requirements-dev.lock"


def python_versions() -> list[str]:
    """Return the Pythons that tests run on, beginning with the present one, such as `["3.11", "3.13"]`."""
    own = sys.version_info[:2]
    return [f"{major}.{minor}" for major, minor in dict.fromkeys([own, OLDEST, NEWEST])]


def _slow(version: str) -> Any:
    return pytest.param(version, marks=pytest.mark.slow)


def _stamps() -> tuple[str, str]:
    """Return the names of the files that say what an environment was made from: its packages, and Respawn."""
    return (
        f"packages-{_hash(_LOCK.read_bytes() + str(ROOT).encode())}",
        f"project-{_hash((ROOT / 'pyproject.toml').read_bytes())}",
    )


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def python_of(version: str) -> Path:
    """Return the program of the environment of a Python. Skips the test when there is none, saying why."""
    if version == python_versions()[0]:
        return Path(sys.executable)
    directory = PLACE / version
    if not _is_made(version):
        found = any(one.minor == version for one in find_interpreters())
        pytest.skip(
            f"`make pythons` makes it: {directory}" if found else f"no Python {version} on this machine"
        )
    return directory / "bin" / "python"


def _is_made(version: str) -> bool:
    """Whether the environment of a Python is there; that of the present one always is."""
    return version == python_versions()[0] or all((PLACE / version / stamp).exists() for stamp in _stamps())


def _newest_first() -> list[Any]:
    """Return the tested versions: first the newest whose environment is there, then all others as slow."""
    newest = max(filter(_is_made, python_versions()), key=lambda version: [*map(int, version.split("."))])
    return [newest, *(_slow(version) for version in python_versions() if version != newest)]


@pytest.fixture(params=_newest_first())
def newest_python(request: pytest.FixtureRequest) -> Path:
    """The Python program of an environment with Respawn in it, on each tested version in turn.

    A quick run takes only the newest one whose environment is there.
    """
    return python_of(request.param)


def make(version: str, base: Interpreter) -> None:
    """Make the environment of a Python, unless it is there. Raises `CalledProcessError` when uv fails."""
    directory = PLACE / version
    with _alone(directory):
        uv = [str(Path(sys.executable).with_name("uv")), "--quiet"]
        install = [*uv, "pip", "install", "--python", str(directory / "bin" / "python")]
        packages, project = (directory / stamp for stamp in _stamps())
        if not packages.exists():
            print(f"environment of Python {version} in {directory.relative_to(ROOT)}", flush=True)
            made = [*uv, "venv", "--clear", "--seed", "--python", str(base.path), str(directory)]
            subprocess.run(made, check=True)
            # Where PYTHONDONTWRITEBYTECODE is set, each process would compile what it imports.
            subprocess.run([*install, "--compile-bytecode", "-r", str(_LOCK)], check=True)
            # As `make packages` does: with it, each start of papermill compiles grammars for a second.
            subprocess.run(
                [*uv, "pip", "uninstall", "--python", install[-1], "rfc3987-syntax", "lark"], check=True
            )
            packages.touch()
        if not project.exists():
            ours = ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
            subprocess.run([*install, *ours], check=True)
            project.touch()


def main() -> int:
    """Make the environments of the Pythons that are here; the exit status is 0 also where there is none."""
    here = {one.minor: one for one in find_interpreters()}
    for version in python_versions()[1:]:
        if version not in here:
            print(f"no Python {version} on this machine: its tests are skipped", flush=True)
            continue
        try:
            make(version, here[version])
        except subprocess.CalledProcessError as error:
            print(f"the environment of Python {version} cannot be made: {error}", file=sys.stderr)
            return 1
    return 0


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Let one process at a time make an environment."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory.with_name(f"{directory.name}.lock"), os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
