"""Environments of one small wheel that is made here, so that nothing is fetched."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from respawn_environments.build import KernelEnvironment, create
from respawn_environments.definition import EnvironmentSource
from respawn_environments.lockfile import header

_BACKEND = """
import os, pathlib, zipfile
def build_wheel(directory, config_settings=None, metadata_directory=None):
    if os.environ.get("TINY_BUILT"):
        pathlib.Path(os.environ["TINY_BUILT"]).touch()
    name = "tiny_source-1.0-py3-none-any.whl"
    about = "tiny_source-1.0.dist-info"
    files = {
        "tiny_source.py": pathlib.Path("tiny_source.py").read_text(),
        f"{about}/METADATA": "Metadata-Version: 2.1\\nName: tiny-source\\nVersion: 1.0\\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    with zipfile.ZipFile(pathlib.Path(directory, name), "w") as archive:
        for place, text in files.items():
            archive.writestr(place, text)
        archive.writestr(f"{about}/RECORD", "".join(f"{place},,\\n" for place in files))
    return name
"""
"""A build backend; it touches the file that TINY_BUILT names, so that a test sees that it ran."""


def source_distribution(directory: Path) -> tuple[Path, Path]:
    """Write a package without a wheel, `tiny-source`, and the wheel of what builds it, `tiny-backend`."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "tiny_source-1.0.tar.gz"
    files = {
        "pyproject.toml": '[build-system]\nrequires = ["tiny-backend"]\nbuild-backend = "tiny_backend"\n',
        "PKG-INFO": "Metadata-Version: 2.1\nName: tiny-source\nVersion: 1.0\n",
        "tiny_source.py": "value = 5\n",
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"tiny_source-1.0/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path, wheel(directory, name="tiny_backend", module=_BACKEND)


def wheel(
    directory: Path,
    tag: str = "py3",
    *,
    name: str = "tiny_thing",
    version: str = "1.0",
    module: str = "value = 3\n",
) -> Path:
    """Write a wheel with one module, in which `value` is 3 unless its source is given."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}-{version}-{tag}-none-any.whl"
    about = f"{name}-{version}.dist-info"
    dashed = name.replace("_", "-")
    files = {
        f"{name}.py": module,
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
    name, version = path.name.removesuffix(".tar.gz").split("-")[:2]
    return (
        f"{name.replace('_', '-')}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"
    )


def source(
    directory: Path, *, python: str = ">=3.11", requirements: str = '["tiny-thing"]', more: str = ""
) -> EnvironmentSource:
    """Write an environment.toml with some `more` lines, and return it read."""
    directory.mkdir(parents=True, exist_ok=True)
    text = f'python = "{python}"\nrequirements = {requirements}\n{more}'
    (directory / "environment.toml").write_text(text)
    return EnvironmentSource.read(directory)


def locked(directory: Path, *wheels: Path, python: str = ">=3.11", more: str = "") -> EnvironmentSource:
    """Write an environment.toml and a lock that pins some wheels and source distributions."""
    written = source(directory, python=python, more=more)
    table = written.definition.from_source
    top = header(written.name, written.definition.digest, table.packages if table else ())
    written.lock.write_text(top + "".join(map(pin, wheels)))
    return written


def build(
    source: EnvironmentSource, tmp_path: Path, steps: list[str] | None = None, python: str | None = None
) -> KernelEnvironment:
    """Build an environment without Respawn below `tmp_path`."""
    progress = (steps if steps is not None else []).append
    return create(
        source, root=tmp_path / "envs", prefix=tmp_path / "prefix", python=python, progress=progress
    )
