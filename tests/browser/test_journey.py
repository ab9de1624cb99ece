"""The journey: a run failed at night; its owner opens the failure, fixes the cell and resumes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from respawn_jobs.api.service import RunRequest
from respawn_jobs.model.runs import CellState, Run, RunState
from respawn_jobs.notebook.promotion import prepare
from support.browser import picture, sign_in
from support.hub import RunningHub, running_hub
from support.waiting import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.timeout(600)]

EXAMPLE = Path(__file__).parents[2] / "examples" / "diabetes_scores.ipynb"
FAILING = 12
MENDED = """\
patients = patients.rename(columns={"body_mass_index": "bmi"})
scores = pd.Series(model.predict(with_features(patients)), patients.index, name="score")
scores.describe().round(1).to_frame()"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[RunningHub]:
    with running_hub(tmp_path / "hub", users=("ada",)) as running:
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
    _open_the_failure(page, failed)
    _look_at_a_variable(page)
    _fix_the_cell(page)
    resumed = _resume(page, failed)
    _see_it_succeed(resumed, hub, failed)


def _find_the_failed_run(page: Page, failed: Run) -> None:
    expect(page.get_by_role("link", name="diabetes-scores")).to_be_visible()
    picture(page, "journey-1-jobs")
    page.get_by_role("link", name="diabetes-scores").click()
    page.get_by_role("link", name=failed.id).first.click()
    expect(page.locator(f"#cell-{FAILING} .output-error")).to_contain_text("feature names")
    expect(page.get_by_role("alert")).to_contain_text("ValueError")
    picture(page, "journey-2-run", full=True)


def _open_the_failure(page: Page, failed: Run) -> None:
    page.get_by_role("link", name="Debug", exact=True).click()
    page.wait_for_url("**/lab/**")
    failing = page.locator(".respawn-failing-cell")
    expect(failing).to_be_in_viewport()
    expect(page.get_by_role("toolbar", name="Respawn")).to_contain_text(failed.id)
    picture(page, "journey-3-debug")


def _look_at_a_variable(page: Page) -> None:
    """Ask the kernel for what only the training made, in a cell of its own that is dropped again."""
    _select(page, page.locator(".respawn-failing-cell"))
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    page.keyboard.insert_text("sorted(search.best_params_), len(patients)")
    page.keyboard.press("Control+Enter")
    answer = page.locator(".jp-Notebook .jp-Cell.jp-mod-active .jp-OutputArea-output")
    expect(answer).to_contain_text("['max_depth', 'min_samples_leaf']")
    picture(page, "journey-4-variable")
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    page.keyboard.press("d")
    expect(page.locator(".jp-Notebook")).not_to_contain_text("sorted(search.best_params_)")


def _fix_the_cell(page: Page) -> None:
    failing = page.locator(".respawn-failing-cell")
    _select(page, failing)
    page.keyboard.press("Enter")
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(MENDED)
    page.keyboard.press("Control+Enter")
    expect(failing.locator(".jp-OutputArea-output")).to_contain_text("mean")
    picture(page, "journey-5-fixed")


def _resume(page: Page, failed: Run) -> Page:
    page.get_by_role("button", name="Resume…").click()
    plan = page.locator(".respawn-dialog").filter(has_text=f"Resume {failed.id}")
    expect(plan.get_by_role("row").filter(has_text="GridSearchCV(")).to_contain_text("reused")
    expect(plan.get_by_role("row").filter(has_text="body_mass_index")).to_contain_text("edited")
    picture(page, "journey-6-plan")
    plan.get_by_role("button", name="Resume").click()
    with page.context.expect_page() as opened:
        page.locator(".respawn-open-run").click()
    return opened.value


def _see_it_succeed(page: Page, hub: RunningHub, failed: Run) -> None:
    expect(page.locator("#run-head")).to_contain_text("succeeded", ignore_case=True)
    expect(page.locator("#run-head")).to_contain_text(failed.id)
    reused = page.locator("article.cell-reused")
    expect(reused).to_have_count(7)
    expect(page.locator(f"#cell-{FAILING}")).to_contain_text("done")
    picture(page, "journey-7-resumed", full=True)
    resumed = hub.service("ada").show(page.url.rstrip("/").rsplit("/", 1)[-1])
    assert resumed.run.state is RunState.SUCCEEDED
    assert resumed.run.origin == failed.id
    states = {cell.index: cell.state for cell in resumed.cells}
    assert all(state is CellState.REUSED for index, state in states.items() if index < FAILING)
    assert all(state is CellState.EXECUTED for index, state in states.items() if index >= FAILING)


def _select(page: Page, cell: Locator) -> None:
    """Select a cell in command mode by its prompt."""
    cell.locator(".jp-InputPrompt").first.click()
    page.keyboard.press("Escape")
