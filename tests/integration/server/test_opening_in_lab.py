"""A debug link asks for JupyterLab while variables are restored; the notebook is seen when they are there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page, Route, expect

from respawn_server.openings import ENDED_SECONDS
from support.browser import sign_in
from support.hub import RunningHub
from support.servers import Server, fail
from support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.browser, pytest.mark.long]

SOURCES = ["made = [1, 2, 3]", "1 / 0"]


def go_to_link(page: Page, hub: RunningHub, run: str) -> None:
    page.goto(f"{hub.service_url}/debug/{run}")
    sign_in(page, "ada", hub.password)
    page.wait_for_url("**/lab/tree/**", timeout=60_000)
    # Tabs that an earlier test left open come first.
    expect(page.locator(".lm-DockPanel-tabBar .lm-mod-current")).to_contain_text(run)


def hold_the_end(page: Page) -> Callable[[], None]:
    """Let JupyterLab hear of the opening's end only after the returned call."""
    held: list[Route] = []
    page.route(
        "**/respawn/api/debug/**",
        lambda route: held.append(route) if route.request.method == "GET" else route.continue_(),
    )

    def release() -> None:
        for route in held:
            route.continue_()
        page.unroute("**/respawn/api/debug/**")

    return release


def test_the_notebook_is_loaded_when_its_variables_are_there(
    page: Page, hub: RunningHub, server: Server
) -> None:
    run = fail(hub, "seen-late", SOURCES)
    release = hold_the_end(page)
    go_to_link(page, hub, run.id)
    expect(page.get_by_text(f"Restoring the variables of {run.id}")).to_be_visible()
    expect(page.locator(".jp-Spinner:visible")).to_have_count(1)
    expect(page.locator(".respawn-failing-cell:visible")).to_have_count(0)
    release()
    failing = page.locator(".respawn-failing-cell:visible")
    expect(failing).to_contain_text("1 / 0")
    expect(failing).to_be_in_viewport()
    expect(page.get_by_text(f"Restoring the variables of {run.id}")).to_have_count(0)
    path = page.url.rpartition("/lab/tree/")[2].partition("?")[0]
    assert server.evaluate(path, "made") == "[1, 2, 3]"


def test_it_can_be_edited_and_saved_at_once(page: Page, hub: RunningHub, server: Server) -> None:
    run = fail(hub, "saved-at-once", SOURCES)
    go_to_link(page, hub, run.id)
    failing = page.locator(".respawn-failing-cell:visible")
    expect(failing).to_be_in_viewport()
    failing.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.type("1 / 1")
    expect(failing).to_contain_text("1 / 1")
    page.keyboard.press("Control+s")
    file = server.home / "respawn-debug" / f"saved-at-once-{run.id}.ipynb"
    wait_for(lambda: "1 / 1" in file.read_text(), 30, "the saved notebook")
    expect(page.locator(".jp-Dialog")).to_have_count(0)
    cells = nbformat.read(file, as_version=4).cells
    assert "made" in json.dumps(cells[1].outputs)  # what was restored


def test_a_restore_that_fails_is_told_there_and_can_be_tried_again(
    page: Page, hub: RunningHub, server: Server, tmp_path: Path
) -> None:
    flag = tmp_path / "die"
    dies = f"os.path.exists({str(flag)!r}) and os._exit(1)"
    (tmp_path / "fatal.py").write_text(f"import os\ndef load_ipython_extension(_):\n    {dies}")
    run = fail(hub, "told-there", [f"import sys; sys.path.append({str(tmp_path)!r})\n%load_ext fatal", "1/0"])
    flag.touch()
    go_to_link(page, hub, run.id)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Its variables are not there")
    expect(dialog).to_contain_text("died while it restored")
    flag.unlink()
    dialog.get_by_role("button", name="Try again").click()
    page.wait_for_url("**/respawn/debug/**")
    expect(page.locator(".respawn-failing-cell:visible")).to_contain_text("1/0")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_address_that_led_there_opens_the_notebook_later_too(
    page: Page, hub: RunningHub, server: Server
) -> None:
    run = fail(hub, "later-too", SOURCES)
    path = server.open(run.id)[-1]["path"]
    assert server.call("GET", f"respawn/api/debug/{run.id}").text.endswith('"path": "' + path + '"}\n')
    other = fail(hub, "not-opened", SOURCES)
    answer = server.call("GET", f"respawn/api/debug/{other.id}")
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
    assert ENDED_SECONDS < 300
    page.goto(f"{hub.url}/hub/login?next=/user/ada/lab/tree/{path}%3Frespawn={other.id}")
    sign_in(page, server.user, hub.password)
    expect(page.locator(".respawn-failing-cell:visible")).to_contain_text("1 / 0")


def test_without_the_plugin_the_page_waits_for_the_variables(
    page: Page, hub: RunningHub, server: Server
) -> None:
    run = fail(hub, "without-plugin", SOURCES)
    disabled = server.home / ".jupyter" / "labconfig" / "page_config.json"
    assert 'data-lab-waits="true"' in server.call("GET", f"respawn/debug/{run.id}").text
    disabled.parent.mkdir(parents=True, exist_ok=True)
    disabled.write_text(json.dumps({"disabledExtensions": {"respawn": True}}))
    try:
        assert 'data-lab-waits="false"' in server.call("GET", f"respawn/debug/{run.id}").text
        go_to_link(page, hub, run.id)
        assert "respawn=" not in page.url
    finally:
        disabled.unlink()
    path = f"respawn-debug/without-plugin-{run.id}.ipynb"
    assert server.evaluate(path, "made") == "[1, 2, 3]"
