"""The service over HTTP: its loops tell people, `health` names what is degraded, `metrics` count."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from respawn_hub.app import create_app
from respawn_hub.services.probe import Probe
from respawn_hub.settings import HubSettings, Settings
from respawn_jobs.errors import Unavailable
from respawn_jobs.ledger.figures import Figures, Queue
from respawn_jobs.ledger.operations import Operations
from respawn_jobs.service import RunRequest
from support.receivers import HttpReceiver, http_receiver
from support.runners import PlayedRunner
from support.telling import Told

HUB = HubSettings(
    api_token="not-used",
    api_url="http://127.0.0.1:9/hub/api",
    client_id="service-respawn",
    public_url="https://hub.example.org/services/respawn/",
)
PREFIX = "/services/respawn"


def app_of(told: Told, tmp_path: Path, **settings: object) -> FastAPI:
    return create_app(Settings(data=tmp_path, **settings), HUB, ledger=told.ledger, clock=told.clock)


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with http_receiver() as running:
        yield running


@pytest.fixture
def app(told_here: Told, tmp_path: Path, receiver: HttpReceiver) -> FastAPI:
    """The application, with open metrics and a channel that the receiver hears; its loops do not run."""
    path = tmp_path / "channels.toml"
    path.write_text(f'[oncall]\nurl = "{receiver.address}"')
    path.chmod(0o600)
    return app_of(told_here, tmp_path, channels_file=path, metrics_open=True)


def value(app: FastAPI, line: str) -> float:
    """Return the value of one line of the metrics; zero when it is not there."""
    text = TestClient(app).get(f"{PREFIX}/metrics").text
    found = [entry for entry in text.splitlines() if entry.startswith(f"{line} ")]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


def test_a_failure_reaches_the_channel_with_the_debug_link_and_is_counted(
    told_here: Told, app: FastAPI, receiver: HttpReceiver
) -> None:
    loops = app.state.runtime.watching.loops
    told_here.promote()
    run = told_here.ada.run(RunRequest(job="report"))
    told_here.clock.forward(seconds=3)
    runner = PlayedRunner(told_here.ledger, run.id)
    runner.begin()
    runner.execute(0)
    runner.fail(1)
    loops["notices"]()
    loops["notifier"]()
    [message] = receiver.messages
    assert message["title"] == "user/ada/report failed: KeyError: 'price'"
    assert f"https://hub.example.org/services/respawn/debug/{run.id}" in message["message"]
    assert value(app, 'respawn_start_seconds_sum{queue="default"}') == 3
    assert value(app, 'respawn_runs_ended_total{state="failed"}') == 1
    assert value(app, 'respawn_attempts_ended_total{cause="cell_error",state="failed"}') == 1
    assert value(app, 'respawn_notices_total{kind="failure",outcome="sent"}') == 1
    assert value(app, "respawn_checkpoint_seconds_count") == 1


def test_a_channel_that_refuses_is_named_by_health_and_tried_again(
    told_here: Told, app: FastAPI, receiver: HttpReceiver
) -> None:
    watching = app.state.runtime.watching
    receiver.status = 500
    told_here.promote()
    told_here.fails()
    watching.loops["notifier"]()
    watching.loops["health"]()
    answer = TestClient(app).get(f"{PREFIX}/api/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert answer.json()["parts"]["channels"] == {
        "status": "degraded",
        "said": "messages are refused by: oncall",
    }
    receiver.status = 200
    told_here.clock.forward(seconds=31)
    watching.loops["notifier"]()
    watching.loops["health"]()
    assert TestClient(app).get(f"{PREFIX}/api/health").json()["parts"]["channels"]["status"] == "ok"


def test_what_waits_and_runs_is_a_gauge_of_the_whole_service(told_here: Told, app: FastAPI) -> None:
    told_here.promote()
    for _ in range(3):
        told_here.ada.run(RunRequest(job="report"))
    told_here.clock.forward(seconds=20)
    PlayedRunner(told_here.ledger, told_here.ada.runs()[0].id)
    told_here.clock.forward(seconds=4)
    assert value(app, 'respawn_runs{state="running"}') == 1
    assert value(app, 'respawn_queue_runs{queue="default"}') == 2
    assert value(app, 'respawn_queue_oldest_seconds{queue="default"}') == 24
    assert value(app, "respawn_heartbeat_age_seconds") == 4
    assert value(app, "respawn_database_up") == 1


def test_metrics_need_a_token_unless_an_administrator_opens_them(told_here: Told, tmp_path: Path) -> None:
    answer = TestClient(app_of(told_here, tmp_path)).get(f"{PREFIX}/metrics")
    assert answer.status_code == 401


class Store(Operations):
    """Figures and blobs that a test decides on."""

    def __init__(self) -> None:
        self.known: Figures | Exception = Figures()
        self.blobs: Exception | None = None

    def figures(self) -> Figures:
        if isinstance(self.known, Exception):
            raise self.known
        return self.known

    def probe_blobs(self) -> None:
        if self.blobs is not None:
            raise self.blobs


@pytest.fixture
def store() -> Store:
    return Store()


def probed(store: Store, now: list[float] | None = None) -> Probe:
    clock = now or [0.0]
    probe = Probe(store, queue_alarm_seconds=900, monotonic=lambda: clock[0])
    probe.tick()
    return probe


def test_all_is_well(store: Store) -> None:
    health = probed(store).health({"scheduler": "ok"})
    assert health.status == "ok"
    assert set(health.parts) == {"database", "blobs", "loop scheduler", "channels", "replicas", "queue"}


def test_without_the_database_the_service_is_down_and_says_no_address(store: Store) -> None:
    store.known = Unavailable("the database postgresql://ada:hunter2@db does not answer")
    health = probed(store).health({"scheduler": "ok"})
    assert health.status == "down"
    assert health.parts["database"].said == "does not answer"
    assert "ada" not in health.model_dump_json()


def test_a_database_that_hangs_is_noticed_although_the_probe_hangs_with_it(store: Store) -> None:
    now = [0.0]
    probe = probed(store, now)
    now[0] = 31.0
    assert probe.health({}).parts["database"].said == "has not answered for 31 s"


def test_what_is_degraded_is_named_and_the_service_goes_on(store: Store) -> None:
    store.blobs = Unavailable("s3 is away")
    store.known = Figures(
        queues={"default": Queue(12, 1000.0)},
        replicas={"serving": 1, "draining": 0, "silent": 1},
        failing_channels={"oncall": "no"},
    )
    health = probed(store).health(
        {"scheduler": "ValueError: job team/risk/nightly is spoilt", "x": "not started"}
    )
    assert health.status == "degraded"
    said = {name: part.said for name, part in health.parts.items() if part.status != "ok"}
    assert set(said) == {"blobs", "loop scheduler", "loop x", "channels", "replicas", "queue"}
    assert said["queue"] == "the oldest of 12 runs that may start waits for 1000 s"
    assert "team/risk" not in health.model_dump_json()


def test_a_store_that_is_back_is_well_again(store: Store) -> None:
    now = [0.0]
    store.blobs = OSError("disk")
    store.known = Unavailable("away")
    probe = probed(store, now)
    store.blobs, store.known = None, Figures()
    now[0] = 6.0
    probe.tick()
    assert probe.health({}).status == "ok"
