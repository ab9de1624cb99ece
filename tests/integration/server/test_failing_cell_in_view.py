"""The failing cell is scrolled to once its notebook is seen, also when that was behind another one's tab."""

from __future__ import annotations

import nbformat
import pytest
from nbformat import v4
from playwright.sync_api import Page, Response, expect

from respawn_jobs.model.runs import Run
from support.hub import RunningHub
from support.lab import show_notebook
from support.servers import Server, fail

pytestmark = [pytest.mark.integration, pytest.mark.browser, pytest.mark.long]

CELLS = 60
"""More than JupyterLab draws at once."""


def long_failure(hub: RunningHub, name: str) -> Run:
    """A run whose failing cell is far down, below outputs whose height is not known before they are drawn."""
    tall = [f"for line in range({number % 7 * 8}):\n    print({number}, line)" for number in range(CELLS)]
    return fail(hub, name, [*tall, "1 / 0", *tall[:5]])


def other_notebook(server: Server, name: str) -> str:
    cells = [v4.new_code_cell(f"x{number} = {number}") for number in range(CELLS)]
    spec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), server.home / name)
    return name


def saved_layout(answer: Response) -> bool:
    return "/api/workspaces" in answer.url and answer.request.method == "PUT"


def tab(page: Page, name: str) -> None:
    """See that a tab is in front."""
    expect(page.locator(".lm-DockPanel-tabBar .lm-mod-current")).to_contain_text(name)


def test_while_another_notebook_has_a_tab(page: Page, hub: RunningHub, server: Server) -> None:
    path = server.open(long_failure(hub, "beside").id)[-1]["path"]
    other = other_notebook(server, "beside-it.ipynb")
    show_notebook(page, server, other)
    with page.expect_response(saved_layout):
        page.locator(".jp-Notebook .jp-Cell").first.click()
    page.goto(f"{hub.url}/user/ada/lab/tree/{path}")
    tab(page, path.rpartition("/")[2])
    failing = page.locator(".respawn-failing-cell")
    expect(failing).to_contain_text("1 / 0")
    expect(failing).to_be_in_viewport(ratio=0.5)


def test_when_its_tab_comes_to_the_front(page: Page, hub: RunningHub, server: Server) -> None:
    path = server.open(long_failure(hub, "behind").id)[-1]["path"]
    file = path.rpartition("/")[2]
    other = other_notebook(server, "before-it.ipynb")
    show_notebook(page, server, path)
    expect(page.locator(".respawn-failing-cell")).to_be_in_viewport(ratio=0.5)
    with page.expect_response(saved_layout):
        page.goto(f"{hub.url}/user/ada/lab/tree/{other}")
        tab(page, other)
    page.reload()  # the layout comes back with the debug notebook behind the other one
    tab(page, other)
    behind = page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab").filter(has_text=file)
    expect(behind).to_be_visible()
    behind.click()
    failing = page.locator(".respawn-failing-cell")
    expect(failing).to_be_in_viewport(ratio=0.5)
    expect(failing).to_contain_class("jp-mod-active")
