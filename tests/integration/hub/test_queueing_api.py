"""Settings, limits and replicas over HTTP and by the command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from respawn_hub.auth import dependencies
from respawn_hub.hub.client import HubUser
from respawn_jobs.api.queueing import LimitRequest
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.cli.commands import respawn
from respawn_jobs.errors import InvalidInput
from respawn_jobs.ledger import Ledger
from respawn_jobs.remote.client import RemoteService
from support.ledgers import prepared_data
from support.notebooks import notebook, text
from support.service import served

pytestmark = pytest.mark.integration


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RemoteService]:
    """An administrator over HTTP; the service takes any token for theirs."""

    async def hub_user(*_: object, **_options: object) -> HubUser:
        return HubUser(
            name="root", kind="user", scopes=frozenset({"custom:respawn:admin"}), groups=frozenset()
        )

    monkeypatch.setattr(dependencies, "hub_user", hub_user)
    ledger = Ledger.embedded(
        prepared_data(tmp_path / "data"), clock=lambda: datetime(2026, 3, 2, 8, tzinfo=UTC)
    )
    ledger.report_replica("rep-a", host="here", slots=4, busy=0, draining=False, health={"scheduler": "ok"})
    with served(ledger, tmp_path) as url:
        service = RemoteService(url, "token")
        service.promote(Promotion(name="report", notebook=text(notebook("a = 1"))))
        monkeypatch.setenv("RESPAWN_URL", url)
        monkeypatch.setenv("RESPAWN_TOKEN", "token")
        yield service
        service.close()
    ledger.close()


def test_settings_limits_and_replicas_go_over_http(root: RemoteService) -> None:
    assert root.configure("report", {"priority": 5, "max_parallel": 1}).settings.priority == 5
    assert root.configure("report", {"priority": None}).settings.priority == 0
    with pytest.raises(InvalidInput, match="'colour' is no setting of a job"):
        root.configure("report", {"colour": "red"})
    [limit] = root.limit(LimitRequest(kind="user", name="*", max_running=0))
    assert root.limits() == [limit]
    assert [replica.id for replica in root.replicas()] == ["rep-a"]
    run = root.run(RunRequest(job="report"))
    assert run.waiting == root.show(run.id).run.waiting == "waiting for: limit 0 of user root"
    assert root.limit(LimitRequest(kind="user", name="*", max_running=None)) == []


def command(*words: str) -> str:
    result = CliRunner().invoke(respawn, list(words), standalone_mode=False)
    assert result.exception is None, result.exception
    return result.stdout


def test_the_command_changes_settings_and_limits(root: RemoteService) -> None:
    words = ["--overlap", "skip", "--retry", "runner_lost=3,delay=60,restart", "--queue", "gpu"]
    changed = json.loads(command("settings", "report", *words, "--json"))["settings"]
    assert (changed["overlap"], changed["queue"]) == ("skip", "gpu")
    policy = changed["retries"]["runner_lost"]
    assert (policy["attempts"], policy["delay_seconds"], policy["resume"]) == (3, 60, False)
    assert "changed" in command("settings", "report", "--default", "queue")
    assert root.job("report").settings.queue == "default"
    assert "gpu" in command("limit", "set", "queue", "gpu", "2")
    assert json.loads(command("limit", "list", "queue", "gpu", "--json"))[0]["max_running"] == 2
    assert command("limit", "remove", "queue", "gpu") == "no limits are set\n"
    assert "rep-a" in command("admin", "replicas")
    run = root.run(RunRequest(job="report")).id
    assert "waiting for: its turn" in command("show", run)
    assert "waiting for: its turn" in command("runs")


@pytest.mark.parametrize("retry", ["moon=3", "timeout=x", "timeout=2,colour=red", "timeout=2,delay=x"])
def test_a_retry_that_cannot_be_read_is_refused_with_what_is_wanted(retry: str) -> None:
    result = CliRunner().invoke(respawn, ["settings", "report", "--retry", retry])
    assert result.exit_code == 2
    assert "the causes are cell_error" in result.output or "is not" in result.output
