"""Environments that are there by their files alone: nothing is installed in them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from respawn_environments import catalog
from respawn_environments.catalog import BuiltEnvironment, EnvironmentRecord

BUILT = datetime(2026, 3, 1, tzinfo=UTC)


def played(root: Path, name: str, digit: str, built_at: datetime = BUILT) -> BuiltEnvironment:
    """Make an environment whose hash consists of one digit."""
    directory = root / f"{name}-{digit * 12}"
    (directory / "bin").mkdir(parents=True)
    (directory / "bin" / "python").touch()
    record = EnvironmentRecord(
        name=name,
        display_name=f"{name.title()} (Respawn)",
        hash=digit * 64,
        lock="0" * 64,
        own=None,
        own_version=None,
        python="3.13.1",
        built_at=built_at,
        size=1000,
        records={},
    )
    catalog.complete(directory, record, b"")
    return BuiltEnvironment(directory, record)


def kernelspec(prefix: Path, name: str, environment: BuiltEnvironment) -> Path:
    """Install a kernelspec that starts an environment."""
    directory = prefix / "share" / "jupyter" / "kernels" / f"respawn-{name}"
    directory.mkdir(parents=True, exist_ok=True)
    ours = {"environment": name, "lock": environment.record.hash}
    spec = {
        "argv": [str(environment.python)],
        "display_name": name,
        "language": "python",
        "metadata": {"respawn": ours},
    }
    (directory / "kernel.json").write_text(json.dumps(spec))
    catalog.note_kernelspec(environment.directory, directory)
    return directory
