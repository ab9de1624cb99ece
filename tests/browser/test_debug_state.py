"""What a person sees of a run's variables in its debug notebook: table, values, placeholders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from respawn_jobs.model.runs import Run, RunState
from support.browser import picture, sign_in
from support.hub import RunningHub, running_hub
from support.servers import fail

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.timeout(600)]

SOURCES = [
    "import numpy as np, pandas as pd",
    "readings = np.arange(3_000_000, dtype='f8')\n"
    "prices = pd.DataFrame({'name': ['tea', 'milk', 'bread'], 'price': [3.0, 1.0, 2.5]})\n"
    "rates = {'eur': 1.0, 'usd': 1.1}\n"
    "title = 'What things cost <today>'",
    "rows = (row for row in prices.itertuples())",
    "def dearest(): return prices.loc[prices.price.idxmax(), 'name']",
    "next(rows).cost",
]
MANY = ["globals().update({f'variable_with_a_long_name_{n:04}': n for n in range(3000)})", "1 / 0"]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[RunningHub]:
    # One for each test: JupyterLab opens again what a person had open.
    with running_hub(tmp_path / "hub", users=("ada",)) as running:
        yield running


def opened(page: Page, hub: RunningHub, run: Run) -> Locator:
    """Open a run's failure, and return the output of the cell that restored."""
    assert run.state is RunState.FAILED, run.error
    page.goto(f"{hub.service_url}/debug/{run.id}")
    sign_in(page, "ada", hub.password)
    page.wait_for_url("**/lab/tree/**")
    expect(page.locator(".respawn-failing-cell")).to_be_in_viewport()
    # JupyterLab keeps only what is near the view in the page.
    page.locator(".respawn-failing-cell").hover()
    page.mouse.wheel(0, -100_000)
    restored = page.locator(".jp-Notebook .jp-Cell").filter(has_text="%respawn restore")
    output = restored.locator(".jp-OutputArea-output").first
    output.scroll_into_view_if_needed()
    return output


def run_code(page: Page, code: str) -> Locator:
    """Run code in a new cell above the failing one; return its output."""
    page.locator(".respawn-failing-cell .jp-InputPrompt").first.click()
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    page.keyboard.insert_text(code)
    page.keyboard.press("Control+Enter")
    return page.locator(".jp-Notebook .jp-Cell.jp-mod-active .jp-OutputArea-output")


@pytest.mark.long
def test_variables_are_listed_loaded_on_use_and_explained_when_lost(page: Page, hub: RunningHub) -> None:
    table = opened(page, hub, fail(hub, "shop", SOURCES))
    row = table.get_by_role("row").filter(has_text="readings")
    expect(row).to_contain_text("numpy.ndarray")
    expect(row).to_contain_text("3,000,000 float64")
    expect(row).to_contain_text("22.9 MiB")
    expect(row).to_contain_text("when used")
    lost = table.get_by_role("row").filter(has_text="generator")
    expect(lost).to_contain_text("rows")
    expect(lost).to_contain_text("cell 2")
    expect(table).to_contain_text("What things cost <today>")
    picture(page, "state-1-table")

    expect(run_code(page, "dearest(), float(readings[-1])").first).to_contain_text("('tea', 2999999.0)")
    picture(page, "state-2-value")
    again = run_code(page, "%respawn state")
    expect(again.get_by_role("row").filter(has_text="readings")).to_contain_text("loaded")
    expect(again.get_by_role("row").filter(has_text="rates")).to_contain_text("when used")

    error = run_code(page, "next(rows)")
    expect(error.first).to_contain_text("NotRestored")
    expect(error.first).to_contain_text("Cell 2 made it: run cell 2 again here.")
    expect(error.first).to_contain_text("respawn:always")
    picture(page, "state-3-placeholder")

    run_code(page, "rates['eur'] = 2; mine = 1; del title")
    diff = run_code(page, f"%respawn diff {run_of(page)}")
    expect(diff.get_by_role("row").filter(has_text="rates")).to_contain_text("changed")
    expect(diff.get_by_role("row").filter(has_text="title")).to_contain_text("removed")
    picture(page, "state-4-diff")
    saved = run_code(page, "%respawn checkpoint fixed")
    expect(saved.first).to_contain_text("To come back to it, here or in another kernel")
    picture(page, "state-5-saved")


@pytest.mark.long
def test_thousands_of_variables_stay_in_a_box_that_scrolls(page: Page, hub: RunningHub) -> None:
    table = opened(page, hub, fail(hub, "many", MANY))
    expect(table).to_contain_text("3,000 variables")
    expect(table).to_contain_text("the first 200 of 3,000. To find another: %respawn state NAME")
    box = table.bounding_box()
    assert box is not None
    assert box["height"] < 700
    picture(page, "state-6-many")
    page.set_viewport_size({"width": 600, "height": 800})
    table.scroll_into_view_if_needed()
    picture(page, "state-7-narrow")
    page.set_viewport_size({"width": 1280, "height": 860})
    page.get_by_role("button", name="Failing cell").click()
    found = run_code(page, "%respawn state *_2995")
    expect(found.get_by_role("row")).to_have_count(2)


def run_of(page: Page) -> str:
    """Return the run that the open debug notebook is of."""
    return "run-" + Path(page.url).stem.rpartition("run-")[2]
