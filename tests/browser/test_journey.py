"""The journey: a run failed at night; its owner opens the failure, fixes the cell and resumes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from respawn_jobs.api.service import RunRequest
from respawn_jobs.model.runs import Run, RunState
from respawn_jobs.notebook.promotion import prepare
from support.browser import picture, sign_in
from support.hub import RunningHub, running_hub
from support.journey import (
    EXAMPLE,
    FAILING,
    fix_the_cell,
    look_at_a_variable,
    open_the_failure,
    resume,
    see_it_succeed,
)
from support.waiting import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture(params=["local", pytest.param("hub", marks=pytest.mark.long)])
def hub(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningHub]:
    """A hub whose jobs run beside the service, or in servers that it starts for their owners."""
    with running_hub(tmp_path / "hub", users=("ada",), executor=request.param) as running:
        yield running


@pytest.fixture
def failed(hub: RunningHub) -> Run:
    service = hub.service("ada")
    version = service.promote(prepare(EXAMPLE, "diabetes-scores"))
    assert version.kernel == "respawn-science"
    assert version.lock is not None
    run = service.run(RunRequest(job="diabetes-scores"))
    wait_for(lambda: service.show(run.id).run.state.final, 180, f"the end of {run.id}")
    run = service.show(run.id).run
    assert run.state is RunState.FAILED, run.error
    assert run.error is not None
    assert run.error.cell == FAILING
    return run


def test_failed_run_is_debugged_fixed_and_resumed(page: Page, hub: RunningHub, failed: Run) -> None:
    page.goto(f"{hub.service_url}/")
    sign_in(page, "ada", hub.password)
    _find_the_failed_run(page, failed)
    page.get_by_role("link", name="Debug", exact=True).click()
    open_the_failure(page, failed)
    look_at_a_variable(page)
    fix_the_cell(page)
    resumed = resume(page, failed)
    see_it_succeed(resumed, hub, failed)


def _find_the_failed_run(page: Page, failed: Run) -> None:
    expect(page.get_by_role("link", name="diabetes-scores")).to_be_visible()
    picture(page, "journey-1-jobs")
    page.get_by_role("link", name="diabetes-scores").click()
    page.get_by_role("link", name=failed.id).first.click()
    expect(page.locator(f"#cell-{FAILING} .output-error")).to_contain_text("feature names")
    expect(page.get_by_role("alert")).to_contain_text("ValueError")
    picture(page, "journey-2-run", full=True)
