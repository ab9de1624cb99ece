"""The page of a run in a real browser: it follows the run by itself, and breaks none of its own rules."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.remote.client import RemoteService
from support.hub import RunningHub
from support.notebooks import notebook, text
from support.servers import finished

pytestmark = [pytest.mark.integration, pytest.mark.browser]
STEPS = "import time\nfor i in range(6):\n    print('step', i, flush=True)\n    time.sleep(0.5)"


@pytest.fixture
def signed_in(page: Page, hub: RunningHub) -> Page:
    page.goto(f"{hub.service_url}/")
    page.fill("#username_input", "ada")
    page.fill("#password_input", hub.password)
    page.click("#login_submit")
    page.wait_for_url(f"{hub.service_url}/")
    return page


@pytest.mark.long
def test_a_run_is_followed_without_reloading(signed_in: Page, hub: RunningHub, ada: RemoteService) -> None:
    page, complaints = signed_in, []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    ada.promote(Promotion(name="steps", notebook=text(notebook(STEPS, "1/0"))))

    page.goto(f"{hub.service_url}/jobs/user/ada/steps")
    page.get_by_role("button", name="Run now").click()
    page.wait_for_url("**/runs/run-*")
    page.evaluate("window.neverReloaded = true")

    expect(page.locator("#cell-0 .badge").first).to_have_text("running")
    expect(page.locator("#cell-0 .output")).to_contain_text("step 2")
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    expect(page.locator("#cell-0 .badge").first).to_have_text("done")
    expect(page.locator("#run-head").get_by_text("Failed")).to_be_visible()
    expect(page.locator("#cell-1 .output-error")).to_contain_text("ZeroDivisionError")
    expect(page.get_by_role("link", name="Debug")).to_be_visible()
    assert page.evaluate("window.neverReloaded") is True
    assert complaints == []


@pytest.mark.long
def test_a_click_is_heard_though_the_part_that_it_is_in_changes_meanwhile(
    signed_in: Page, hub: RunningHub, ada: RemoteService
) -> None:
    page = signed_in
    ada.promote(Promotion(name="pressed", notebook=text(notebook("1"))))
    run = finished(hub, ada.run(RunRequest(job="pressed")).id)
    page.goto(f"{hub.service_url}/jobs/user/ada/pressed")
    page.locator("#job-runs").get_by_role("link", name=run.id).hover()
    page.mouse.down()

    later = ada.run(RunRequest(job="pressed"))
    with page.expect_response(
        lambda answer: "/jobs/user/ada/pressed" in answer.url and later.id in answer.text()
    ):
        pass
    page.evaluate("() => new Promise((resolve) => setTimeout(resolve, 500))")
    page.mouse.up()
    page.wait_for_url(f"**/runs/{run.id}")


@pytest.mark.long
def test_the_next_fires_are_shown_while_a_schedule_is_written(
    signed_in: Page, hub: RunningHub, ada: RemoteService
) -> None:
    page = signed_in
    ada.promote(Promotion(name="steps", notebook=text(notebook(STEPS, "1/0"))))
    page.goto(f"{hub.service_url}/jobs/user/ada/steps")

    page.fill("#cron-new", "0 6 * * 1")
    page.fill("#tz-new", "Europe/Berlin")
    expect(page.locator("#new-schedule .fires li")).to_have_count(4)
    expect(page.locator("#new-schedule .fires li").first).to_contain_text("Mon")
    page.fill("#cron-new", "0 0 30 2 *")
    expect(page.locator("#new-schedule .fires")).to_contain_text("30 2")


@pytest.mark.long
@pytest.mark.parametrize("path", ["", "jobs/user/ada/steps"])
def test_a_narrow_window_needs_no_scrolling_sideways(signed_in: Page, hub: RunningHub, path: str) -> None:
    signed_in.set_viewport_size({"width": 360, "height": 740})
    signed_in.goto(f"{hub.service_url}/{path}")

    assert signed_in.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.long
def test_a_script_of_another_page_of_the_hub_reads_nothing_and_changes_nothing(
    signed_in: Page, hub: RunningHub, ada: RemoteService
) -> None:
    ada.promote(Promotion(name="steps", notebook=text(notebook(STEPS, "1/0"))))
    page = signed_in
    page.goto(f"{hub.url}/hub/home")  # of the service's origin, as the page of any user's server is

    def fetched(path: str, **options: object) -> dict[str, object]:
        script = """async ([address, options]) => {
            const answer = await fetch(address, options);
            return { status: answer.status, text: await answer.text() };
        }"""
        return dict(page.evaluate(script, [f"{hub.service_url}/{path}", options]))

    for path in ("", "jobs/user/ada/steps", "api/v1/jobs", "api/v1/jobs/steps", "runs/run-x"):
        told = fetched(path)
        assert told["status"] in (401, 403), path
        assert "_form_token" not in str(told["text"])
    form = {"method": "POST", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}
    for path in ("jobs/user/ada/steps/run", "api/v1/runs", "sign-out", "no/such/page"):
        told = fetched(path, **form, body="job=steps&_form_token=")
        assert told["status"] in (401, 403, 404, 405), path
        assert 'value="' not in str(told["text"])
    assert ada.runs(job="steps", limit=10) == [
        run for run in ada.runs(job="steps") if run.trigger == "person"
    ]
    page.goto(f"{hub.service_url}/")
    expect(page.get_by_text("Logout")).to_be_visible()
