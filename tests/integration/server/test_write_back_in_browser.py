"""After a Resume, JupyterLab offers to write the fix to the job's file, and loses nobody's unsaved work."""

from __future__ import annotations

import nbformat
import pytest
from nbformat import v4
from playwright.sync_api import Locator, Page, expect

from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.model.runs import RunState
from support.browser import picture
from support.hub import RunningHub
from support.lab import show_notebook
from support.servers import Server, finished

pytestmark = [pytest.mark.integration, pytest.mark.browser]
SPEC = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def open_file(page: Page, path: str) -> None:
    """Open a notebook in a second tab, by the menu."""
    page.get_by_role("menuitem", name="File", exact=True).click()
    page.get_by_role("menuitem", name="Open from Path…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill(path)
    dialog.get_by_role("button", name="Open").click()
    expect(current_tab(page)).to_contain_text(path)
    # The kernel that is ready writes its language into the notebook, which is not saved then.
    expect(page.locator("#jp-main-statusbar")).to_contain_text("Idle")


def current_tab(page: Page) -> Locator:
    return page.locator(".lm-DockPanel-tabBar .lm-mod-current")


def close(dialog: Locator) -> None:
    dialog.get_by_role("button", name="Close").last.click()
    expect(dialog).to_have_count(0)


@pytest.mark.long
def test_fix_is_offered_after_a_resume_and_an_editor_with_unsaved_work_is_left_alone(
    page: Page, hub: RunningHub, server: Server
) -> None:
    ada, file = hub.service("ada"), server.home / "Offered.ipynb"
    cells = [v4.new_code_cell(source, id=f"c{at}") for at, source in enumerate(["x = 0", "1 / x", "x"])]
    nbformat.write(v4.new_notebook(cells=cells, metadata=SPEC), file)
    ada.promote(Promotion(name="offered", notebook=file.read_text(), source=str(file)))
    run = finished(hub, ada.run(RunRequest(job="user/ada/offered")).id)
    path = server.open(run.id)[-1]["path"]
    debugged = nbformat.read(server.home / path, as_version=4)
    next(cell for cell in debugged.cells if cell.id == "c1").source = "1 / (x + 1)"
    nbformat.write(debugged, server.home / path)

    show_notebook(page, server, path)
    bar = page.get_by_role("toolbar", name="Respawn")
    expect(bar.get_by_role("button", name="Write the fix")).to_have_count(0)
    bar.get_by_role("button", name="Resume…").click()
    page.get_by_role("dialog").get_by_role("button", name="Resume", exact=True).click()
    link = page.get_by_role("link", name="Open its page")
    resumed = finished(hub, str(link.get_attribute("href")).rpartition("/")[2])
    assert resumed.state is RunState.SUCCEEDED
    close(page.get_by_role("dialog"))
    offer = bar.get_by_role("button", name="Write the fix to Offered.ipynb…")
    expect(offer).to_be_visible()

    # The file is open in another tab, and somebody types there.
    open_file(page, "Offered.ipynb")
    editor = page.locator(".jp-NotebookPanel:visible .jp-CodeCell").nth(0).locator(".cm-content")
    # A kernel that comes later writes its language into the notebook, which is a change that is not saved.
    expect(page.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']:visible")).to_have_count(1)
    editor.click()
    page.keyboard.press("End")
    page.keyboard.type("  # typed")
    expect(current_tab(page)).to_contain_class("jp-mod-dirty")
    page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab", has_text=run.id).click()
    before = file.read_bytes()
    offer.click()
    expect(page.get_by_role("dialog")).to_contain_text("open with changes that are not saved")
    picture(page, "write-back-unsaved")
    pressed = offer.element_handle()
    with page.expect_response(lambda answer: "/write-back" in answer.url):
        close(page.get_by_role("dialog"))
    assert pressed.is_visible(), "a click on it would be lost, were another put in its place"
    assert file.read_bytes() == before
    page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab", has_text="Offered.ipynb").click()
    expect(editor).to_have_text("x = 0  # typed")
    page.keyboard.press("Control+s")
    expect(current_tab(page)).not_to_contain_class("jp-mod-dirty")

    page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab", has_text=run.id).click()
    offer.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".respawn-diff-removed")).to_contain_text("1 / x")
    expect(dialog.locator(".respawn-diff-added")).to_contain_text("1 / (x + 1)")
    picture(page, "write-back")
    # Another program writes the file while the dialog is open: what would be written is shown anew.
    noted = nbformat.read(file, as_version=4)
    noted.cells.append(v4.new_code_cell("print('of another program')", id="other"))
    nbformat.write(noted, file)
    dialog.get_by_role("button", name="Write", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("was changed meanwhile")
    dialog.get_by_role("button", name="Write", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("Nothing needs to be promoted")
    picture(page, "write-back-done")
    close(page.get_by_role("dialog"))
    expect(bar).to_contain_text("Offered.ipynb holds the fix.")
    sources = [cell.source for cell in nbformat.read(file, as_version=4).cells]
    assert sources == ["x = 0  # typed", "1 / (x + 1)", "x", "print('of another program')"]
    page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab", has_text="Offered.ipynb").click()
    expect(page.locator(".jp-NotebookPanel:visible .jp-CodeCell").nth(1)).to_contain_text("1 / (x + 1)")
