"""`python -m respawn_hub.embedded`, as `make up` runs it."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from respawn_hub.embedded.example_jobs import EVERY_MINUTE, FAILS, seed
from respawn_hub.embedded.start import NotPossible, check_port, kept_password, locked
from respawn_jobs.access import Actor
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import RunState
from support.notebooks import notebook, text
from support.ports import free_port
from support.waiting import wait_for


def test_a_port_in_use_is_named_with_the_option() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(NotPossible, match=rf"port {port} .*--port {port + 1}"):
            check_port(port)


def test_a_port_that_does_not_exist_is_refused() -> None:
    with pytest.raises(NotPossible, match="from 1 to 65535"):
        check_port(99999)


def test_a_second_hub_in_one_data_directory_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "respawn_hub.embedded",
        "--port",
        str(free_port()),
        "--data",
        str(tmp_path),
    ]
    with locked(tmp_path, 8123):
        second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert second.returncode == 2
    assert f"in use by a hub on port 8123 (process {os.getpid()})" in second.stderr
    assert not (tmp_path / "password").exists()


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(NotPossible, match="file/data cannot be used"),
        locked(tmp_path / "file" / "data", 8000),
    ):
        pass


def test_the_password_is_made_once_and_is_its_owners_only(tmp_path: Path) -> None:
    path = tmp_path / "password"

    first = kept_password(path)

    assert len(first) >= 12
    assert kept_password(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert kept_password(tmp_path / "other") != first


@pytest.mark.integration
def test_the_first_start_makes_one_job_that_runs_and_one_that_has_failed(tmp_path: Path) -> None:
    examples = tmp_path / "examples"
    examples.mkdir()
    (examples / "wine_report.ipynb").write_text(text(notebook("1 + 1")))
    (examples / "diabetes_scores.ipynb").write_text(text(notebook("x = 1", "x / 0")))
    said: list[str] = []

    failed = seed(tmp_path / "data", "demo", examples, tmp_path / "home", said.append)
    steps = len(said)
    again = seed(tmp_path / "data", "demo", examples, tmp_path / "home", said.append)

    assert again == failed
    assert len(said) == steps, "the second start does nothing"
    ledger = Ledger.embedded(tmp_path / "data")
    service = ledger.as_actor(Actor.owner("demo"))
    assert service.show(failed).run.state is RunState.FAILED
    assert service.show(failed).run.job in (f"user/demo/{FAILS}", service.job(FAILS).id)
    assert [schedule.cron for schedule in service.job(f"user/demo/{EVERY_MINUTE}").schedules] == ["* * * * *"]
    ledger.close()


@pytest.mark.long
@pytest.mark.integration
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_it_starts_says_where_and_ends_with_all_its_children(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "respawn").mkdir()
    (tmp_path / "respawn" / "seeded.json").write_text('{"failed_run": "run-example000"}')
    port, output = free_port(), tmp_path / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "respawn_hub.embedded",
                "--port",
                str(port),
                "--data",
                str(tmp_path),
            ],
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    try:
        wait_for(lambda: "Ctrl-C" in output.read_text() or process.poll() is not None, 90, "the welcome")
        said = output.read_text()
        family = psutil.Process(process.pid).children(recursive=True)
        page = httpx.get(f"http://127.0.0.1:{port}/services/respawn/", follow_redirects=True)
        process.send_signal(number)
        status = process.wait(60)
    finally:
        process.kill()
        process.wait()

    assert f"http://127.0.0.1:{port}/services/respawn/debug/run-example000" in said
    assert (tmp_path / "password").read_text().strip() in said
    assert "/hub/login" in str(page.url)
    assert status == 0
    assert not [child for child in family if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
