"""Backfills and missed times over HTTP, as `RemoteService` sees them; and the loop that makes their runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import pytest

from respawn_hub.auth import dependencies
from respawn_hub.hub.client import HubUser
from respawn_hub.loops.backfiller import Backfiller
from respawn_jobs.api.backfills import BackfillRequest
from respawn_jobs.api.service import Promotion, ScheduleRequest
from respawn_jobs.errors import InvalidInput, NotFound
from respawn_jobs.ledger import Ledger
from respawn_jobs.remote.client import RemoteService
from support.ledgers import prepared_data
from support.notebooks import notebook, text
from support.service import served

pytestmark = pytest.mark.integration


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.embedded(
        prepared_data(tmp_path / "data"), clock=lambda: datetime(2026, 3, 2, 8, tzinfo=UTC)
    )
    yield ledger
    ledger.close()


@pytest.fixture
def ada(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RemoteService]:
    """Ada over HTTP; the service takes any token for hers."""

    async def hub_user(*_: object, **_options: object) -> HubUser:
        return HubUser(
            name="ada", kind="user", scopes=frozenset({"custom:respawn:edit!user=ada"}), groups=frozenset()
        )

    monkeypatch.setattr(dependencies, "hub_user", hub_user)
    with served(ledger, tmp_path) as url:
        service = RemoteService(url, "token")
        service.promote(Promotion(name="report", notebook=text(notebook("a = 1", parameters="rows = 1"))))
        yield service
        service.close()


def test_a_backfill_is_previewed_started_watched_and_stopped_over_http(
    ledger: Ledger, ada: RemoteService
) -> None:
    request = BackfillRequest(
        job="report", start=date(2026, 2, 1), end=date(2026, 2, 28), every="day", parallel=3
    )
    assert ada.preview_backfill(request).total == 28
    started = ada.backfill(request)
    assert ada.backfills("report") == ada.backfills() == [started]
    told: list[None] = []
    backfiller = Backfiller(ledger, lambda: told.append(None))
    assert backfiller.tick() == 1.0
    backfiller.tick()
    assert len(told) == 1
    assert ada.show_backfill(started.id).queued == 3
    stopped = ada.stop_backfill(started.id, cancel=True)
    assert (stopped.state, stopped.made, stopped.cancelled) == ("stopped", 3, 3)


def test_what_is_wrong_with_a_backfill_is_told_over_http(ada: RemoteService) -> None:
    with pytest.raises(InvalidInput, match="the first and the last date"):
        ada.backfill(BackfillRequest(job="report"))
    with pytest.raises(NotFound, match="bfl-none"):
        ada.show_backfill("bfl-none")
    answer = httpx.post(
        f"{ada.url}/api/v1/backfills",
        headers={"Authorization": "token t"},
        json={"job": "report", "parallel": 0},
    )
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_input")


def test_a_schedule_tells_what_becomes_of_missed_times(ada: RemoteService) -> None:
    request = ScheduleRequest(job="report", cron="0 * * * *", tz="UTC", missed="all", max_missed=20)
    made = ada.schedule(request)
    assert (made.missed, made.max_missed) == ("all", 20)
    assert ada.job("report").schedules == [made]
