"""Kernel environments, really built: from a lock that names one small wheel, so nothing is fetched."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from respawn_kernels.environments import (
    EnvironmentFailed,
    KernelEnvironment,
    create,
    environment_hash,
    find_kernel,
)
from respawn_kernels.hash_seed import seed_for
from respawn_kernels.interpreters import find_interpreters

pytestmark = pytest.mark.integration


def wheel(directory: Path, tag: str = "py3") -> Path:
    path = directory / f"tiny_thing-1.0-{tag}-none-any.whl"
    about = "tiny_thing-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_thing.py", "value = 3\n")
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1.0\n")
        archive.writestr(
            f"{about}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}-none-any\n"
        )
        archive.writestr(f"{about}/RECORD", "")
    return path


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.lock"
    path.write_text(f"{wheel(tmp_path)}\n")
    return path


def build(
    lock: Path, tmp_path: Path, told: list[str] | None = None, python: str | None = None
) -> KernelEnvironment:
    progress = (told if told is not None else []).append
    return create(
        "tiny", lock, root=tmp_path / "envs", prefix=tmp_path / "prefix", python=python, progress=progress
    )


def test_environment_is_built_once_and_mended_when_broken(
    lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first: list[str] = []
    made = build(lock, tmp_path, first)
    assert any("making environment tiny-" in line for line in first)
    command = [made.python, "-c", "import tiny_thing; print(tiny_thing.value)"]
    assert subprocess.check_output(command, text=True) == "3\n"

    spec = json.loads((made.kernelspec / "kernel.json").read_text())
    assert spec["argv"][0] == str(made.python)
    assert spec["env"] == {"PYTHONHASHSEED": seed_for(made.lock)}
    assert (made.kernelspec / "kernel.json").stat().st_mode & 0o444 == 0o444
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "prefix" / "share" / "jupyter"))
    newest = find_interpreters()[0].minor
    assert (made.version, find_kernel("respawn-tiny").python) == (newest, newest)
    assert find_kernel("respawn-tiny").lock == environment_hash(lock, newest) == made.lock
    assert find_kernel("respawn-tiny").display_name == "Tiny (Respawn)"

    second: list[str] = []
    assert build(lock, tmp_path, second) == made
    assert second == [f"environment {made.directory.name} is ready", "kernel respawn-tiny is installed"]

    made.python.unlink()
    third: list[str] = []
    build(lock, tmp_path, third)
    assert "is incomplete: building it anew" in third[0]
    assert made.python.exists()


def test_lock_that_cannot_be_installed_fails_with_what_pip_said(lock: Path, tmp_path: Path) -> None:
    lock.write_text(f"{tmp_path}/absent-1.0-py3-none-any.whl\n")
    with pytest.raises(EnvironmentFailed, match=r"(?s)pip install.*absent-1\.0") as caught:
        build(lock, tmp_path)
    assert "failed" in str(caught.value)
    assert not list((tmp_path / "envs").glob("*/.complete"))
    assert not (tmp_path / "prefix").exists()


@pytest.mark.slow  # makes several environments
def test_the_next_older_python_is_taken_where_a_package_has_no_build_for_the_newest(tmp_path: Path) -> None:
    oldest = find_interpreters()[-1].minor
    if oldest == find_interpreters()[0].minor:
        pytest.skip("there is one Python on this machine")
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"{wheel(tmp_path, 'cp' + oldest.replace('.', ''))}\n")
    told: list[str] = []
    made = build(lock, tmp_path, told)
    assert made.version == oldest
    told_of = [line for line in told if "does not do" in line]
    assert len(told_of) == len(find_interpreters()) - 1
    assert f"trying Python {oldest}: ERROR" in told_of[-1]
    with pytest.raises(EnvironmentFailed, match="is not a supported wheel"):
        build(lock, tmp_path, python=find_interpreters()[0].minor)


@pytest.mark.slow  # makes several environments
def test_an_environment_on_another_python_is_another_environment(lock: Path, tmp_path: Path) -> None:
    versions = [one.minor for one in find_interpreters()]
    if len(versions) == 1:
        pytest.skip("there is one Python on this machine")
    newest, other = build(lock, tmp_path), build(lock, tmp_path, python=versions[1])
    assert newest.directory != other.directory
    assert newest.lock != other.lock
    assert subprocess.check_output([other.python, "-V"], text=True).startswith(f"Python {versions[1]}")
    assert newest.python.exists()
