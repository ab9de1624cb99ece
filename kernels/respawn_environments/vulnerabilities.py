"""Known vulnerabilities of what a lock pins, by pip-audit where it is installed and its data can be had."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from respawn_environments.lockfile import read_lock
from respawn_kernels.counting import how_many

_SECONDS = 300.0
_MAX_NAMED = 5


@dataclass(frozen=True)
class Vulnerability:
    """A known vulnerability of a package at the version that is pinned."""

    package: str
    version: str
    id: str
    """Such as `PYSEC-2024-1`."""
    fixed_in: tuple[str, ...]
    """The versions that have it no more; none where there is no such version yet."""


@dataclass(frozen=True)
class Audit:
    """What an audit found, or why there was none."""

    found: tuple[Vulnerability, ...]
    not_checked: str | None
    """Why nothing was looked up; None when it was."""


def audit(lock: Path, markers: Mapping[str, str]) -> Audit:
    """Look up what a lock pins for an environment: what could not be looked up is told as not checked.

    Args:
        lock: the lock file.
        markers: the values of PEP 508's markers in the environment; pip-audit would take its own Python's,
            and name versions that are not installed.

    Raises:
        InvalidEnvironment: the lock is not one.
        OSError: it cannot be read.
    """
    packages = [one for one in read_lock(lock) if one.applies(markers)]
    command = _pip_audit()
    if command is None:
        why = f"pip-audit is not installed ({sys.executable} -m pip install pip-audit)"
        return Audit((), why)
    with tempfile.TemporaryDirectory(prefix="respawn-audit-") as scratch:
        wanted, output = Path(scratch) / "requirements.txt", Path(scratch) / "audit.json"
        wanted.write_text("".join(f"{one.without_marker.entry}\n" for one in packages), encoding="utf-8")
        options = ["--requirement", str(wanted), "--require-hashes", "--disable-pip", "--format", "json"]
        last = _run([*command, *options, "--progress-spinner", "off", "--output", str(output)])
        try:
            # Its status is 1 both for what it found and for what it could not do.
            answers = json.loads(output.read_bytes())["dependencies"]
        except (OSError, ValueError, KeyError, TypeError):
            return Audit((), f"pip-audit failed: {last}")
    unknown = [str(one["name"]) for one in answers if "skip_reason" in one]
    found = tuple(one for package in answers for one in _of(package))
    why = f"pip-audit finds nothing on {len(unknown)} of {how_many(len(answers), 'package')}"
    named = ", ".join(unknown[:_MAX_NAMED]) + (", …" if len(unknown) > _MAX_NAMED else "")
    return Audit(found, f"{why} where it looks ({named})" if unknown else None)


def _run(command: list[str]) -> str:
    """Run pip-audit, and return the last line that it says for people."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return (done.stderr.strip().splitlines() or ["it said nothing"])[-1]


def _of(package: dict[str, Any]) -> list[Vulnerability]:
    return [
        Vulnerability(package["name"], package["version"], one["id"], tuple(one.get("fix_versions") or ()))
        for one in package.get("vulns", [])
    ]


def _pip_audit() -> list[str] | None:
    beside = Path(sys.executable).with_name("pip-audit")
    program = shutil.which("pip-audit") or (str(beside) if os.access(beside, os.X_OK) else None)
    if program is not None:
        return [program]
    return [sys.executable, "-m", "pip_audit"] if importlib.util.find_spec("pip_audit") is not None else None
