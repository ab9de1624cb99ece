"""A cell that is run before JupyterLab has connected a debug notebook finds the restored kernel."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route, expect

from support.hub import RunningHub
from support.lab import show_notebook
from support.servers import Server, fail
from support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.browser]


@pytest.mark.long
def test_cell_run_before_the_notebook_is_connected_has_the_restored_variables(
    page: Page, hub: RunningHub, server: Server
) -> None:
    run = fail(hub, "early-keys", ["made = [1, 2, 3]", "1 / 0"])
    path = server.open(run.id)[-1]["path"]
    kernel = _kernel_of(server, path)
    held: list[Route] = []
    fetched: list[str] = []

    def hold(route: Route) -> None:
        """Hold what JupyterLab asks between the text of the notebook and its connection to a kernel."""
        if fetched and route.request.method == "GET":
            held.append(route)
        else:
            route.continue_()

    page.route("**/api/sessions?*", hold)
    page.on("response", lambda answer: fetched.append(answer.url) if _is_text(answer.url) else None)
    show_notebook(page, server, path)
    failing = page.locator(".respawn-failing-cell")
    expect(failing).to_contain_class("jp-mod-active")
    wait_for(lambda: _asked(page, held), 60, "JupyterLab to ask for the session of the notebook")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+a")
    page.keyboard.insert_text("sum(made)")
    page.keyboard.press("Control+Enter")
    page.evaluate("() => new Promise((done) => requestIdleCallback(done))")  # the key has had its effect
    for route in held:
        route.continue_()
    held.clear()
    page.unroute("**/api/sessions?*")

    expect(failing.locator(".jp-OutputArea-output")).to_have_text("6", timeout=20_000)
    assert _kernel_of(server, path) == kernel


def _is_text(url: str) -> bool:
    return "/api/contents/" in url and "type=notebook" in url


def _asked(page: Page, held: list[Route]) -> bool:
    page.wait_for_timeout(50)  # Playwright calls the handlers of routes while it waits for the page
    return bool(held)


def _kernel_of(server: Server, path: str) -> str:
    sessions = server.call("GET", "api/sessions").json()
    return str(next(one["kernel"]["id"] for one in sessions if one["path"] == path))
