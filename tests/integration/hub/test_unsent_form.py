"""A form that is sent after the session is over, in a real browser: nothing is done, or typed in vain."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from respawn_jobs.api.service import Promotion, ScheduleRequest
from respawn_jobs.remote.client import RemoteService
from support.browser import picture, sign_in
from support.hub import RunningHub
from support.notebooks import notebook, text

pytestmark = [pytest.mark.integration, pytest.mark.browser]
PARAMETERS = 'rows = 100\nnote: str = ""\nflag: bool = True\npassword = ""'
SECRET = "tr0ub4dor&3"


@pytest.fixture
def signed_in(page: Page, hub: RunningHub) -> Page:
    page.goto(f"{hub.service_url}/")
    sign_in(page, "ada", hub.password)
    page.wait_for_url(f"{hub.service_url}/")
    return page


def promoted(ada: RemoteService, name: str) -> str:
    nb = text(notebook("print(rows, note)", parameters=PARAMETERS))
    return ada.promote(Promotion(name=name, notebook=nb)).job


def end_session(page: Page, hub: RunningHub) -> None:
    page.context.clear_cookies()


def held(page: Page) -> str:
    return str(page.evaluate("sessionStorage.getItem('respawn-unsent')"))


@pytest.mark.long
def test_a_run_that_was_asked_for_while_signed_out_is_asked_for_again_with_what_was_typed(
    signed_in: Page, hub: RunningHub, ada: RemoteService
) -> None:
    page, job = signed_in, promoted(ada, "unsent-run")
    page.goto(f"{hub.service_url}/jobs/{job}")
    form = page.locator('form[action$="/run"]')
    form.locator('[name="parameter:rows"]').fill("7")
    form.locator('[name="parameter:note"]').fill("as typed")
    form.locator('[name="parameter:flag"]').select_option("False")
    form.locator('[name="parameter:password"]').fill(SECRET)
    end_session(page, hub)
    page.get_by_role("button", name="Run now").click()

    sign_in(page, "ada", hub.password)
    expect(page.get_by_role("heading", name="Nothing was done")).to_be_visible()
    assert SECRET not in page.url
    assert SECRET not in held(page)
    assert ada.runs(job=job) == []
    picture(page, "unsent")
    page.get_by_role("link", name="Back to the form").click()

    expect(form.get_by_role("status")).to_contain_text("was not sent yet")
    expect(form.locator('[name="parameter:rows"]')).to_have_value("7")
    expect(form.locator('[name="parameter:note"]')).to_have_value("as typed")
    expect(form.locator('[name="parameter:flag"]')).to_have_value("False")
    expect(form.locator('[name="parameter:password"]')).to_have_value("")
    assert held(page) == "None"
    picture(page, "unsent-filled-in")
    page.get_by_role("button", name="Run now").click()
    page.wait_for_url("**/runs/run-*")
    (run,) = ada.runs(job=job)
    assert run.parameters == {"rows": 7, "note": "as typed", "flag": False}
    page.goto(f"{hub.service_url}/jobs/{job}")
    expect(form.locator('[name="parameter:rows"]')).to_have_value("")


@pytest.mark.long
def test_the_form_of_a_schedule_is_opened_again_and_keeps_its_secret(
    signed_in: Page, hub: RunningHub, ada: RemoteService
) -> None:
    page, job = signed_in, promoted(ada, "unsent-schedule")
    given = {"rows": 5, "password": SECRET}
    ada.schedule(ScheduleRequest(job=job, cron="0 3 * * *", tz="UTC", parameters=given))
    page.goto(f"{hub.service_url}/jobs/{job}")
    page.get_by_role("link", name="Change 0 3 * * *").click()
    form = page.get_by_role("form", name="Change 0 3 * * *")
    expect(form.locator('[name="parameter:rows"]')).to_have_value("5")
    assert SECRET not in page.content()
    form.locator('[name="cron"]').fill("0 4 * * *")
    form.locator('[name="parameter:rows"]').fill("6")
    end_session(page, hub)
    form.get_by_role("button", name="Save").click()

    sign_in(page, "ada", hub.password)
    page.get_by_role("link", name="Back to the form").click()
    expect(form.locator('[name="cron"]')).to_have_value("0 4 * * *")
    expect(form.locator('[name="parameter:rows"]')).to_have_value("6")
    assert ada.job(job).schedules[0].cron == "0 3 * * *"
    form.get_by_role("button", name="Save").click()
    expect(page.locator(".schedule").get_by_text("0 4 * * *").first).to_be_visible()
    (schedule,) = ada.job(job).schedules
    assert (schedule.cron, schedule.parameters["rows"]) == ("0 4 * * *", 6)
    assert schedule.parameters["password"] == "[secret]"


@pytest.mark.long
def test_what_one_person_typed_is_not_filled_in_for_another(
    signed_in: Page, hub: RunningHub, ada: RemoteService
) -> None:
    page, job = signed_in, promoted(ada, "unsent-by-ada")
    page.goto(f"{hub.service_url}/jobs/{job}")
    page.locator('form[action$="/run"] [name="parameter:note"]').fill("of ada alone")
    end_session(page, hub)
    page.get_by_role("button", name="Run now").click()
    sign_in(page, "root", hub.password)
    page.get_by_role("link", name="Back to the form").click()
    page.wait_for_url(f"**/jobs/{job}")
    expect(page.locator('form[action$="/run"] [name="parameter:note"]')).to_have_value("")
    assert held(page) == "None"
