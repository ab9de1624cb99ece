"""The pages of Resume and Restart ask before a fix leaves triggers with parameters that it does not take."""

from __future__ import annotations

import asyncio
import re
from html import unescape
from pathlib import Path

import httpx
import pytest

from respawn_hub.auth.dependencies import FORM_FIELD
from respawn_jobs.api.service import Promotion, RunRequest, ScheduleRequest
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.people.actor_service import ActorService
from respawn_jobs.model.runs import Run
from support.notebooks import notebook, text
from support.runners import PlayedRunner
from support.signed_in import SignedIn, signed_in

TICK = 'name="break_triggers"'
WAYS = ["resume", "restart"]


@pytest.fixture
def browser(ledger: Ledger, tmp_path: Path) -> SignedIn:
    return signed_in(ledger, tmp_path)


@pytest.fixture
def failed(ada: ActorService, ledger: Ledger) -> Run:
    """A failed run of a job whose parameter `old` a schedule gives."""
    nb = text(notebook("a = 1", "b = c", parameters="old = 1"))
    ada.promote(Promotion(name="report", notebook=nb))
    ada.schedule(ScheduleRequest(job="report", cron="0 2 * * *", tz="UTC", parameters={"old": 2}))
    runner = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    runner.begin()
    runner.execute(0)
    runner.execute(1)
    runner.fail(2)
    return ada.runs()[0]


def upload(browser: SignedIn, run: Run, way: str, parameters: str, **more: str) -> httpx.Response:
    """Send the form of the page with a fixed notebook."""
    fixed = text(notebook("a = 1", "b = 2", parameters=parameters))
    data = {FORM_FIELD: browser.form_token, "revision": str(run.revision), "button": "start", **more}
    files = {"notebook": ("fixed.ipynb", fixed.encode(), "application/json")}
    path = f"/services/respawn/runs/{run.id}/{way}"
    return asyncio.run(browser._ask("POST", path, {"data": data, "files": files}))


def again(browser: SignedIn, run: Run, way: str, page: str, **more: str) -> httpx.Response:
    """Send the form that a page shows, with its hidden fields."""
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))
    path = f"/services/respawn/runs/{run.id}/{way}"
    return browser.ask("POST", path, form={**hidden, "button": "start", **more})


@pytest.mark.parametrize("way", WAYS)
def test_the_page_names_the_triggers_and_goes_on_once_the_tick_is_set(browser, ada, failed, way):
    asked = upload(browser, failed, way, "new = 1")
    said = unescape(asked.text)
    assert "A trigger gives parameters that version 2 of user/ada/report does not take" in said
    assert "the schedule '0 2 * * *' in UTC" in said
    assert TICK in said
    assert len(ada.versions("report")) == 1
    without = again(browser, failed, way, asked.text)
    assert without.status_code == 409
    assert TICK in without.text
    assert len(ada.versions("report")) == 1
    assert again(browser, failed, way, asked.text, break_triggers="yes").status_code == 303
    assert ada.job("report").version == 2


@pytest.mark.parametrize("way", WAYS)
def test_a_tick_for_one_notebook_is_none_for_another(browser, ada, failed, way):
    upload(browser, failed, way, "new = 1", break_triggers="yes")
    assert len(ada.versions("report")) == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_fix_that_triggers_fit_shows_no_tick(browser, ada, failed, way):
    answer = upload(browser, failed, way, "old = 3")
    assert TICK not in answer.text
    if way == "resume":
        answer = again(browser, failed, way, answer.text)
    assert answer.status_code == 303
