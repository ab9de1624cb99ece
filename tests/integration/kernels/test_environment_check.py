"""Environments checked against their lock: what is missing, other, beside it or changed is named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from respawn_environments.catalog import BuiltEnvironment, read
from respawn_environments.drift import drift, installed_in
from respawn_environments.programs import find_uv
from respawn_hub.auth import dependencies
from respawn_hub.hub.client import HubUser
from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion
from respawn_jobs.api.versions import JobChange
from respawn_jobs.cli.entry import run_command
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.jobs import Job
from respawn_jobs.remote.client import RemoteService
from support.ledgers import prepared_data
from support.notebooks import notebook, text
from support.played_environments import kernelspec
from support.service import served
from support.tiny_environments import build, locked, offline, wheel

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of an environment with one package; tests work on copies of it."""
    place = tmp_path_factory.mktemp("pristine")
    with pytest.MonkeyPatch.context() as monkeypatch:
        offline(monkeypatch, place / "wheels")
        made = [wheel(place / "wheels"), wheel(place / "wheels", name="other")]
        build(locked(place / "tiny", *made), place)
    return place


@pytest.fixture
def environment(pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BuiltEnvironment:
    offline(monkeypatch, pristine / "wheels")
    shutil.copytree(pristine / "envs", tmp_path / "envs", symlinks=True)
    (directory,) = (tmp_path / "envs").glob("tiny-*")
    found = read(directory)
    assert found is not None
    return found


def packages_of(environment: BuiltEnvironment) -> Path:
    (place,) = environment.directory.glob("lib/python*/site-packages")
    return place


def differences(environment: BuiltEnvironment) -> list[tuple[str, str]]:
    record = environment.record
    found = drift(environment.lock, installed_in(environment.python), records=record.records)
    return [(one.kind.value, Path(one.subject).name) for one in found]


@pytest.mark.long
def test_each_way_of_drifting_is_named(environment: BuiltEnvironment) -> None:
    assert differences(environment) == []
    place = packages_of(environment)
    (place / "tiny_thing.py").write_text("value = 4\n")
    assert differences(environment) == [("changed", "tiny-thing")]
    (place / "tiny_thing.py").unlink()
    assert differences(environment) == [("changed", "tiny-thing")]
    (place / "tiny_thing.py").write_text("value = 3\n")
    assert differences(environment) == []

    record = place / "tiny_thing-1.0.dist-info" / "RECORD"
    whole = record.read_text()
    record.write_text(whole.replace("tiny_thing.py,sha256=", "tiny_thing.py,sha256=A"))
    assert set(differences(environment)) == {("changed", "tiny-thing")}
    record.unlink()
    assert ("unchecked", "tiny-thing") in differences(environment)
    record.write_text(whole)

    metadata = place / "tiny_thing-1.0.dist-info" / "METADATA"
    written = metadata.read_text()
    metadata.write_text(written.replace("Version: 1.0", "Version: 1.1"))
    assert ("version", "tiny-thing") in differences(environment)
    metadata.write_text(written)

    (place / "helper.py").write_text("")
    assert differences(environment) == [("beside", "helper.py")]
    (place / "helper.py").unlink()
    shutil.rmtree(place / "other-1.0.dist-info")
    assert differences(environment) == [("missing", "other"), ("beside", "other.py")]


def test_what_is_installed_beside_the_lock_is_named(environment: BuiltEnvironment, tmp_path: Path) -> None:
    project = tmp_path / "project"
    beside = wheel(tmp_path / "more", name="beside")
    uv = find_uv()
    assert uv is not None
    install = [*uv, "pip", "install", "--quiet", "--python", environment.python, "--no-deps"]
    subprocess.run([*install, "--find-links", tmp_path / "more", "beside==1.0"], check=True)
    assert differences(environment) == [("beside", "beside")]
    subprocess.run([*install, beside, "--reinstall"], check=True)
    assert differences(environment) == [("origin", "beside")]
    (packages_of(environment) / "beside-1.0.dist-info" / "direct_url.json").write_text(
        json.dumps({"url": f"file://{project}", "dir_info": {"editable": True}})
    )
    (told,) = [
        one for one in drift(environment.lock, installed_in(environment.python)) if one.kind == "origin"
    ]
    assert told.message == f"beside 1.0 is used from {project}, which the lock does not pin"


def test_the_command_tells_all_and_ends_with_1(
    environment: BuiltEnvironment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("RESPAWN_ENVIRONMENTS", str(tmp_path / "envs"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert run_command(["kernels", "check", "tiny"]) == 0
    out = capsys.readouterr().out
    assert f"{environment.directory.name}: as its lock" in out
    assert "known vulnerabilities were not checked: " in out
    (packages_of(environment) / "tiny_thing.py").write_text("value = 4\n")
    assert run_command(["kernels", "check", "--no-audit"]) == 1
    assert "tiny_thing.py has other bytes than its RECORD says" in capsys.readouterr().out
    assert run_command(["kernels", "check", "--no-audit", "--json"]) == 1
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["hash"], len(told["drift"])) == (environment.record.hash, 1)
    assert run_command(["kernels", "check", "absent"]) == 2
    assert "no environment 'absent'" in capsys.readouterr().err


def test_jobs_of_the_service_that_pin_what_is_wrong_are_named_as_far_as_the_caller_sees_them(
    environment: BuiltEnvironment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def hub_user(*_: object, **_options: object) -> HubUser:
        scopes = frozenset({"custom:respawn:edit!user=ada"})
        return HubUser(name="ada", kind="user", scopes=scopes, groups=frozenset())

    monkeypatch.setattr(dependencies, "hub_user", hub_user)
    kernelspec(tmp_path / "prefix", "tiny", environment)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "prefix" / "share" / "jupyter"))
    monkeypatch.setenv("RESPAWN_ENVIRONMENTS", str(tmp_path / "envs"))
    ledger = Ledger.embedded(prepared_data(tmp_path / "data"))
    for person, name, sources in (
        ("ada", "report", ["a = 1"]),
        ("ada", "report", ["a = 2"]),  # two versions of one job
        ("ada", "audit", ["a = 3"]),
        ("bob", "secret", ["a = 4"]),
    ):
        pins = Promotion(name=name, notebook=text(notebook(*sources, kernel="respawn-tiny")))
        ledger.as_actor(Actor.owner(person)).promote(pins)
    ledger.as_actor(Actor.owner("ada")).promote(Promotion(name="free", notebook=text(notebook("a = 5"))))
    (packages_of(environment) / "tiny_thing.py").write_text("value = 4\n")
    with served(ledger, tmp_path) as url:
        monkeypatch.setenv("RESPAWN_URL", url)
        monkeypatch.setenv("RESPAWN_TOKEN", "token")
        assert run_command(["kernels", "check", "--no-audit"]) == 1
        assert "  jobs that pin it: user/ada/audit, user/ada/report\n" in capsys.readouterr().out
        assert run_command(["kernels", "check", "--no-audit", "--json"]) == 1
        (told,) = json.loads(capsys.readouterr().out)
        assert told["jobs"] == ["user/ada/audit", "user/ada/report"]
        listed = RemoteService.jobs

        def then_one_is_removed(service: RemoteService, *which: Any, **options: Any) -> list[Job]:
            found: list[Job] = listed(service, *which, **options)
            ada = ledger.as_actor(Actor.owner("ada"))
            ada.change_job("user/ada/audit", JobChange(archived=True))
            ada.remove_job("user/ada/audit")
            return found

        monkeypatch.setattr(RemoteService, "jobs", then_one_is_removed)
        assert run_command(["kernels", "check", "--no-audit"]) == 1
        assert "  jobs that pin it: user/ada/report\n" in capsys.readouterr().out
    ledger.close()


def test_a_program_of_the_system_that_is_gone_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was there when the environment was built, and was removed with its package since."""
    program = tmp_path / "bin" / "tiny-engine"
    program.parent.mkdir()
    program.touch(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    offline(monkeypatch, tmp_path / "wheels")
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("RESPAWN_ENVIRONMENTS", str(tmp_path / "envs"))
    more = 'system-packages = { tiny-engine = "tiny-engine-headless" }\n'
    build(locked(tmp_path / "tiny", wheel(tmp_path / "wheels"), more=more), tmp_path)
    assert run_command(["kernels", "check", "--no-audit"]) == 0
    program.unlink()
    capsys.readouterr()
    assert run_command(["kernels", "check", "--no-audit"]) == 1
    told = capsys.readouterr().out
    assert "not on PATH: tiny-engine (Debian: apt-get install tiny-engine-headless)" in told
    assert run_command(["kernels", "check", "--no-audit", "--json"]) == 1
    (document,) = json.loads(capsys.readouterr().out)
    assert document["missing_programs"] == {"tiny-engine": "tiny-engine-headless"}
