"""Kernel environments, really built: from a lock that names one small wheel, so nothing is fetched."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from respawn_kernels.environments import EnvironmentFailed, KernelEnvironment, create, find_kernel, lock_hash
from respawn_kernels.hash_seed import seed_for

pytestmark = pytest.mark.integration


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    wheel = tmp_path / "tiny_thing-1.0-py3-none-any.whl"
    about = "tiny_thing-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_thing.py", "value = 3\n")
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    path = tmp_path / "requirements.lock"
    path.write_text(f"{wheel}\n")
    return path


def build(lock: Path, tmp_path: Path, told: list[str] | None = None) -> KernelEnvironment:
    progress = (told if told is not None else []).append
    return create("tiny", lock, root=tmp_path / "envs", prefix=tmp_path / "prefix", progress=progress)


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
    assert find_kernel("respawn-tiny").lock == lock_hash(lock) == made.lock
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
