"""A debug link asks for its kernel while its page loads, and nothing is executed in it before it is taken."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from respawn_jobs.api.service import RunRequest
from support.browser import sign_in
from support.hub import RunningHub
from support.servers import Server, fail, finished
from support.waiting import wait_for

pytestmark = pytest.mark.integration

SOURCES = ["made = [1, 2, 3]", "1 / 0"]
GOES_THERE = {"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}
"""What a browser sends for a page that a person goes to."""


def kernels(server: Server) -> set[str]:
    """The ids of the kernels of a server, those that boot among them."""
    return {one["id"] for one in server.call("GET", "api/kernels").json()}


def answer_of(server: Server, kernel: str, expression: str) -> str | None:
    """The value of an expression in a kernel; None while the kernel does not answer yet."""
    with suppress(RuntimeError):
        return server.evaluate_in(kernel, expression)
    return None


def show_page(server: Server, run: str, headers: dict[str, str]) -> None:
    answer = server.call("GET", f"respawn/debug/{run}", headers=headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.long
def test_kernel_boots_while_the_page_loads_and_the_notebook_takes_it(hub: RunningHub, server: Server) -> None:
    run = fail(hub, "boots-early", SOURCES)
    before = kernels(server)
    for other in ({}, {"Sec-Fetch-Dest": "image"}, {**GOES_THERE, "Sec-Purpose": "prefetch"}):
        show_page(server, run.id, other)
    show_page(server, run.id, GOES_THERE)
    (early,) = wait_for(lambda: kernels(server) - before, 60, "the kernel")
    seen = "str(('made' in globals(), get_ipython().execution_count, __import__('os').getcwd()))"
    directory = str(server.home / "respawn-debug")
    answer = wait_for(lambda: answer_of(server, early, seen), 60, "the kernel's answer")
    assert answer == repr(str((False, 1, directory)))
    assert not list((server.home / "respawn-debug").glob(f"*{run.id}*"))
    path = server.open(run.id)[-1]["path"]
    assert server.kernel(path) == early
    assert server.evaluate(path, "made") == "[1, 2, 3]"
    assert kernels(server) - before == {early}
    show_page(server, run.id, GOES_THERE)  # its kernel lives
    assert server.open(run.id)[-1]["type"] == "open"
    assert kernels(server) - before == {early}


@pytest.mark.long
def test_page_that_asks_first_starts_no_kernel_before_it_is_answered(hub: RunningHub, server: Server) -> None:
    own = fail(hub, "own-first", SOURCES)
    job = fail(hub, "shared-first", SOURCES).job
    of_cyd = finished(hub, hub.service("cyd").run(RunRequest(job=job)).id)
    before = kernels(server)
    show_page(server, of_cyd.id, GOES_THERE)
    assert server.open(of_cyd.id)[-1]["type"] == "confirm"
    show_page(server, own.id, GOES_THERE)
    (early,) = wait_for(lambda: kernels(server) - before, 60, "the kernel")
    assert server.kernel(server.open(own.id)[-1]["path"]) == early
    opened = server.open(of_cyd.id, confirm=True)[-1]
    assert server.evaluate(opened["path"], "made") == "[1, 2, 3]"


@pytest.mark.long
@pytest.mark.timeout(180)
def test_kernel_of_a_page_that_was_closed_ends(hub: RunningHub, server: Server) -> None:
    run = fail(hub, "closed-page", SOURCES)
    before = kernels(server)
    show_page(server, run.id, GOES_THERE)
    wait_for(lambda: kernels(server) - before, 60, "the kernel")
    wait_for(lambda: kernels(server) <= before, 90, "the end of the kernel that nobody took")
    path = server.open(run.id)[-1]["path"]
    assert server.evaluate(path, "made") == "[1, 2, 3]"


@pytest.mark.long
@pytest.mark.browser
def test_link_has_its_kernel_before_its_page_has_asked_for_anything(
    page: Page, hub: RunningHub, server: Server
) -> None:
    run = fail(hub, "early-link", SOURCES)
    before = kernels(server)
    early: list[Any] = []

    def hold(route: Route) -> None:
        """Hold what the page's script asks for until the kernel is there; JupyterLab only follows."""
        if route.request.method == "POST":
            early.extend(wait_for(lambda: kernels(server) - before, 60, "the kernel"))
        route.continue_()

    page.route("**/respawn/api/debug/**", hold)
    page.goto(f"{hub.service_url}/debug/{run.id}")
    sign_in(page, server.user, hub.password)
    page.wait_for_url("**/lab/tree/**", timeout=60_000)
    failing = page.locator(".respawn-failing-cell")
    expect(failing).to_contain_text("1 / 0")
    expect(failing).to_be_in_viewport()
    path = page.url.rpartition("/lab/tree/")[2].partition("?")[0]
    assert [server.kernel(path)] == early
    assert server.evaluate(path, "made") == "[1, 2, 3]"
