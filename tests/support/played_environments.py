"""Environments that are there by their files alone: nothing is installed in them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from respawn_environments import catalog
from respawn_environments.catalog import BuiltEnvironment, EnvironmentRecord

BUILT = datetime(2026, 3, 1, tzinfo=UTC)


def played(
    root: Path, name: str, digit: str, built_at: datetime = BUILT, *, lock: str = "", size: int = 1000
) -> BuiltEnvironment:
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
        size=size,
        records={},
    )
    catalog.complete(directory, record, lock.encode())
    return BuiltEnvironment(directory, record)


def kernelspec(
    prefix: Path, name: str, environment: BuiltEnvironment, display_name: str = "", **asked: object
) -> Path:
    """Install a kernelspec that starts an environment, with what its environment.toml asked for."""
    directory = prefix / "share" / "jupyter" / "kernels" / f"respawn-{name}"
    directory.mkdir(parents=True, exist_ok=True)
    ours = {"environment": name, "lock": environment.record.hash, **asked}
    spec = {
        "argv": [str(environment.python)],
        "display_name": display_name or name,
        "language": "python",
        "metadata": {"respawn": ours},
    }
    (directory / "kernel.json").write_text(json.dumps(spec))
    catalog.note_kernelspec(environment.directory, directory)
    return directory


def lock_of(asked: dict[str, str], others: dict[str, str] | None = None) -> str:
    """Return a lock as uv writes it: with what was asked for, and what came along."""
    entries = []
    for packages, why in ((asked, "-r environment.toml.in"), (others or {}, "something")):
        for name, version in packages.items():
            entries.append(f"{name}=={version} \\\n    --hash=sha256:{'0' * 64}\n    # via {why}\n")
    return "".join(sorted(entries))
