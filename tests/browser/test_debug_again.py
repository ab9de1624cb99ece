"""A debug notebook shows which cells make what is missing before it runs them, and a resume can be strict."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from support.browser import picture, sign_in
from support.hub import RunningHub, running_hub
from support.servers import fail

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[RunningHub]:
    with running_hub(tmp_path / "hub", users=("ada",)) as running:
        yield running


@pytest.mark.long
def test_nothing_runs_unseen_and_a_strict_resume_can_be_chosen(
    page: Page, hub: RunningHub, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    source = f"import threading\nlock = threading.Lock(); lock.acquire()\nopen({str(made)!r}, 'a').write('x')"
    run = fail(hub, "locks", ["n = 1", source, "m = 2", "1/0"], c1=["respawn:always"])
    assert made.read_text() == "x"
    page.goto(f"{hub.service_url}/debug/{run.id}")
    sign_in(page, "ada", hub.password)
    page.wait_for_url("**/lab/tree/**")
    expect(page.locator(".respawn-failing-cell")).to_be_in_viewport()
    page.locator(".respawn-failing-cell").hover()
    page.mouse.wheel(0, -100_000)  # JupyterLab keeps only what is near the view in the page
    expect(page.locator(".jp-Notebook")).to_contain_text("Not run yet")
    assert made.read_text() == "x", "opening it executed no cell"
    picture(page, "debug-cells-not-run-yet", full=True)

    page.get_by_role("button", name="Resume…").click()
    plan = page.locator(".respawn-dialog")
    strict = plan.get_by_label("Strict: run everything again from the first change on")
    expect(strict).not_to_be_checked()
    strict.check()
    expect(plan.get_by_role("button", name="Resume", exact=True)).to_be_enabled()
    picture(page, "lab-resume-strict", full=True)
