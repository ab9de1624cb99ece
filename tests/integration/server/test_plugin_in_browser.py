"""The plugin's dialogs in a real JupyterLab: nothing starts that the person did not agree to."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbformat import v4
from playwright.sync_api import Page, expect

from respawn_jobs.api.history import ImportRequest
from respawn_jobs.api.service import ScheduleRequest
from respawn_jobs.model.runs import CellState, RunState
from support.browser import picture
from support.hub import RunningHub
from support.lab import show_notebook
from support.servers import Server, fail, finished

pytestmark = [pytest.mark.integration, pytest.mark.browser]


def edit(server: Server, path: str, cell: str, source: str) -> None:
    notebook = nbformat.read(server.home / path, as_version=4)
    next(c for c in notebook.cells if c.id == cell).source = source
    nbformat.write(notebook, server.home / path)


def add(server: Server, path: str, before: str, *sources: str) -> None:
    """Put cells before one of a notebook."""
    notebook = nbformat.read(server.home / path, as_version=4)
    place = next(at for at, cell in enumerate(notebook.cells) if cell.id == before)
    notebook.cells[place:place] = [v4.new_code_cell(source) for source in sources]
    nbformat.write(notebook, server.home / path)


@pytest.mark.long
def test_failing_cell_is_selected_and_marked_and_the_bar_names_the_run(
    page: Page, hub: RunningHub, server: Server
) -> None:
    run = fail(hub, "in-view", [*[f"x{n} = {n}" for n in range(30)], "x1 / x0", "x2"])
    show_notebook(page, server, server.open(run.id)[-1]["path"])
    failing = page.locator(".respawn-failing-cell")
    expect(failing).to_contain_text("x1 / x0")
    expect(failing).to_contain_class("jp-mod-active")
    expect(failing).to_be_in_viewport()
    bar = page.get_by_role("toolbar", name="Respawn")
    expect(bar).to_contain_text(run.id)
    expect(bar).to_contain_text("ZeroDivisionError")
    expect(bar.get_by_role("link", name="Run page")).to_have_attribute(
        "href", f"{hub.service_url}/runs/{run.id}"
    )


@pytest.mark.long
def test_cell_with_side_effects_runs_again_only_when_agreed(
    page: Page, hub: RunningHub, server: Server
) -> None:
    run = fail(hub, "sends-mail", ["to = ['ada']", "sent = len(to)", "1 / 0"], c1=["respawn:once"])
    path = server.open(run.id)[-1]["path"]
    edit(server, path, "c0", "to = ['ada', 'bob']")
    edit(server, path, "c2", "sent")
    show_notebook(page, server, path)
    page.get_by_role("button", name="Resume…").click()
    dialog = page.get_by_role("dialog")
    accept = dialog.get_by_role("button", name="Resume", exact=True)
    expect(accept).to_be_disabled()
    agree = dialog.get_by_role("checkbox", name="although")
    agree.focus()
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    agree.check()
    expect(accept).to_be_enabled()
    agree.uncheck()
    expect(accept).to_be_disabled()
    assert hub.service("ada").show(run.id).run.resumed_by is None
    agree.check()
    accept.click()
    link = page.get_by_role("link", name="Open its page")
    resumed = finished(hub, str(link.get_attribute("href")).rpartition("/")[2])
    assert resumed.state is RunState.SUCCEEDED
    assert {cell.state for cell in hub.service("ada").show(resumed.id).cells} == {CellState.EXECUTED}


@pytest.mark.long
def test_variable_that_cannot_be_restored_is_named_and_made_again_when_agreed(
    page: Page, hub: RunningHub, server: Server
) -> None:
    run = fail(hub, "generator", ["numbers = (n for n in range(3)); kept = 1", "1 / 0", "list(numbers)"])
    path = server.open(run.id)[-1]["path"]
    edit(server, path, "c1", "pass")
    show_notebook(page, server, path)
    page.get_by_role("button", name="Resume…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("alert")).to_contain_text("numbers")
    expect(dialog).to_contain_text("cannot be restored")
    accept = dialog.get_by_role("button", name="Resume", exact=True)
    expect(accept).to_be_disabled()
    dialog.get_by_label("Run cell 0 again, to make what could not be stored").check()
    expect(dialog).to_contain_text("makes numbers, which could not be stored")
    expect(accept).to_be_enabled()
    picture(page, "lab-resume-agreed")
    accept.click()
    link = page.get_by_role("link", name="Open its page")
    resumed = finished(hub, str(link.get_attribute("href")).rpartition("/")[2])
    assert resumed.state is RunState.SUCCEEDED


@pytest.mark.long
def test_state_of_an_archive_is_loaded_once_that_is_agreed(
    page: Page, hub: RunningHub, server: Server, tmp_path: Path
) -> None:
    ada = hub.service("ada")
    failed = fail(hub, "sent", ["kept = 1", "1 / 0", "print(kept)"])
    ada.export_run(failed.id, tmp_path / "run.zip")
    imported = ada.import_run(tmp_path / "run.zip", ImportRequest(job="received"))
    path = server.open(imported.id, confirm=True)[-1]["path"]
    edit(server, path, "c1", "pass")
    show_notebook(page, server, path)
    page.get_by_role("button", name="Resume…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("alert")).to_contain_text(f"archive of {failed.id}, exported by ada")
    accept = dialog.get_by_role("button", name="Resume", exact=True)
    expect(accept).to_be_disabled()
    picture(page, "lab-resume-of-an-archive")
    dialog.get_by_label("Load the state that was made elsewhere").check()
    expect(accept).to_be_enabled()
    accept.click()
    link = page.get_by_role("link", name="Open its page")
    resumed = finished(hub, str(link.get_attribute("href")).rpartition("/")[2])
    assert resumed.state is RunState.SUCCEEDED
    assert ada.show(resumed.id).cells[0].state is CellState.REUSED


@pytest.mark.long
def test_variable_that_only_a_cell_with_side_effects_makes_stops_the_resume(
    page: Page, hub: RunningHub, server: Server
) -> None:
    cells = ["numbers = (n for n in range(3)); kept = 1", "1 / 0", "list(numbers)"]
    run = fail(hub, "generator-once", cells, c0=["respawn:once"])
    path = server.open(run.id)[-1]["path"]
    edit(server, path, "c1", "pass")
    show_notebook(page, server, path)
    page.get_by_role("button", name="Resume…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("alert")).to_contain_text("numbers")
    expect(dialog.get_by_role("button", name="Resume", exact=True)).to_have_count(0)
    dialog.get_by_role("button", name="Close").first.click()
    expect(dialog).to_have_count(0)


@pytest.mark.long
def test_promotion_waits_for_a_schedule_that_can_be_and_then_says_the_version(
    page: Page, hub: RunningHub, server: Server
) -> None:
    cell = v4.new_code_cell("year: int", id="parameters", metadata={"tags": ["parameters"]})
    spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(v4.new_notebook(cells=[cell], metadata=spec), server.home / "Nightly.ipynb")
    show_notebook(page, server, "Nightly.ipynb")
    page.get_by_role("button", name="Promote…").locator("visible=true").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Job name")).to_have_value("nightly")
    accept = dialog.get_by_role("button", name="Promote", exact=True)
    dialog.get_by_label("Cron (optional)").fill("61 * * * *")
    expect(dialog.get_by_role("alert").filter(has_text="61 * * * *")).to_be_visible()
    expect(accept).to_be_disabled()
    dialog.get_by_label("Cron (optional)").fill("30 2 * * *")
    dialog.get_by_label("Time zone").fill("Europe/Berlin")
    expect(dialog.locator(".respawn-fires li")).to_have_count(5)
    expect(page.get_by_role("alert").filter(has_text="'year' is required")).to_be_visible()
    expect(accept).to_be_disabled()
    page.get_by_label("Value of year when scheduled").fill("2026")
    expect(accept).to_be_enabled()
    accept.click()
    expect(page.get_by_role("dialog")).to_contain_text("user/ada/nightly has version 1")
    (schedule,) = hub.service("ada").job("user/ada/nightly").schedules
    assert (schedule.cron, schedule.tz, schedule.parameters) == (
        "30 2 * * *",
        "Europe/Berlin",
        {"year": 2026},
    )


@pytest.mark.long
def test_scratch_cell_is_dropped_and_the_bar_tells_what_became_of_the_run(
    page: Page, hub: RunningHub, server: Server
) -> None:
    run = fail(hub, "looked-at", ["rows = [1, 2, 3]", "1 / 0", "print(rows)"])
    path = server.open(run.id)[-1]["path"]
    edit(server, path, "c1", "pass")
    add(server, path, "c1", "len(rows), max(rows)", "total = sum(rows)")
    show_notebook(page, server, path)
    expect(page.locator('.jp-Cell[data-respawn-cell="cell 1"]')).to_contain_text("len(rows)")
    expect(page.locator('.jp-Cell[data-respawn-cell="cell 3"]')).to_contain_class("respawn-failing-cell")
    bar = page.get_by_role("toolbar", name="Respawn")
    bar.get_by_role("button", name="Resume…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("row").filter(has_text="len(rows)")).to_have_count(1)
    dialog.get_by_role("group", name="New cells").get_by_role("checkbox", name="len(rows)").uncheck()
    expect(dialog.get_by_role("row").filter(has_text="len(rows)")).to_have_count(0)
    expect(dialog.get_by_role("row").filter(has_text="total = sum(rows)")).to_contain_text("new")
    picture(page, "lab-resume-scratch")
    dialog.get_by_role("button", name="Resume", exact=True).click()
    link = page.get_by_role("link", name="Open its page")
    resumed = finished(hub, str(link.get_attribute("href")).rpartition("/")[2])
    assert resumed.state is RunState.SUCCEEDED
    page.get_by_role("dialog").get_by_role("button", name="Close").last.click()
    expect(bar).to_contain_text(f"{run.id} was resumed: {resumed.id} succeeded")
    expect(bar.get_by_role("button", name="Resume…")).to_have_count(0)
    picture(page, "lab-bar-after-resume")
    page.reload()
    expect(bar).to_contain_text("succeeded")
    service = hub.service("ada")
    titles = [cell.source for cell in v4.reads(service.notebook(resumed.id)).cells]
    assert titles == ["rows = [1, 2, 3]", "total = sum(rows)", "pass", "print(rows)"]


@pytest.mark.long
@pytest.mark.parametrize("way", ["Resume", "Restart"])
def test_fix_that_a_schedule_does_not_fit_goes_on_only_when_that_is_agreed(
    page: Page, hub: RunningHub, server: Server, way: str
) -> None:
    ada, job = hub.service("ada"), f"renames-{way.lower()}"
    run = fail(hub, job, ["old = 1", "1 / 0"], c0=["parameters"])
    ada.schedule(ScheduleRequest(job=job, cron="0 2 * * *", tz="UTC", parameters={"old": 2}))
    path = server.open(run.id)[-1]["path"]
    edit(server, path, "c0", "new = 1")
    edit(server, path, "c1", "pass")
    show_notebook(page, server, path)
    page.get_by_role("button", name=f"{way}…").click()
    dialog = page.get_by_role("dialog")
    if way == "Restart":
        dialog.get_by_role("button", name="Restart", exact=True).click()
    expect(dialog).to_contain_text("the schedule '0 2 * * *' in UTC")
    expect(dialog).to_contain_text("unknown parameter 'old'")
    picture(page, f"lab-{way.lower()}-that-breaks-a-trigger")
    assert [version.number for version in ada.versions(job)] == [1]
    if way == "Resume":
        accept = dialog.get_by_role("button", name="Resume", exact=True)
        expect(accept).to_be_disabled()
        dialog.get_by_label("Resume all the same").check()
        expect(accept).to_be_enabled()
        accept.click()
    else:
        dialog.get_by_role("button", name="Restart all the same").click()
    link = page.get_by_role("link", name="Open its page")
    assert finished(hub, str(link.get_attribute("href")).rpartition("/")[2]).state is RunState.SUCCEEDED
    assert ada.job(job).version == 2
