"""The Python interpreters of this machine that an environment can be made from.

Searched on PATH (`python3`, `python3.12` …) and among pyenv's versions. Each is started to find out what it
is: a pyenv shim may lead to no interpreter, and Debian's may lack what makes environments.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from respawn_environments.errors import NoInterpreter as NoInterpreter

OLDEST, NEWEST = (3, 11), (3, 13)
"""The Pythons that Respawn is tested with. A newer one is used only when it is named."""

_COMMAND = re.compile(r"python3(?:\.(\d+))?")
_VERSION = re.compile(r"3\.(\d+)\.\d+")
_SECONDS = 20.0
_ASK = """
import glob, json, os, sys, sysconfig
import ensurepip, venv
final = sys.version_info.releaselevel == "final" and not sysconfig.get_config_var("Py_GIL_DISABLED")
path = getattr(sys, "_base_executable", "") or sys.executable
usable = final and sys.implementation.name == "cpython"
bundled = os.path.join(os.path.dirname(ensurepip.__file__), "_bundled")
wheels = [sysconfig.get_config_var("WHEEL_PKG_DIR"), bundled]
wheels = [place for place in wheels if place and glob.glob(os.path.join(place, "pip-*.whl"))]
print(json.dumps([path, list(sys.version_info[:3]), usable, *wheels[:1]]))
"""


@dataclass(frozen=True)
class Interpreter:
    """A CPython that makes virtual environments."""

    path: Path
    """Its program; for that of a virtual environment, the one that it was made from."""
    version: tuple[int, int, int]
    pip_wheels: Path | None = None
    """The directory of the pip that it comes with; None where it is not known."""

    @property
    def minor(self) -> str:
        """Its version as `3.13`."""
        return f"{self.version[0]}.{self.version[1]}"


def find_interpreters() -> list[Interpreter]:
    """Return the interpreters from `OLDEST` to `NEWEST`, the newest first, one for each minor version."""
    best: dict[str, Interpreter] = {}
    for program in dict.fromkeys(_programs()):
        found = _asked(program)
        if found is None or not OLDEST <= found.version[:2] <= NEWEST:
            continue
        if found.minor not in best or found.version > best[found.minor].version:
            best[found.minor] = found
    return sorted(best.values(), key=lambda one: one.version, reverse=True)


def interpreter(wanted: str) -> Interpreter:
    """Return the interpreter that a person named.

    Args:
        wanted: a version such as `3.13`, a command on PATH, or a path.

    Raises:
        NoInterpreter: there is none, or it cannot make environments.
    """
    if re.fullmatch(r"3\.\d+", wanted):
        for one in find_interpreters():
            if one.minor == wanted:
                return one
    program = shutil.which(f"python{wanted}" if re.fullmatch(r"[\d.]+", wanted) else wanted)
    found = _asked(Path(program)) if program is not None else None
    if found is None:
        known = ", ".join(one.minor for one in find_interpreters()) or "none"
        raise NoInterpreter(
            f"no Python {wanted!r} that can make environments: install it with its venv module, "
            f"or name another (found: {known})"
        )
    return found


def _programs() -> Iterator[Path]:
    """Yield programs that may be interpreters from `OLDEST` to `NEWEST`, this process's own first."""
    yield Path(getattr(sys, "_base_executable", "") or sys.executable).resolve()
    directories = [Path(part) for part in os.environ.get("PATH", "").split(os.pathsep) if part]
    shims = [directory for directory in directories if (directory.parent / "versions").is_dir()]
    for directory in directories:
        # A shim starts one of pyenv's versions, slowly and only where it is switched on: see below.
        for command in _listed(directory) if directory not in shims else ():
            if _may_do(_COMMAND, command.name):
                yield command.resolve()
    roots = [Path(os.environ["PYENV_ROOT"])] if os.environ.get("PYENV_ROOT") else []
    for root in (*roots, *(directory.parent for directory in shims), Path.home() / ".pyenv"):
        for version in _listed(root / "versions"):
            if _may_do(_VERSION, version.name):
                yield (version / "bin" / "python3").resolve()


def _may_do(pattern: re.Pattern[str], name: str) -> bool:
    """Return whether a name is that of an interpreter, and names no version that is out of range."""
    matched = pattern.fullmatch(name)
    minor = int(matched[1]) if matched is not None and matched[1] else None
    return matched is not None and (minor is None or OLDEST[1] <= minor <= NEWEST[1])


def _listed(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:  # PATH names what is not there, or what we may not read
        return []


def _asked(program: Path) -> Interpreter | None:
    """Return what a program says it is; None for what is no interpreter that can make environments."""
    if not os.access(program, os.X_OK):
        return None
    try:
        done = subprocess.run(
            [str(program), "-I", "-c", _ASK], capture_output=True, text=True, timeout=_SECONDS, check=True
        )
        path, version, usable, *wheels = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    if not usable:
        return None
    return Interpreter(Path(path), (version[0], version[1], version[2]), *map(Path, wheels))
