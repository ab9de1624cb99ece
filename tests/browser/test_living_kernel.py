"""The debug link opens the kernel that failed; one click leads to the state before its cell, and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.model.runs import Run
from support.browser import picture, sign_in
from support.hub import RunningHub, running_hub
from support.journey import ask_the_kernel
from support.notebooks import notebook, text
from support.waiting import wait_for

pytestmark = [
    pytest.mark.browser,
    pytest.mark.integration,
    pytest.mark.long,
    pytest.mark.timeout(400),
]

CELLS = (
    "orders = [{'item': 'tea', 'price': 3}, {'item': 'milk'}]",
    "total = 0\nfor order in orders:\n    total += order['price']",
    "print(total)",
)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[RunningHub]:
    with running_hub(tmp_path / "hub", executor="hub") as running:
        yield running


@pytest.fixture
def failed(hub: RunningHub) -> Run:
    service = hub.service("ada")
    service.promote(Promotion(name="orders", notebook=text(notebook(*CELLS))))
    run = service.run(RunRequest(job="orders")).id
    wait_for(lambda: service.show(run).living, 150, f"the kernel of {run}; see {hub.log}")
    return service.show(run).run


def test_both_ways_to_the_kernel(page: Page, hub: RunningHub, failed: Run) -> None:
    page.goto(f"{hub.service_url}/runs/{failed.id}")
    sign_in(page, "ada", hub.password)
    expect(page.locator("#living")).to_contain_text("The kernel that failed still runs")
    picture(page, "living-1-run")
    page.get_by_role("link", name="Debug", exact=True).click()
    bar = page.locator(".respawn-bar")
    expect(bar).to_contain_text("The kernel that failed, as the cell left it")
    assert "/user/ada/respawn-" in page.url
    ask_the_kernel(page, "total, order", "(3, {'item': 'milk'})", "living-2-kernel")
    bar.get_by_role("button", name="State before the cell").click()
    expect(bar).to_contain_text("Restored: the state before the cell")
    ask_the_kernel(page, "total + 0", "NameError", "living-3-restored")
    bar.get_by_role("button", name="The kernel that failed").click()
    expect(bar).to_contain_text("The kernel that failed, as the cell left it")
    ask_the_kernel(page, "order, 0", "({'item': 'milk'}, 0)")
