"""Environments of one small wheel that is made here, so that nothing is fetched."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

import pytest

from respawn_environments.build import KernelEnvironment, create
from respawn_environments.definition import EnvironmentSource
from respawn_environments.lockfile import header


def wheel(directory: Path, tag: str = "py3", *, name: str = "tiny_thing", version: str = "1.0") -> Path:
    """Write a wheel with one module, in which `value` is 3."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}-{version}-{tag}-none-any.whl"
    about = f"{name}-{version}.dist-info"
    dashed = name.replace("_", "-")
    files = {
        f"{name}.py": "value = 3\n",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {dashed}\nVersion: {version}\n",
        f"{about}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}-none-any\n",
    }
    rows = [
        f"{place},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip('=')},{len(text)}"
        for place, text in files.items()
    ]
    with zipfile.ZipFile(path, "w") as archive:
        for place, text in files.items():
            archive.writestr(place, text)
        archive.writestr(f"{about}/RECORD", "\n".join([*rows, f"{about}/RECORD,,"]) + "\n")
    return path


def offline(monkeypatch: pytest.MonkeyPatch, wheels: Path) -> None:
    """Let uv and pip find the wheels of a directory, and nothing else."""
    for program in ("UV", "PIP"):
        monkeypatch.setenv(f"{program}_FIND_LINKS", str(wheels))
        monkeypatch.setenv(f"{program}_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")


def pin(path: Path) -> str:
    """Return the entry of a lock for a wheel."""
    name, version = path.name.split("-")[:2]
    return (
        f"{name.replace('_', '-')}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"
    )


def source(
    directory: Path, *, python: str = ">=3.11", requirements: str = '["tiny-thing"]'
) -> EnvironmentSource:
    """Write an environment.toml, and return it read."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "environment.toml").write_text(f'python = "{python}"\nrequirements = {requirements}\n')
    return EnvironmentSource.read(directory)


def locked(directory: Path, *wheels: Path, python: str = ">=3.11") -> EnvironmentSource:
    """Write an environment.toml and a lock that pins some wheels."""
    written = source(directory, python=python)
    written.lock.write_text(header(written.name, written.definition.digest) + "".join(map(pin, wheels)))
    return written


def build(
    source: EnvironmentSource, tmp_path: Path, steps: list[str] | None = None, python: str | None = None
) -> KernelEnvironment:
    """Build an environment without Respawn below `tmp_path`."""
    progress = (steps if steps is not None else []).append
    return create(
        source, root=tmp_path / "envs", prefix=tmp_path / "prefix", python=python, progress=progress
    )
