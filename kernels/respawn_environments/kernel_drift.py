"""A kernel's packages against the lock of its build: asked before its notebook becomes a job.

A job runs in the build; what a notebook found beside it would be missing there. A running kernel is asked
itself, for a changed import path is seen there alone. Where it cannot be asked, the build's directory is
compared.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from respawn_environments import catalog
from respawn_environments.catalog import SHORT, BuiltEnvironment
from respawn_environments.drift import Drift, DriftKind, drift, installed_in
from respawn_environments.errors import EnvironmentFailed
from respawn_environments.kernelspec_contents import interpreter_of, lock_of
from respawn_environments.pins import kernel_of
from respawn_kernels.host.installed import InstalledPackage, InstalledPackages

ASK = """(lambda load: load('json').dumps([
    load('sys').prefix,
    load('dataclasses').asdict(load('respawn_kernels.host.installed').installed_packages()),
]))(__import__('importlib').import_module)"""
"""Evaluated in a running kernel: its prefix, and what it finds, as JSON."""
PROPOSE = "__import__('importlib').import_module('respawn').freeze().text"
"""Evaluated in a running kernel: the environment.toml that it would be."""
_SECONDS = 120.0


@dataclass(frozen=True)
class RunningKernel:
    """What a running kernel said of itself."""

    prefix: Path
    found: InstalledPackages

    @classmethod
    def read(cls, answer: Any) -> RunningKernel:
        """Read the answer to `ASK`. Raises ValueError when it is none."""
        try:
            prefix, found = answer
            packages = [InstalledPackage(**one) for one in found["packages"]]
            return cls(Path(prefix), InstalledPackages(**{**found, "packages": packages}))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("the kernel said something else than what is installed") from error


def build_of(spec: Mapping[str, Any]) -> BuiltEnvironment | None:
    """Return the build that a kernelspec starts; None where it is not made from a lock, or not here.

    Args:
        spec: the contents of its kernel.json.
    """
    interpreter, lock = interpreter_of(spec), lock_of(spec.get("metadata"))
    built = catalog.read(interpreter.parent.parent) if interpreter is not None else None
    return built if built is not None and built.record.hash == lock else None


def drift_of_kernel(
    spec: Mapping[str, Any], running: RunningKernel | None = None, *, chosen: str | None = None
) -> list[Drift]:
    """Return in what a kernel is unlike the lock of its build; nothing where a job would have no build.

    Args:
        spec: the contents of the kernel.json that a job would use.
        running: what the notebook's kernel said of itself; None to compare the build's directory.
        chosen: the kernel's name in the notebook, which may be that of one pinned build.

    Raises:
        EnvironmentFailed: the build's interpreter cannot be started.
        InvalidEnvironment: the lock that was kept with the build is not one.
        OSError: that lock cannot be read.
    """
    built = build_of(spec)
    if built is None:
        return []
    found = running.found if running is not None else installed_in(built.python)
    other = []
    if running is not None and running.prefix.resolve() != built.directory.resolve():
        before = catalog.read(running.prefix)
        where = (
            f"in build {before.record.hash[:SHORT]}" if before else f"in {running.prefix}, which is no build"
        )
        # A name that is pinned to a build starts that one again and again.
        again = before is not None and (chosen is None or kernel_of(chosen) == chosen)
        shown = spec.get("display_name") or built.record.display_name
        message = (
            f"the notebook's kernel runs {where}, and the job would pin {built.record.hash[:SHORT]}: "
            f"{'restart the kernel' if again else f'choose the kernel {shown!r} in its place'}"
        )
        other.append(Drift(DriftKind.VERSION, built.record.name, message))
        if before is None:
            return other  # what it has says nothing of the build
        built = before
    record = built.record
    return [*other, *drift(built.lock, found, own_version=record.own_version, records=record.records)]


def proposal(python: Path) -> str:
    """Return what `respawn.freeze()` says in an environment. Raises EnvironmentFailed where it cannot.

    Args:
        python: the environment's interpreter.
    """
    command = [str(python), "-I", "-X", "utf8", "-c", "import respawn; print(respawn.freeze().text, end='')"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise EnvironmentFailed(f"{python} cannot propose an environment: {error}") from error
    return done.stdout
