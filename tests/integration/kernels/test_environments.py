"""Kernel environments, really built: from a lock that names one small wheel, so nothing is fetched."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import ipykernel.kernelspec
import pytest
from ipykernel.kernelspec import get_kernel_dict

from respawn_environments.build import create
from respawn_environments.catalog import environments
from respawn_environments.definition import EnvironmentSource
from respawn_environments.drift import drift, installed_in
from respawn_environments.errors import EnvironmentDiffers, EnvironmentFailed
from respawn_environments.installing import virtual_environment
from respawn_environments.interpreters import find_interpreters
from respawn_environments.kernelspecs import find_kernel
from respawn_environments.lockfile import environment_hash
from respawn_environments.own_wheel import OwnWheel
from respawn_kernels.hash_seed import seed_for
from support.pressure import unhindered
from support.tiny_environments import build, locked, offline, wheel
from support.waiting import wait_for

pytestmark = pytest.mark.integration

BUILD = """
import sys
from pathlib import Path
from respawn_environments.build import create
from respawn_environments.definition import EnvironmentSource
place = Path(sys.argv[1])
made = create(EnvironmentSource.read(place / "tiny"), root=place / "envs", prefix=place / "prefix")
print(made.directory)
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EnvironmentSource:
    """An environment whose lock names one small wheel."""
    made = wheel(tmp_path / "wheels")
    offline(monkeypatch, tmp_path / "wheels")
    return locked(tmp_path / "tiny", made)


def started(tmp_path: Path) -> subprocess.Popen[str]:
    """Build the environment in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-u", "-c", BUILD, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_environment_is_built_once_and_fixed_when_broken(
    tiny: EnvironmentSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first: list[str] = []
    made = build(tiny, tmp_path, first)
    assert any("making environment tiny-" in line for line in first)
    command = [made.python, "-c", "import tiny_thing; print(tiny_thing.value)"]
    assert subprocess.check_output(command, text=True) == "3\n"

    spec = json.loads((made.kernelspec / "kernel.json").read_text())
    assert spec["argv"][0] == str(made.python)
    path = f"{made.directory}/bin:${{PATH}}"  # what cells start by name is the environment's
    assert spec["env"] == {"PYTHONHASHSEED": seed_for(made.lock), "PATH": path}
    assert (made.kernelspec / "kernel.json").stat().st_mode & 0o444 == 0o444
    assert "supported_encryption" not in spec["metadata"], "it has no ipykernel"
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "prefix" / "share" / "jupyter"))
    newest = find_interpreters()[0].minor
    assert (made.version, find_kernel("respawn-tiny").python) == (newest, newest)
    assert find_kernel("respawn-tiny").lock == environment_hash(tiny.lock, newest) == made.lock
    assert find_kernel("respawn-tiny").display_name == "Tiny (Respawn)"

    second: list[str] = []
    began = unhindered()
    assert build(tiny, tmp_path, second) == made
    assert unhindered() - began < 1
    assert second == [f"environment {made.directory.name} is ready", "kernel respawn-tiny is installed"]

    made.python.unlink()
    third: list[str] = []
    build(tiny, tmp_path, third)
    assert "is incomplete: building it again" in third[0]
    assert made.python.exists()


def test_another_name_with_the_same_lock_shares_the_environment(
    tiny: EnvironmentSource, tmp_path: Path
) -> None:
    made = build(tiny, tmp_path)
    other = tmp_path / "other"
    tiny.directory.rename(other)
    shared = build(EnvironmentSource.read(other), tmp_path)
    assert (shared.directory, shared.lock) == (made.directory, made.lock)
    (found,) = environments(tmp_path / "envs")
    assert [path.name for path in found.kernelspecs] == ["respawn-tiny", "respawn-other"]


@pytest.mark.long
def test_two_that_build_one_environment_at_once_give_one(tiny: EnvironmentSource, tmp_path: Path) -> None:
    both = [started(tmp_path), started(tmp_path)]
    told = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert told[0].splitlines()[-1] == told[1].splitlines()[-1]
    assert sum("making environment" in text for text in told) == 1
    assert len(environments(tmp_path / "envs")) == 1


@pytest.mark.long
def test_a_build_that_is_killed_leaves_nothing_that_counts(tiny: EnvironmentSource, tmp_path: Path) -> None:
    process = started(tmp_path)
    wait_for(lambda: any((tmp_path / "envs").glob("tiny-*/pyvenv.cfg")), timeout=60)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert environments(tmp_path / "envs") == []
    assert not (tmp_path / "prefix").exists()
    told: list[str] = []
    made = build(tiny, tmp_path, told)
    assert any("is incomplete: building it again" in line for line in told)
    assert [one.directory for one in environments(tmp_path / "envs")] == [made.directory]


@pytest.mark.long
def test_lock_that_cannot_be_installed_fails_with_what_pip_said(
    tiny: EnvironmentSource, tmp_path: Path
) -> None:
    tiny.lock.write_text(tiny.lock.read_text().replace("tiny-thing==1.0", "absent==1.0"))
    with pytest.raises(EnvironmentFailed, match=r"(?s)pip install.*absent") as caught:
        build(tiny, tmp_path)
    assert "failed" in str(caught.value)
    assert not list((tmp_path / "envs").glob("*/.complete"))
    assert not (tmp_path / "prefix").exists()


@pytest.mark.long
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_wheel_that_has_not_the_hash_of_the_lock_is_refused(
    installer: str, tiny: EnvironmentSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if installer == "pip":
        monkeypatch.setattr(virtual_environment, "find_uv", lambda: None)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    with (tmp_path / "wheels" / "tiny_thing-1.0-py3-none-any.whl").open("ab") as file:
        file.write(b"\0")
    steps: list[str] = []
    with pytest.raises(EnvironmentFailed, match=r"(?is)tiny.thing.*sha256.*[0-9a-f]{64}"):
        build(tiny, tmp_path, steps)
    assert not [step for step in steps if "trying Python" in step]
    assert not list((tmp_path / "envs").glob("tiny-*"))
    assert not (tmp_path / "prefix").exists()


@pytest.mark.long
def test_its_kernelspec_says_of_encryption_what_its_ipykernel_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = wheel(tmp_path / "wheels", name="ipykernel", version="7.4.0")
    with zipfile.ZipFile(made, "a") as archive:
        archive.writestr("ipykernel/__init__.py", "")
        archive.write(ipykernel.kernelspec.__file__, "ipykernel/kernelspec.py")
    offline(monkeypatch, tmp_path / "wheels")
    monkeypatch.setattr(
        "respawn_environments.build.drift", lambda *_, **__: []
    )  # its RECORD does not name what was added
    kernel = build(locked(tmp_path / "tiny", made), tmp_path)
    metadata = json.loads((kernel.kernelspec / "kernel.json").read_text())["metadata"]
    assert metadata["supported_encryption"] == get_kernel_dict()["metadata"]["supported_encryption"]


@pytest.mark.long
def test_a_failure_that_another_python_would_not_change_is_said_at_once(
    tiny: EnvironmentSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "absent"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "a file"))
    (tmp_path / "a file").touch()
    steps: list[str] = []
    with pytest.raises(EnvironmentFailed):
        build(tiny, tmp_path, steps)
    assert not [step for step in steps if "trying Python" in step]


@pytest.mark.long
def test_where_there_is_no_uv_pip_builds_the_same(
    tiny: EnvironmentSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(virtual_environment, "find_uv", lambda: None)
    made = build(tiny, tmp_path)
    (found,) = environments(tmp_path / "envs")
    assert (found.directory, found.record.hash) == (made.directory, made.lock)
    assert drift(found.lock, installed_in(found.python), records=found.record.records) == []


@pytest.mark.long
def test_a_file_that_was_changed_in_the_installers_cache_is_found_before_it_counts(
    tiny: EnvironmentSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    build(tiny, tmp_path / "first")
    (cached,) = (tmp_path / "cache").rglob("tiny_thing.py")
    cached.write_text("value = 4\n")
    with pytest.raises(EnvironmentDiffers, match=r"(?s)tiny_thing\.py has other bytes.*uv cache clean"):
        build(tiny, tmp_path / "second")
    assert environments(tmp_path / "second" / "envs") == []
    assert not (tmp_path / "second" / "prefix").exists()


@pytest.mark.long
def test_other_code_of_respawn_makes_another_environment_which_has_that_code(
    tiny: EnvironmentSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("respawn_environments.own_wheel.requirements", list)
    owns = [OwnWheel((("respawn/__init__.py", f"value = {value}\n".encode()),)) for value in (1, 2)]
    places = {"root": tmp_path / "envs", "prefix": tmp_path / "prefix"}
    made = [create(tiny, own=own, progress=lambda _: None, **places) for own in owns]
    assert len({one.directory for one in made}) == len({one.lock for one in made}) == 2
    for one, value in zip(made, ("1\n", "2\n"), strict=True):
        assert (
            subprocess.check_output(
                [one.python, "-I", "-c", "import respawn; print(respawn.value)"], text=True
            )
            == value
        )
    again = create(tiny, own=owns[0], progress=lambda _: None, **places)
    assert again.directory == made[0].directory
    assert (
        json.loads((again.kernelspec / "kernel.json").read_text())["metadata"]["respawn"]["lock"]
        == again.lock
    )


@pytest.mark.slow  # makes several environments
def test_the_next_older_python_is_taken_where_a_package_has_no_build_for_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    oldest = find_interpreters()[-1].minor
    if oldest == find_interpreters()[0].minor:
        pytest.skip("there is one Python on this machine")
    offline(monkeypatch, tmp_path / "wheels")
    source = locked(tmp_path / "tiny", wheel(tmp_path / "wheels", "cp" + oldest.replace(".", "")))
    told: list[str] = []
    made = build(source, tmp_path, told)
    assert made.version == oldest
    told_of = [line for line in told if "does not do" in line]
    assert len(told_of) == len(find_interpreters()) - 1
    assert f"trying Python {oldest}: " in told_of[-1]
    with pytest.raises(EnvironmentFailed, match="tiny-thing"):
        build(source, tmp_path, python=find_interpreters()[0].minor)


@pytest.mark.slow  # makes several environments
def test_an_environment_on_another_python_is_another_environment(
    tiny: EnvironmentSource, tmp_path: Path
) -> None:
    versions = [one.minor for one in find_interpreters()]
    if len(versions) == 1:
        pytest.skip("there is one Python on this machine")
    newest, other = build(tiny, tmp_path), build(tiny, tmp_path, python=versions[1])
    assert newest.directory != other.directory
    assert newest.lock != other.lock
    assert subprocess.check_output([other.python, "-V"], text=True).startswith(f"Python {versions[1]}")
    assert newest.python.exists()
