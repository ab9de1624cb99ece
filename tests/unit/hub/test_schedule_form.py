"""The form on a job's page that says what becomes of missed times."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion
from respawn_jobs.ledger import Ledger
from support.ledgers import prepared_data
from support.notebooks import notebook, text

PAGE = "/services/respawn/jobs/user/ada/report"
FORM = {"cron": "0 3 * * *", "tz": "UTC"}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.embedded(prepared_data(tmp_path / "data"))
    ledger.as_actor(Actor.owner("ada")).promote(Promotion(name="report", notebook=text(notebook("a = 1"))))
    yield ledger
    ledger.close()


@pytest.mark.parametrize("missed", ["latest", "all", "skip"])
def test_a_schedule_is_added_with_what_becomes_of_missed_times(browse, ledger, missed):
    answer = browse("POST", f"{PAGE}/schedules", {**FORM, "missed": missed})
    assert answer.status_code == 303
    (schedule,) = ledger.as_actor(Actor.owner("ada")).job("report").schedules
    assert schedule.missed == missed
    page = browse("GET", PAGE).text
    assert ("makes up for missed times, the last 100 at most" in page) == (missed == "all")
    assert ("leaves out missed times" in page) == (missed == "skip")


def test_a_wrong_choice_is_told_on_the_page_and_nothing_is_kept(browse, ledger):
    answer = browse("POST", f"{PAGE}/schedules", {**FORM, "missed": "sometimes"})
    assert answer.status_code == 422
    assert "`missed` must be" in answer.text
    assert ledger.as_actor(Actor.owner("ada")).job("report").schedules == []
