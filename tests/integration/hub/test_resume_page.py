"""The page that tells what a resume would do, in a real browser: reasons, parameters, agreements."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from respawn_jobs.api.history import ImportRequest
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.model.runs import Run, RunState
from respawn_jobs.remote.client import RemoteService
from support.browser import picture, sign_in
from support.hub import RunningHub
from support.notebooks import notebook, text

from .conftest import ended

pytestmark = [pytest.mark.integration, pytest.mark.browser]

PARAMETERS = "rate: float = 0.1  # interest of a year\nyears = [1, 5, 10]\nverbose = True"
CELLS = (
    "loans = [1000, 2500, 40000]",
    "totals = [loan * (1 + rate) for loan in loans]",
    "count = len(loans)",
    "stream = (loan for loan in loans)",
    "report = (totals, count)",
    "raise ValueError('no such customer')",
    "print(report, next(stream))",
)


@pytest.fixture(scope="module")
def stopped(ada: RemoteService) -> Run:
    """A run of ada's with parameters that failed in its last cell but one."""
    ada.promote(Promotion(name="loans", notebook=text(notebook(*CELLS, parameters=PARAMETERS))))
    run = ended(ada, ada.run(RunRequest(job="loans", parameters={"rate": 0.2})).id)
    assert run.state is RunState.FAILED
    return run


@pytest.fixture
def form(page: Page, hub: RunningHub, stopped: Run) -> Page:
    """The page with the plan, opened by ada."""
    page.goto(f"{hub.service_url}/")
    sign_in(page, "ada", hub.password)
    page.wait_for_url(f"{hub.service_url}/")
    page.goto(f"{hub.service_url}/runs/{stopped.id}/resume")
    return page


def why(page: Page, cell: int) -> str:
    row = page.locator(".plan tbody tr").filter(has=page.locator(f'td[data-label="Cell"]:text-is("{cell}")'))
    return " | ".join(row.locator("td").all_inner_texts())


@pytest.mark.long
def test_a_changed_parameter_shows_what_runs_again_and_why(form: Page) -> None:
    form.get_by_text("Change parameters").click()
    expect(form.get_by_label("rate")).to_have_attribute("placeholder", "0.2")
    form.get_by_label("rate").fill("0.3")
    form.get_by_role("button", name="Resume").click()

    expect(form.get_by_role("cell", name="parameter rate changed")).to_be_visible()
    assert "reads rate, which cell 1 makes" in why(form, 3)
    assert "reads totals, which cell 3 makes" in why(form, 6)
    assert "unchanged and finished" in why(form, 4)
    assert form.get_by_label("rate").input_value() == "0.3"
    picture(form, "resume-plan-with-parameters", full=True)


@pytest.mark.long
def test_what_could_not_be_stored_is_made_again_once_that_is_agreed(form: Page) -> None:
    expect(form.get_by_role("alert").first).to_contain_text("Cell 8 reads stream")
    picture(form, "resume-plan-that-needs-agreement", full=True)
    form.get_by_label("Run cell 5 again").check()
    form.get_by_role("button", name="Show the plan").click()

    expect(form.get_by_role("alert")).to_have_count(0)
    assert "makes stream, which could not be stored" in why(form, 5)
    picture(form, "resume-plan-agreed", full=True)


@pytest.mark.long
def test_a_value_that_does_not_fit_comes_back_with_its_reason(form: Page) -> None:
    form.get_by_text("Change parameters").click()
    form.get_by_label("years").fill("soon")
    form.get_by_role("button", name="Show the plan").click()

    expect(form.get_by_role("alert").first).to_contain_text("expected list")
    years = form.get_by_label("years")
    expect(years).to_have_value("soon")
    expect(years).to_have_accessible_description(re.compile("expected list"))
    expect(years).to_be_focused()


@pytest.mark.long
def test_the_plan_fits_a_narrow_window(form: Page) -> None:
    form.set_viewport_size({"width": 360, "height": 740})
    form.get_by_text("Change parameters").click()

    assert form.evaluate("document.documentElement.scrollWidth") <= 360
    picture(form, "resume-plan-narrow", full=True)


@pytest.mark.long
def test_a_strict_plan_is_shown_before_it_is_started(form: Page) -> None:
    form.get_by_text("Change parameters").click()
    form.get_by_label("rate").fill("0.3")
    form.get_by_role("button", name="Show the plan").click()
    row = form.locator(".plan tbody tr").filter(has_text="loans = [1000")
    expect(row).to_contain_text("reused")
    picture(form, "resume-plan-by-evidence", full=True)
    form.get_by_label("Strict: run everything again").check()
    form.get_by_role("button", name="Resume").click()

    expect(form.get_by_label("Strict: run everything again")).to_be_checked()
    expect(form.get_by_role("cell", name="below cell 1, which changed (strict)").first).to_be_visible()
    assert "runs" in why(form, 4)
    picture(form, "resume-plan-strict", full=True)


@pytest.mark.long
def test_the_state_of_an_archive_is_loaded_once_that_is_agreed(
    page: Page, hub: RunningHub, ada: RemoteService, stopped: Run, tmp_path: Path
) -> None:
    ada.export_run(stopped.id, tmp_path / "run.zip")
    imported = ada.import_run(tmp_path / "run.zip", ImportRequest(job="imported"))
    page.goto(f"{hub.service_url}/")
    sign_in(page, "ada", hub.password)
    page.wait_for_url(f"{hub.service_url}/")
    page.goto(f"{hub.service_url}/runs/{imported.id}/resume")
    asked = page.get_by_role("alert").filter(has_text=f"archive of {stopped.id}, exported by ada")
    expect(asked).to_be_visible()
    page.get_by_label("Run cell 5 again").check()
    page.get_by_role("button", name="Resume").click()
    expect(asked.first).to_be_visible()
    assert ada.show(imported.id).run.resumed_by is None
    picture(page, "resume-plan-of-an-archive", full=True)

    page.get_by_label("Load the state that was made elsewhere").check()
    page.get_by_role("button", name="Resume").click()
    page.wait_for_url(re.compile(r"/runs/run-\w+$"))
    assert ada.show(imported.id).run.resumed_by is not None
