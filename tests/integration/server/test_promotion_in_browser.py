"""Promotion in a real JupyterLab, and versions on the hub's pages: nothing is replaced that nobody saw."""

from __future__ import annotations

import nbformat
import pytest
from nbformat import v4
from playwright.sync_api import Locator, Page, expect

from respawn_jobs.api.service import Promotion, ResumeRequest
from support.browser import picture
from support.hub import RunningHub
from support.lab import show_notebook
from support.servers import Server, fail, finished

pytestmark = [pytest.mark.integration, pytest.mark.browser]
SPEC = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def written(server: Server, path: str, *sources: str) -> str:
    """Write a notebook with these code cells to a server, and return its text."""
    cells = [v4.new_code_cell(source, id=f"c{index}") for index, source in enumerate(sources)]
    text = str(v4.writes(v4.new_notebook(cells=cells, metadata=SPEC)))
    (server.home / path).write_text(text)
    return text


def asked_to_promote(page: Page, server: Server, path: str, name: str) -> Locator:
    """Open a notebook's dialog of promotion for a job, and return it when it has said what would happen."""
    show_notebook(page, server, path)
    return dialog_of(page, name)


def dialog_of(page: Page, name: str) -> Locator:
    """Press the button of promotion of the notebook that is shown, and name the job."""
    page.get_by_role("button", name="Promote…").locator("visible=true").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Job name").fill(name)
    return dialog


def outcome(dialog: Locator) -> Locator:
    return dialog.get_by_role("region", name="What happens")


@pytest.mark.long
def test_promoting_the_broken_file_over_its_fix_is_asked_about_and_shows_what_differs(
    page: Page, hub: RunningHub, server: Server
) -> None:
    ada = hub.service("ada")
    broken = written(server, "Broken.ipynb", "x = 1", "1 / 0")
    ada.promote(Promotion(name="over-a-fix", notebook=broken))
    run = fail(hub, "over-a-fix", ["x = 1", "1 / 0"])
    fixed = v4.reads(broken)
    fixed.cells[1].source = "1 / 2"
    finished(hub, ada.resume(run.id, ResumeRequest(notebook=v4.writes(fixed))).id)
    before = ada.job("over-a-fix").version

    dialog = asked_to_promote(page, server, "Broken.ipynb", "over-a-fix")
    expect(outcome(dialog)).to_contain_text(f"differs from version {before}")
    question = dialog.get_by_role("checkbox", name="lacks it in cell 1")
    accept = dialog.get_by_role("button", name="Promote", exact=True)
    expect(accept).to_be_disabled()
    expect(outcome(dialog).locator(".respawn-diff-removed")).to_contain_text("1 / 2")
    expect(outcome(dialog).locator(".respawn-diff-added")).to_contain_text("1 / 0")
    picture(page, "lab-promote-over-a-fix")
    assert ada.job("over-a-fix").version == before

    question.check()
    accept.click()
    expect(page.get_by_role("dialog")).to_contain_text(f"has version {before + 1}")
    picture(page, "lab-promoted")


@pytest.mark.long
def test_a_notebook_that_takes_another_ones_job_over_is_asked_about(
    page: Page, hub: RunningHub, server: Server
) -> None:
    ada = hub.service("ada")
    mine = written(server, "Mine.ipynb", "x = 1")
    ada.promote(Promotion(name="mine", notebook=mine, source=str(server.home / "Mine.ipynb")))
    written(server, "Other.ipynb", "y = 2")
    dialog = asked_to_promote(page, server, "Other.ipynb", "mine")
    expect(dialog.get_by_role("checkbox", name="Mine.ipynb")).to_be_visible()
    expect(dialog.get_by_role("button", name="Promote", exact=True)).to_be_disabled()
    picture(page, "lab-promote-takes-over")
    dialog.get_by_label("Job name").fill("other")
    expect(outcome(dialog)).to_contain_text("New job")
    expect(dialog.get_by_role("button", name="Promote", exact=True)).to_be_enabled()
    assert ada.job("mine").version == 1


@pytest.mark.long
def test_the_same_notebook_is_told_as_unchanged_and_the_same_schedule_is_refused(
    page: Page, hub: RunningHub, server: Server
) -> None:
    written(server, "Twice.ipynb", "x = 1")
    show_notebook(page, server, "Twice.ipynb")
    dialog = dialog_of(page, "twice")
    dialog.get_by_label("Cron (optional)").fill("30 2 * * *")
    dialog.get_by_role("button", name="Promote", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("has version 1")
    page.get_by_role("dialog").get_by_role("button", name="Close").last.click()

    # The kernel writes its language into the notebook, and the cell its output: nothing that runs is other.
    expect(page.locator("#jp-main-statusbar")).to_contain_text("Idle")
    page.locator(".jp-CodeCell .cm-content").click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".jp-CodeCell").first).to_contain_text("[1]:")
    dialog = dialog_of(page, "twice")
    expect(outcome(dialog)).to_contain_text("Unchanged")
    expect(dialog.get_by_role("button", name="Promote", exact=True)).to_have_count(0)
    dialog.get_by_label("Cron (optional)").fill("30 2 * * *")
    expect(dialog.get_by_role("alert").filter(has_text="already")).to_be_visible()
    expect(dialog.get_by_role("button", name="Add schedule")).to_be_disabled()
    picture(page, "lab-promote-twice")
    job = hub.service("ada").job("twice")
    assert (job.version, len(job.schedules)) == (1, 1)


@pytest.mark.long
def test_an_older_version_is_compared_downloaded_and_made_current_on_its_pages(
    page: Page, hub: RunningHub, server: Server
) -> None:
    ada = hub.service("ada")
    texts = [written(server, "Back.ipynb", "x = 1", source) for source in ("x + 1", "x + 2")]
    for text in texts:
        ada.promote(Promotion(name="back", notebook=text))
    show_notebook(page, server, "Back.ipynb")
    page.goto(f"{hub.service_url}/jobs/user/ada/back")
    page.get_by_role("link", name="Compare version 1 with current").click()
    expect(page.locator(".diff-removed")).to_contain_text("x + 1")
    expect(page.locator(".diff-added")).to_contain_text("x + 2")
    picture(page, "compare-versions")
    page.goto(f"{hub.service_url}/jobs/user/ada/back/versions/1")
    expect(page.locator("#cell-1")).to_contain_text("x + 1")
    picture(page, "version")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download .ipynb").click()
    assert nbformat.read(download.value.path(), as_version=4).cells[1].source == "x + 1"
    page.once("dialog", lambda question: question.accept())
    page.get_by_role("button", name="Make current").click()
    expect(page.get_by_role("link", name="Version 1", exact=True).first).to_be_visible()
    assert ada.job("back").version == 1


@pytest.mark.long
def test_a_job_is_renamed_archived_and_restored_on_its_page(
    page: Page, hub: RunningHub, server: Server
) -> None:
    ada = hub.service("ada")
    ada.promote(Promotion(name="moves", notebook=written(server, "Moves.ipynb", "x = 1")))
    show_notebook(page, server, "Moves.ipynb")
    page.goto(f"{hub.service_url}/jobs/user/ada/moves")
    page.get_by_label("Name", exact=True).fill("moved")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("heading", name="moved", exact=True)).to_be_visible()
    page.goto(f"{hub.service_url}/jobs/user/ada/moves")
    expect(page.get_by_role("heading", name="moved", exact=True)).to_be_visible()
    picture(page, "job-manage")
    page.once("dialog", lambda question: question.accept())
    page.get_by_role("button", name="Archive").click()
    expect(page.get_by_text("Nothing of it runs")).to_be_visible()
    picture(page, "job-archived")
    assert ada.job("moved").archived_by == "ada"
    page.goto(f"{hub.service_url}/archived")
    page.get_by_role("link", name="moved").click()
    page.get_by_role("button", name="Restore from the archive").click()
    expect(page.get_by_role("button", name="Run now")).to_be_visible()
