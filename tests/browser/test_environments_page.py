"""The page of environments in a real browser: light and dark, wide and narrow, by keyboard alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from respawn_jobs.ledger import Ledger
from support.browser import picture
from support.clocks import MovedClock
from support.contrast import MIN_CONTRAST
from support.ledgers import prepared_data
from support.pages_in_browser import ORIGIN, answer_with
from support.shown_environments import LONG_NAME, OLDER, play_environments
from support.signed_in import signed_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
PLACE = f"{ORIGIN}/services/respawn/environments"


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    clock = MovedClock()
    ledger = Ledger.embedded(prepared_data(tmp_path / "data"), clock=clock)
    play_environments(tmp_path, ledger, clock, monkeypatch)
    yield ledger
    ledger.close()


@pytest.fixture
def environments(context: BrowserContext, page: Page, ledger: Ledger, tmp_path: Path) -> Page:
    """The page, as an administrator of all sees it."""
    answer_with(context, signed_in(ledger, tmp_path))
    page.goto(PLACE, wait_until="domcontentloaded")
    return page


@pytest.mark.long
def test_the_page_can_be_read_in_both_themes_and_on_a_telephone(environments: Page) -> None:
    page = environments
    for name in ("Science (Respawn)", "Finance", "Draft", "Gone", "Base (Respawn)"):
        expect(page.get_by_role("region", name=name, exact=True)).to_be_visible()
    expect(
        page.get_by_role("navigation", name="Main").get_by_role("link", name="Environments")
    ).to_be_visible()
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.wait_for_selector(f"html[data-bs-theme={theme}]")
        assert (
            page.evaluate(MIN_CONTRAST, "main :is(a, p, li, dd, dt, td, th, code, span, h2, summary)") >= 4.5
        )
        picture(page, f"environments-{theme}", full=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    page.set_viewport_size({"width": 360, "height": 740})
    for fold in page.locator("summary").all():
        fold.press("Enter")
    assert page.locator("details:not([open])").count() == 0, "each fold opens by a key"
    assert page.evaluate("document.documentElement.scrollWidth") <= 360, "also with a name of 75 letters"
    picture(page, "environments-narrow", full=True)
    icon = page.locator(f"#respawn-{LONG_NAME} img")
    assert icon.evaluate("node => node.complete && node.naturalWidth") == 64, (
        "its own picture, or a drawn one"
    )


@pytest.mark.long
def test_the_keyboard_reaches_the_jobs_that_need_an_older_build(environments: Page, tmp_path: Path) -> None:
    page = environments
    row = page.locator(f"#respawn-science tr[data-build='{OLDER * 12}']")
    fold = row.locator("summary").filter(has_text="2 jobs, 3 runs")
    job = row.get_by_role("link", name="user/ada/report", exact=True)
    expect(job).to_be_hidden()
    fold.focus()
    page.keyboard.press("Enter")
    expect(job).to_be_visible()
    page.keyboard.press("Tab")
    expect(job).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs/user/ada/report", wait_until="domcontentloaded")
    page.get_by_role("link", name="respawn-science").first.click()
    page.wait_for_url("**/environments#respawn-science", wait_until="domcontentloaded")
    expect(page.locator("#respawn-science")).to_be_in_viewport()
    picture(page, "environments-from-a-job")
