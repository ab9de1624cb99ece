"""The same command with a hub: runs execute there, and what they give is here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from respawn_jobs.cli.entry import run_command
from support.hub import RunningHub, running_hub
from support.leaks import tolerate
from support.notebooks import notebook, printed_by, text

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub"), users=("ada", "bob")) as hub:
        tolerate(hub.process.pid)
        yield hub


@pytest.fixture
def as_user(
    hub: RunningHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Run a command line with `--json` as somebody; returns the exit status and the document."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RESPAWN_URL", hub.service_url)

    def as_user(name: str, *arguments: str) -> tuple[int, Any]:
        monkeypatch.setenv("RESPAWN_TOKEN", hub.token(name))
        capsys.readouterr()
        status = run_command([*arguments, "--json"])
        return status, json.loads(capsys.readouterr().out)

    return as_user


def test_a_notebook_runs_fails_and_resumes_on_the_hub(as_user) -> None:
    Path("report.ipynb").write_text(text(notebook("x = 20", "1/0", "print(x)")))
    status, failed = as_user("ada", "run", "report.ipynb", "--output", "out.ipynb")
    assert (status, failed["state"], failed["job"]) == (1, "failed", "user/ada/~report")
    assert [cell["state"] for cell in failed["cells"]] == ["executed", "failed", "skipped"]
    assert nbformat.read("out.ipynb", 4).cells[1].outputs[0].ename == "ZeroDivisionError"
    status, opened = as_user("ada", "debug", failed["run"], "-o", "debug.ipynb")
    assert (status, (Path(opened["restore"]) / "restore.json").exists()) == (0, True)
    Path("fixed.ipynb").write_text(text(notebook("x = 20", "x += 1", "print(x)")))
    status, resumed = as_user("ada", "resume", failed["run"], "--notebook", "fixed.ipynb")
    assert (status, [cell["state"] for cell in resumed["cells"]]) == (0, ["reused", "executed", "executed"])
    assert printed_by(nbformat.read(resumed["notebook"], 4).cells[2]) == "21\n"


def test_a_run_of_somebody_else_is_refused_with_words(as_user) -> None:
    Path("report.ipynb").write_text(text(notebook("1/0")))
    _, failed = as_user("ada", "run", "report.ipynb")
    status, told = as_user("bob", "resume", failed["run"])
    assert (status, told["error"]) == (2, "forbidden")
    assert "ada" in told["message"]


def test_a_token_that_is_not_valid_is_refused(
    as_user, monkeypatch: pytest.MonkeyPatch, hub: RunningHub
) -> None:
    monkeypatch.setattr(hub, "_tokens", {"ada": "0" * 32})
    status, told = as_user("ada", "runs")
    assert (status, told["error"]) == (2, "unauthenticated")


def test_a_hub_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("RESPAWN_URL", "http://127.0.0.1:9/services/respawn")
    monkeypatch.setenv("RESPAWN_TOKEN", "any")
    assert run_command(["runs", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"] == "unavailable"
