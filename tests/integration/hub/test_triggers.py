"""Triggers through the service, with its loops and a hub that only knows tokens: API, command, examples."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from respawn_hub.startup.settings import Settings
from respawn_jobs.api.runner_protocol import Outcome
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.api.triggers import DependencyRequest, HookRequest, NewHook, SensorRequest, TriggerRule
from respawn_jobs.cli.entry import run_command
from respawn_jobs.errors import InvalidInput, NotFound
from respawn_jobs.model.kernels import JobPlace
from respawn_jobs.model.runs import CellError
from respawn_jobs.remote.client import RemoteRunner, RemoteService
from support.executors import NoPlaces
from support.lonely import TOKEN, answering_hub
from support.notebooks import notebook, text
from support.service import whole_service
from support.sources import ROOT
from support.waiting import wait_for


class Failing(NoPlaces):
    """An executor whose runners claim their attempt and fail at once."""

    url = ""

    def submit(self, attempt: str, token: str, place: JobPlace) -> None:
        """Play the runner."""
        runner = RemoteRunner(self.url, attempt, token)
        runner.claim()
        runner.finish(Outcome(state="failed", error=CellError(cell=None, name="NoKernel", value="a test")))
        runner.close()


@dataclass
class Running:
    """A service with an inbox, and ada's way into it."""

    url: str
    ada: RemoteService
    inbox: Path

    def address(self, made: NewHook) -> str:
        """Where a webhook is called."""
        return f"{self.url}/hooks/{made.hook.id}"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    root = tmp_path_factory.mktemp("triggers")
    inbox = root / "inbox"
    (inbox / "user/ada").mkdir(parents=True)
    settings = Settings(data=root / "data", inbox_url=str(inbox), sensor_seconds=1)
    executor = Failing()
    with answering_hub() as port, whole_service(settings, hub_port=port, executor=executor) as url:
        executor.url = url
        ada = RemoteService(url, TOKEN)
        for name in ("shop", "report", "mail"):
            source = text(notebook("print(1)", parameters="rows = 1\npath = ''"))
            ada.promote(Promotion(name=name, notebook=source))
        yield Running(url, ada, inbox)
        ada.close()


def test_a_downstream_run_is_made_soon_after_the_end_that_completes_it(running: Running) -> None:
    dependency = running.ada.set_dependency(
        DependencyRequest(job="report", upstream=["shop"], trigger_rule=TriggerRule.ALL_DONE)
    )
    graph = running.ada.graph("user/ada")
    assert [(edge.upstream, edge.job, edge.dependency) for edge in graph.edges] == [
        ("user/ada/shop", "user/ada/report", dependency.id)
    ]
    with pytest.raises(InvalidInput, match="user/ada/shop → user/ada/report → user/ada/shop"):
        running.ada.set_dependency(DependencyRequest(job="shop", upstream=["report"]))
    assert running.ada.pause_dependency("report", paused=True).paused
    assert not running.ada.pause_dependency("report", paused=False).paused
    upstream = running.ada.run(RunRequest(job="shop", parameters={"rows": 2}))
    (run,) = wait_for(lambda: running.ada.runs(job="report"), 30, "the downstream run")
    assert (run.trigger, run.trigger_id) == ("dependency", dependency.id)
    assert run.logical_date == upstream.logical_date
    running.ada.remove_dependency("report")
    with pytest.raises(NotFound, match="runs after no other job"):
        running.ada.remove_dependency("report")


def test_an_object_that_appears_makes_a_run(running: Running) -> None:
    made = running.ada.add_sensor(SensorRequest(job="mail", prefix="in", parameter="path"))
    (running.inbox / "user/ada/in").mkdir()
    path = running.inbox / "user/ada/in/order.json"
    path.write_text("{}")
    (run,) = wait_for(lambda: running.ada.runs(job="mail"), 30, "the object's run")
    assert (run.trigger, run.trigger_id, run.parameters["path"]) == ("sensor", made.id, str(path))
    running.ada.remove_sensor(made.id)


def test_a_webhook_refuses_what_is_not_signed_or_too_large(running: Running) -> None:
    made = running.ada.hook(HookRequest(job="report", accepts=["rows"]))
    unsigned = httpx.post(running.address(made))
    assert (unsigned.status_code, unsigned.json()["error"]) == (401, "unauthenticated")
    large = httpx.post(running.address(made), content=b"x" * 70_000)
    assert large.status_code == 413
    assert "64 KiB" in large.json()["message"]
    rotated = running.ada.rotate(made.hook.id)
    assert rotated.secret != made.secret
    running.ada.unhook(made.hook.id)
    assert running.ada.triggers("report").hooks == []


@pytest.mark.parametrize("language", ["", "python"])
def test_the_documented_way_to_call_a_webhook_works(language: str, running: Running) -> None:
    made = running.ada.hook(HookRequest(job="report", accepts=["rows"]))
    page = (ROOT / "docs" / "how-to" / "webhooks.md").read_text()
    blocks = re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    example = next(block for block in blocks if "webhook-id" in block)
    if not language and not (shutil.which("curl") and shutil.which("openssl")):
        pytest.skip("curl or openssl is not installed")
    program = [sys.executable, "-c"] if language else ["bash", "-euc"]
    told = {"ADDRESS": running.address(made), "SECRET": made.secret}
    done = subprocess.run(
        [*program, example], env={**os.environ, **told}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    run = re.search(r"run-\w+", done.stdout)
    assert run
    shown = running.ada.show(run.group()).run
    assert (shown.trigger, shown.trigger_id, shown.parameters) == ("hook", made.hook.id, {"rows": 5})
    running.ada.unhook(made.hook.id)


@pytest.fixture
def respawn(running: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run the command against the service; returns its JSON document, or its text without `--json`."""
    monkeypatch.setenv("RESPAWN_URL", running.url)
    monkeypatch.setenv("RESPAWN_TOKEN", TOKEN)

    def respawn(*words: str, status: int = 0):
        assert run_command(words) == status
        told = capsys.readouterr()
        return json.loads(told.out) if "--json" in words else told.out + told.err

    return respawn


def test_the_commands_make_show_and_remove_triggers(respawn, running: Running) -> None:
    words = ("dependency", "set", "mail", "--on", "report", "--on", "shop", "--any", "--period", "day")
    made = respawn(*words, "--take", "rows=shop:parameter:rows", "--json")["dependency"]
    assert made["upstream"] == ["user/ada/report", "user/ada/shop"]
    assert made["sources"] == {"rows": {"job": "user/ada/shop", "take": "parameter", "name": "rows"}}
    assert "rows is taken from user/ada/shop: parameter rows" in respawn("dependency", "show", "mail")
    tree = respawn("dependency", "graph")
    assert tree.index("user/ada/report") < tree.index("user/ada/mail")
    assert len(respawn("dependency", "graph", "--json")["edges"]) == 2
    assert "(paused)" in respawn("dependency", "pause", "mail")
    assert "(paused)" not in respawn("dependency", "resume", "mail")
    assert "no other job" in respawn("dependency", "remove", "mail")

    new = respawn("hook", "add", "mail", "--accept", "rows", "--json")
    assert new["hook"]["id"] in respawn("hook", "list", "mail")
    assert new["secret"] not in respawn("hook", "list", "mail")
    assert "secret:" in respawn("hook", "rotate", "mail", new["hook"]["id"])
    assert respawn("hook", "remove", "mail", new["hook"]["id"], "--json") == {"hooks": []}
    assert "has no webhook" in respawn("hook", "remove", "mail", "hok-0000000000", status=2)

    words = ("sensor", "add", "mail", "--prefix", "post", "--parameter", "path")
    (sensor,) = respawn(*words, "--json")["sensors"]
    assert sensor["address"] == str(running.inbox / "user/ada/post")
    assert respawn("sensor", "remove", "mail", sensor["id"], "--json") == {"sensors": []}
    words = ("dependency", "set", "mail", "--on", "shop", "--take", "rows")
    assert "is not of the form" in respawn(*words, status=2)
