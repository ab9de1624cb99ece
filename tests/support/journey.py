"""The steps of the journey in a browser: a failure is opened, its cell fixed, and the run resumed."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from respawn_jobs.model.runs import CellState, Run, RunState
from support.browser import picture
from support.hub import RunningHub

EXAMPLE = Path(__file__).parents[2] / "examples" / "diabetes_scores.ipynb"
FAILING = 12
"""The cell of the example that fails."""
FIX = """\
patients = patients.rename(columns={"body_mass_index": "bmi"})
scores = pd.Series(model.predict(with_features(patients)), patients.index, name="score")
scores.describe().round(1).to_frame()"""


def open_the_failure(page: Page, failed: Run) -> None:
    """See the failing cell, after the link to it was followed."""
    page.wait_for_url("**/lab/**")
    failing = page.locator(".respawn-failing-cell")
    expect(failing).to_be_in_viewport()
    expect(page.get_by_role("toolbar", name="Respawn")).to_contain_text(failed.id)
    picture(page, "journey-3-debug")


def look_at_a_variable(page: Page) -> None:
    """Ask the kernel for what only the training made."""
    source = "sorted(search.best_params_), len(patients)"
    ask_the_kernel(page, source, "['max_depth', 'min_samples_leaf']", "journey-4-variable")


def ask_the_kernel(page: Page, source: str, answer: str, name: str | None = None) -> None:
    """Ask the kernel of a debug notebook for something, in a cell of its own that is dropped again.

    Args:
        page: where JupyterLab shows the notebook.
        source: what to ask.
        answer: a part of what it must answer.
        name: of a picture that is taken then; None for none.
    """
    select(page, page.locator(".respawn-failing-cell"))
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    page.keyboard.insert_text(source)
    page.keyboard.press("Control+Enter")
    active = page.locator(".jp-Notebook:visible .jp-Cell.jp-mod-active .jp-OutputArea-output")
    expect(active).to_contain_text(answer)
    if name is not None:
        picture(page, name)
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    page.keyboard.press("d")
    expect(page.locator(".jp-Notebook:visible")).not_to_contain_text(source)


def fix_the_cell(page: Page) -> None:
    failing = page.locator(".respawn-failing-cell")
    select(page, failing)
    page.keyboard.press("Enter")
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(FIX)
    page.keyboard.press("Control+Enter")
    expect(failing.locator(".jp-OutputArea-output")).to_contain_text("mean")
    picture(page, "journey-5-fixed")


def resume(page: Page, failed: Run) -> Page:
    page.get_by_role("button", name="Resume…").click()
    plan = page.locator(".respawn-dialog").filter(has_text=f"Resume {failed.id}")
    expect(plan.get_by_role("row").filter(has_text="GridSearchCV(")).to_contain_text("reused")
    expect(plan.get_by_role("row").filter(has_text="body_mass_index")).to_contain_text("edited")
    picture(page, "journey-6-plan")
    plan.get_by_role("button", name="Resume").click()
    with page.context.expect_page() as opened:
        page.locator(".respawn-open-run").click()
    return opened.value


def see_it_succeed(page: Page, hub: RunningHub, failed: Run) -> None:
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


def select(page: Page, cell: Locator) -> None:
    """Select a cell in command mode by its prompt."""
    cell.locator(".jp-InputPrompt").first.click()
    page.keyboard.press("Escape")
