"""A real Chromium, driven by Playwright, with what a person does on our pages.

A test that fails leaves a picture of each open page in `screenshots/`; `picture` takes one on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "screenshots"
_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIME_LIMIT_MS = 60_000
"""How long a page may take to show what it should, in milliseconds; these machines are slow and shared."""


@pytest.fixture
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    """A browser nobody has used before."""
    context = chromium.new_context(viewport={"width": 1280, "height": 860})
    context.set_default_timeout(TIME_LIMIT_MS)
    expect.set_options(timeout=TIME_LIMIT_MS)
    failed_before = request.session.testsfailed
    yield context
    if request.session.testsfailed > failed_before:
        for number, page in enumerate(context.pages):
            picture(page, f"failed-{request.node.name}-{number}")
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def picture(page: Page, name: str, *, full: bool = False) -> Path:
    """Keep a picture of a page in `screenshots/`."""
    PICTURES.mkdir(exist_ok=True)
    path = PICTURES / f"{name}.png"
    page.screenshot(path=path, full_page=full)
    return path


def sign_in(page: Page, user: str, password: str) -> None:
    """Fill in the hub's sign-in page."""
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
