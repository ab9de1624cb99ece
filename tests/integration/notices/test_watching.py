"""The service over HTTP: its loops tell people, `health` names what is degraded, `metrics` count."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from respawn_hub.app import create_app
from respawn_hub.monitoring.health import HealthProbe
from respawn_hub.startup.settings import HubSettings, Settings
from respawn_jobs.api.service import RunRequest
from respawn_jobs.errors import Unavailable
from respawn_jobs.ledger.operations.notice_ops import Operations
from respawn_jobs.ledger.operations.stats import Queue, ServiceFigures
from respawn_jobs.store.schema import SchemaStanding
from support.notifying import NotifyingLedger
from support.receivers import HttpReceiver, http_receiver
from support.runners import PlayedRunner

HUB = HubSettings(
    api_token="not-used",
    api_url="http://127.0.0.1:9/hub/api",
    client_id="service-respawn",
    public_url="https://hub.example.org/services/respawn/",
)
PREFIX = "/services/respawn"


def app_of(notifying: NotifyingLedger, tmp_path: Path, **settings: object) -> FastAPI:
    return create_app(
        Settings(data=tmp_path, **settings), HUB, ledger=notifying.ledger, clock=notifying.clock
    )


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with http_receiver() as running:
        yield running


@pytest.fixture
def app(notifying_on_sqlite: NotifyingLedger, tmp_path: Path, receiver: HttpReceiver) -> FastAPI:
    """The application, with open metrics and a channel that the receiver hears; its loops do not run."""
    path = tmp_path / "channels.toml"
    path.write_text(f'[oncall]\nurl = "{receiver.address}"')
    path.chmod(0o600)
    return app_of(notifying_on_sqlite, tmp_path, channels_file=path, metrics_open=True)


def value(app: FastAPI, line: str) -> float:
    """Return the value of one line of the metrics; zero when it is not there."""
    text = TestClient(app).get(f"{PREFIX}/metrics").text
    found = [entry for entry in text.splitlines() if entry.startswith(f"{line} ")]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


def test_a_failure_reaches_the_channel_with_the_debug_link_and_is_counted(
    notifying_on_sqlite: NotifyingLedger, app: FastAPI, receiver: HttpReceiver
) -> None:
    loops = app.state.runtime.watching.loops
    notifying_on_sqlite.promote()
    run = notifying_on_sqlite.ada.run(RunRequest(job="report"))
    notifying_on_sqlite.clock.forward(seconds=3)
    runner = PlayedRunner(notifying_on_sqlite.ledger, run.id)
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
    notifying_on_sqlite: NotifyingLedger, app: FastAPI, receiver: HttpReceiver
) -> None:
    watching = app.state.runtime.watching
    receiver.status = 500
    notifying_on_sqlite.promote()
    notifying_on_sqlite.fails()
    watching.loops["notifier"]()
    watching.loops["health"]()
    answer = TestClient(app).get(f"{PREFIX}/api/v1/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert answer.json()["parts"]["channels"] == {
        "status": "degraded",
        "detail": "messages are refused by: oncall",
    }
    receiver.status = 200
    notifying_on_sqlite.clock.forward(seconds=31)
    watching.loops["notifier"]()
    watching.loops["health"]()
    assert TestClient(app).get(f"{PREFIX}/api/v1/health").json()["parts"]["channels"]["status"] == "ok"


def test_what_waits_and_runs_is_a_gauge_of_the_whole_service(
    notifying_on_sqlite: NotifyingLedger, app: FastAPI
) -> None:
    notifying_on_sqlite.promote()
    for _ in range(3):
        notifying_on_sqlite.ada.run(RunRequest(job="report"))
    notifying_on_sqlite.clock.forward(seconds=20)
    PlayedRunner(notifying_on_sqlite.ledger, notifying_on_sqlite.ada.runs()[0].id)
    notifying_on_sqlite.clock.forward(seconds=4)
    assert value(app, 'respawn_runs{state="running"}') == 1
    assert value(app, 'respawn_queue_runs{queue="default"}') == 2
    assert value(app, 'respawn_queue_oldest_seconds{queue="default"}') == 24
    assert value(app, "respawn_heartbeat_age_seconds") == 4
    assert value(app, "respawn_database_up") == 1


def test_metrics_need_a_token_unless_an_administrator_opens_them(
    notifying_on_sqlite: NotifyingLedger, tmp_path: Path
) -> None:
    answer = TestClient(app_of(notifying_on_sqlite, tmp_path)).get(f"{PREFIX}/metrics")
    assert answer.status_code == 401


class Store(Operations):
    """Figures and blobs that a test decides on."""

    def __init__(self) -> None:
        self.known: ServiceFigures | Exception = ServiceFigures()
        self.blobs: Exception | None = None
        self.standing = SchemaStanding("0001")

    def figures(self) -> ServiceFigures:
        if isinstance(self.known, Exception):
            raise self.known
        return self.known

    def schema(self) -> SchemaStanding:
        return self.standing

    def probe_blobs(self) -> None:
        if self.blobs is not None:
            raise self.blobs


@pytest.fixture
def store() -> Store:
    return Store()


def probed(store: Store, now: list[float] | None = None) -> HealthProbe:
    clock = now or [0.0]
    probe = HealthProbe(store, queue_alarm_seconds=900, monotonic=lambda: clock[0])
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
    assert health.parts["database"].detail == "does not answer"
    assert "ada" not in health.model_dump_json()


def test_a_database_that_a_newer_replica_extended_is_told_and_well(store: Store) -> None:
    store.standing = SchemaStanding("0002", newer="0.2")
    health = probed(store).health({"scheduler": "ok"})
    assert health.status == "ok"
    assert "newer version of Respawn (0.2)" in health.parts["database"].detail


def test_a_database_that_a_newer_replica_took_from_this_one_is_down(store: Store) -> None:
    store.standing = SchemaStanding("0003", newer="0.3", refusal="migration 0003 removed what it uses")
    health = probed(store).health({"scheduler": "ok"})
    assert health.status == "down"
    assert "migration 0003 removed" in health.parts["database"].detail


def test_a_database_that_hangs_is_noticed_although_the_probe_hangs_with_it(store: Store) -> None:
    now = [0.0]
    probe = probed(store, now)
    now[0] = 31.0
    assert probe.health({}).parts["database"].detail == "has not answered for 31 s"


def test_what_is_degraded_is_named_and_the_service_goes_on(store: Store) -> None:
    store.blobs = Unavailable("s3 is away")
    store.known = ServiceFigures(
        queues={"default": Queue(12, 1000.0)},
        replicas={"serving": 1, "draining": 0, "silent": 1},
        failing_channels={"oncall": "no"},
    )
    health = probed(store).health(
        {"scheduler": "ValueError: job team/risk/nightly is spoilt", "x": "not started"}
    )
    assert health.status == "degraded"
    said = {name: part.detail for name, part in health.parts.items() if part.status != "ok"}
    assert set(said) == {"blobs", "loop scheduler", "loop x", "channels", "replicas", "queue"}
    assert said["queue"] == "the oldest of 12 runs that may start waits for 1000 s"
    assert "team/risk" not in health.model_dump_json()


def test_a_store_that_is_back_is_well_again(store: Store) -> None:
    now = [0.0]
    store.blobs = OSError("disk")
    store.known = Unavailable("away")
    probe = probed(store, now)
    store.blobs, store.known = None, ServiceFigures()
    now[0] = 6.0
    probe.tick()
    assert probe.health({}).status == "ok"
